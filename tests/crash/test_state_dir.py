#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
"""Local state that is lost, damaged, full, in use or somebody else's: the mount works or says why
not, and what was acknowledged stays."""
import glob
import os
import random
import shutil
import sqlite3
import sys
import traceback

sys.path[:0] = [os.path.join(os.environ["SOURCE_DIR"], "tests", d) for d in ("lib", "crash")]
import crash  # noqa: E402
import mounted  # noqa: E402
from crash import content, sha  # noqa: E402

LARGE = 12 << 20


def equal(text, want, got):
    if want != got:
        raise crash.Failed(f"{text}: expected {want!r}, got {got!r}")


def contains(text, want, got):
    if want not in got:
        raise crash.Failed(f"{text}: '{want}' is not in: {got}")


def write(run, name, seed, size=LARGE):
    data = content(seed, size)
    with open(f"{run.mnt}/{name}", "wb") as f:
        f.write(data)
    return sha(data)


def read(run, name):
    with open(f"{run.mnt}/{name}", "rb") as f:
        return sha(f.read())


def state_folder(run):
    found = glob.glob(run.cache + "/pailfs/*")
    equal("folders of local state", 1, len(found))
    return found[0]


def killed(run, point="s3.UploadPart.after:2"):
    """A mount that acknowledged 'done' and died in the middle of 'torn'. Returns done's digest."""
    run.mount(PAILFS_CRASH_AT=point)
    digest = write(run, "done", 1, 1000)
    try:
        write(run, "torn", 2)
    except OSError:
        pass
    if not run.died(60):
        raise crash.Failed("the daemon did not die")
    run.clear()
    equal("uploads after the crash", ["torn"], run.uploads())
    return digest


def works(run, digest, uploads=()):
    """The mount after it: what was acknowledged is there, and new files are stored."""
    run.recovered()
    equal("names", ["done"], sorted(set(os.listdir(run.mnt)) - {"new"}))
    equal("done", digest, read(run, "done"))
    new = write(run, "new", 3)
    equal("new", new, read(run, "new"))
    run.unmount()
    equal("uploads", list(uploads), run.uploads())


def in_use(run):
    options = ["state_dir=" + run.folder + "/state"]
    run.mount(*options)
    digest = write(run, "f", 1, 1000)
    other = crash.Run(run.bed, "second")
    other.bucket = run.bucket
    try:
        other.mount(*options, check=False)
        equal("the second mount ends", True, other.died(60))
        equal("its exit status", 32, other.daemon.returncode)
        contains("its message", f"in use by another pailfs (process {run.daemon.pid})",
                 mounted.tail(other.folder + "/stderr.log"))
        # Without state_dir both work, each with a folder of its own.
        other.cache = run.cache
        other.mount()
        equal("f through the other", digest, read(other, "f"))
        third = write(other, "g", 2, 500)
        other.unmount()
    finally:
        other.kill()
    equal("the first goes on", digest, read(run, "f"))
    run.unmount()
    run.mount(*options)
    equal("g", third, read(run, "g"))
    run.unmount()


def slots(run):
    """Two mounts with one cache_dir; the second dies, and the next mount adopts its slot."""
    run.mount()
    other = crash.Run(run.bed, "slot2")
    other.bucket, other.cache = run.bucket, run.cache
    try:
        killed(other)
        other.mount()
        other.recovered()
        equal("aborted", "1", other.status()["uploads_aborted"])
        contains("the slot", ".2", other.status()["state_directory"])
        equal("uploads", [], other.uploads())
        other.unmount()
    finally:
        other.kill()
    run.unmount()


def lost(run):
    digest = killed(run)
    shutil.rmtree(run.cache)
    run.mount()
    works(run, digest, uploads=["torn"])  # nobody knows of it any more: pailctl uploads does


def lost_while_mounted(run):
    run.mount()
    shutil.rmtree(run.cache)
    digest = write(run, "done", 1)
    run.unmount()
    run.mount()
    works(run, digest)


def flipped(run):
    """Bytes of the database and its log are flipped after a crash."""
    seed = int(os.environ.get("CRASH_SEED", "1")) or random.SystemRandom().randrange(1 << 31)
    rng = random.Random(seed)
    digest = killed(run)
    folder = state_folder(run)
    saved = run.folder + "/saved"
    shutil.copytree(folder, saved)
    text = f"flipped, CRASH_SEED={seed}"
    print(text)
    for i in range(12):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        for path in glob.glob(folder + "/state.db*"):
            with open(path, "r+b") as f:
                size = f.seek(0, 2)
                for _ in range(rng.choice((1, 1, 4, 40)) if size else 0):
                    at = rng.randrange(min(size, 200) if rng.random() < 0.3 else size)
                    f.seek(at)
                    byte = f.read(1)[0]
                    f.seek(at)
                    f.write(bytes([byte ^ (1 << rng.randrange(8))]))
        run.mount()
        run.recovered()
        equal(f"{text}, round {i}: done", digest, read(run, "done"))
        if i == 11:
            write(run, "new", 3)
        run.unmount()


def acknowledged(run):
    """A write-back mount that acknowledged files, none of which is in S3 yet, and was killed."""
    options = ["writeback"]
    run.mount(*options)
    run.bed.s3d("POST", "faults", "op=PutObject action=status:503:SlowDown")
    digests = {f"f{i:02}": write(run, f"f{i:02}", i, 100_000 if i % 4 == 0 else 1000 + i)
               for i in range(20)}
    run.kill()
    run.bed.s3d("DELETE", "faults")
    equal("in the bucket", {}, run.bucket_world())
    return options, digests


def flipped_log(run):
    """A damaged byte within state.db-wal does not take the changes after it along."""
    options, digests = acknowledged(run)
    folder = state_folder(run)
    with open(folder + "/state.db-wal", "r+b") as f:
        for at in (24, f.seek(0, 2) // 3):
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 4]))
    run.mount(*options)
    for name, digest in digests.items():
        equal(name, digest, read(run, name))
    run.unmount()
    equal("the bucket", digests, run.bucket_world())
    contains("the start", "which could be put right", mounted.tail(run.folder + "/stderr.log"))


def destroyed_log(run):
    """More damage than that: what can be read is stored, all other content is in lost+found, and
    the log says so."""
    options, digests = acknowledged(run)
    folder = state_folder(run)
    with open(folder + "/state.db-wal", "r+b") as f:
        f.seek(f.seek(0, 2) // 2)
        f.write(b"Z" * 9000)
    run.mount()  # without the option, too
    run.recovered()
    if not mounted.poll(60, lambda: run.status().get("writeback_pending", "0") == "0"):
        raise crash.Failed(f"not stored: {run.status()}")
    run.unmount()
    stored = run.bucket_world()
    for name, digest in stored.items():
        equal(name, digests[name], digest)
    if not 0 < len(stored) < len(digests):
        raise crash.Failed(f"half of the log was destroyed, and {len(stored)} are stored")
    kept = set()
    for path in glob.glob(folder + "/lost+found/*"):
        with open(path, "rb") as f:
            kept.add(sha(f.read()))
    large = {d for n, d in digests.items() if int(n[1:]) % 4 == 0}
    equal("large ones that are nowhere", set(), large - kept - set(stored.values()))
    said = mounted.tail(run.folder + "/stderr.log", 60) + mounted.tail(run.log, 60)
    contains("the log", "cannot be read", said)
    contains("the log", "pailctl lost list", said)
    equal("marked", False, os.path.exists(folder + "/doubtful"))


def not_a_database(run):
    digest = killed(run)
    folder = state_folder(run)
    for wal in glob.glob(folder + "/state.db-*"):
        os.unlink(wal)
    with open(folder + "/state.db", "wb") as f:
        f.write(b"nonsense\n" * 5000)
    run.mount()
    contains("the start", "is damaged: moved to", mounted.tail(run.folder + "/stderr.log"))
    mounted.poll(60, lambda: "is damaged" in mounted.tail(run.log))
    contains("the log", "local state was damaged", mounted.tail(run.log))
    equal("moved aside", 1, len(glob.glob(folder + "/state.db.broken-*")))
    works(run, digest, uploads=["torn"])


def cut_short(run):
    """The file system lost the end of the database, or all of it."""
    digest = killed(run)
    folder = state_folder(run)
    for size in (5000, 0):
        os.truncate(folder + "/state.db", size)
        run.mount()
        run.recovered()
        equal("done", digest, read(run, "done"))
        run.unmount()


def disk_full(run):
    """No room for notes: files are stored all the same, with a warning."""
    if os.geteuid() != 0:
        return
    path = run.folder + "/state"
    os.mkdir(path, 0o700)
    if os.system(f"mount -t tmpfs -o size=512k,mode=700 none {path}") != 0:
        raise crash.Failed("no small file system")
    options = ["state_dir=" + path]
    try:
        run.mount(*options)
        with open(path + "/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        digest = write(run, "done", 1)
        contains("the log", "cannot be noted", mounted.tail(run.log))
        equal("done", digest, read(run, "done"))
        os.unlink(path + "/filler")
        write(run, "after", 2)
        run.unmount()
        # And from the start: no room for a database.
        os.unlink(path + "/state.db")
        with open(path + "/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        run.mount(*options, check=False)
        equal("a named folder that is full is refused", True, run.died(60))
        contains("its message", "No space left", mounted.tail(run.folder + "/stderr.log"))
    finally:
        run.kill()
        os.system(f"umount -l {path}")
    equal("uploads", [], run.uploads())


def no_place(run):
    """A cache_dir that cannot be made: the mount does without, and says so."""
    with open(run.folder + "/file", "w"):
        pass
    run.mount("cache_dir=" + run.folder + "/file")
    contains("the log", "will not be finished by the next mount",
             mounted.tail(run.log) + mounted.tail(run.folder + "/stderr.log"))
    equal("status", "none", run.status()["state_directory"])
    digest = write(run, "done", 1)
    equal("done", digest, read(run, "done"))
    run.unmount()


def somebody_elses(run):
    path = run.folder + "/state"
    os.mkdir(path)
    os.chmod(path, 0o777)
    run.mount("state_dir=" + path, check=False)
    equal("a folder that others may write to is refused", True, run.died(60))
    contains("its message", "may be written by others", mounted.tail(run.folder + "/stderr.log"))
    os.chmod(path, 0o700)
    run.mount("state_dir=" + path)
    run.unmount()
    other = crash.Run(run.bed, "other")
    try:
        other.mount("state_dir=" + path, check=False)
        equal("a folder of another bucket is refused", True, other.died(60))
        contains("its message", "is that of bucket", mounted.tail(other.folder + "/stderr.log"))
    finally:
        other.kill()


def newer(run):
    run.mount()
    run.unmount()
    path = state_folder(run) + "/state.db"
    db = sqlite3.connect(path)
    # crc: CRC-32C of the row, see FORMAT.md
    db.execute("PRAGMA user_version = 2")
    db.execute("UPDATE meta SET value = '2', crc = ? WHERE name = 'schema'",
               (crc_text(crc_text(0, "schema"), "2"),))
    db.commit()
    db.close()
    run.mount(check=False)
    equal("a newer schema is refused", True, run.died(60))
    equal("exit status", 32, run.daemon.returncode)
    contains("its message", "newer pailfs (schema 2", mounted.tail(run.folder + "/stderr.log"))


def crc32c(crc, data):
    crc ^= 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def crc_int(crc, n):
    return crc32c(crc, b"i" + n.to_bytes(8, "little", signed=True))


def crc_text(crc, s):
    return crc32c(crc, b"n") if s is None else crc32c(
        crc_int(crc32c(crc, b"s"), len(s.encode())), s.encode())


def clock_jump(run):
    """The wall clock was set back or forth between the crash and the mount."""
    for i, hours in enumerate((-30, 30)):
        digest = killed(run)
        db = sqlite3.connect(state_folder(run) + "/state.db")
        rows = db.execute("SELECT id, key, upload, time, keep, crc FROM uploads").fetchall()
        equal("rows", 1, len(rows))
        row, key, upload, time, keep, crc = rows[0]

        def row_crc(upload_id, when):
            return crc_int(crc_int(crc_text(crc_text(crc_int(0, row), key), upload_id), when), keep)
        equal("the documented crc", crc, row_crc(upload, time))
        time += hours * 3600 * 10**9
        upload = None if i else upload  # without its id it can only be looked for
        db.execute("UPDATE uploads SET upload = ?, time = ?, crc = ?",
                   (upload, time, row_crc(upload, time)))
        db.commit()
        db.close()
        run.mount()
        works(run, digest, uploads=["torn"] if i else [])
        run.bed.s3.delete_object(Bucket=run.bucket, Key="new")


def main():
    tests = [in_use, slots, lost, lost_while_mounted, flipped, flipped_log, destroyed_log,
             not_a_database, cut_short, disk_full, no_place, somebody_elses, newer, clock_jump]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ in sys.argv[1:]]
    bed = mounted.Bed()
    failed = 0
    try:
        for test in tests:
            run = crash.Run(bed, test.__name__)
            try:
                test(run)
                print("ok   " + test.__name__, flush=True)
            except Exception as e:  # pylint: disable=broad-except
                failed += 1
                text = str(e) if isinstance(e, crash.Failed) else traceback.format_exc()
                print(f"FAIL {test.__name__}: {text}\n{mounted.tail(run.log, 40)}", flush=True)
            finally:
                run.kill()
    finally:
        bed.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
