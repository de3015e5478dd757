# SPDX-License-Identifier: Apache-2.0
"""kill -9 of pailfs at named points (src/base/crash_point.h), and what must hold afterwards.

A workload is a list of steps. Each step does something to the mount and says what the names below
it are then. A run mounts an empty bucket with PAILFS_CRASH_AT=POINT:N, goes through the steps until
the daemon dies, mounts again, waits until the recovery is done, and compares: what the steps before
had acknowledged must be there, the step that was cut short must be done as a whole or not at all,
and neither unfinished uploads nor keys that nobody asked for may be left.

The build needs -Dcrash_points=true: $CRASH_BUILD, else $BUILD_DIR-asan."""
import errno
import hashlib
import os
import re
import signal
import stat
import subprocess
import traceback

import mounted

BUILD = os.environ.get("CRASH_BUILD") or os.environ["BUILD_DIR"] + "-asan"
# Reserved keys that a mount of a whole bucket keeps beside the names; see pailfs(7).
OWN_KEYS = {".pailfs-root"}
ATTRIBUTES_OF = "with-attributes"  # the file whose mode, time and xattr are part of the world
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ECONNREFUSED, errno.ENODEV)


def sha(data):
    return hashlib.sha256(data).hexdigest()[:16]


def content(seed, size):
    """Bytes that tell which version they are of, wherever one looks."""
    unit = hashlib.sha256(str(seed).encode()).digest() * 32  # 1 KiB
    return (unit * (size // len(unit) + 1))[:size]


class Failed(Exception):
    pass


class Run:
    """One life of one bucket: a mount that is to die and one that picks up after it."""

    def __init__(self, bed, name, options=()):
        self.bed, self.options = bed, list(options)
        self.folder = f"{mounted.SCRATCH}/{name}"
        self.mnt = self.folder + "/mnt"
        self.log = self.folder + "/pailfs.log"
        self.cache = self.folder + "/cache"
        os.makedirs(self.mnt)
        self.bucket = bed.bucket()
        self.daemon = None

    def environment(self, **more):
        env = dict(os.environ, XDG_CACHE_HOME=self.cache, XDG_RUNTIME_DIR=self.folder)
        env.update(more)
        return env

    def mount(self, *options, check=True, **env):
        command = [BUILD + "/src/pailfs", self.bucket, self.mnt, "-f"]
        for o in [f"endpoint_url={self.bed.endpoint},use_path_request_style,part_size=5M",
                  f"log_file={self.log}", *self.options, *options]:
            command += ["-o", o]
        with open(self.folder + "/stderr.log", "ab") as err:
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err,
                                           stderr=err, env=self.environment(**env))
        up = mounted.poll(100, lambda: os.path.ismount(self.mnt) or self.daemon.poll() is not None)
        if check and (not up or self.daemon.poll() is not None):
            raise Failed("the mount did not come up: " + mounted.tail(self.folder + "/stderr.log") +
                         mounted.tail(self.log))

    def died(self, seconds):
        return mounted.poll(seconds, lambda: self.daemon.poll() is not None)

    def clear(self):
        """Takes the dead mount away."""
        subprocess.run(["fusermount3", "-uzq", self.mnt], stderr=subprocess.DEVNULL, check=False)

    def status(self):
        p = subprocess.run([BUILD + "/src/pailctl", "status", self.mnt], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, env=self.environment(),
                           stdin=subprocess.DEVNULL, check=False)
        return dict(re.findall(r"^ *(\w+): (.*)$", p.stdout, re.M)) if p.returncode == 0 else {}

    def recovered(self):
        if not mounted.poll(60, lambda: self.status().get("recovery") == "done"):
            raise Failed(f"the recovery does not end: {self.status()}{mounted.tail(self.log)}")
        s = self.status()
        if s["recovery_left"] != "0":
            raise Failed(f"the recovery left something: {s}{mounted.tail(self.log)}")

    def unmount(self):
        said = []

        def done():
            p = subprocess.run(["fusermount3", "-u", self.mnt], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               check=False)
            said[:] = [p.stdout]
            return p.returncode == 0
        if not mounted.poll(30, done):
            raise Failed(f"unmount: {said[0]}")
        if not self.died(60):
            raise Failed("the daemon did not end")
        if self.daemon.returncode != 0:
            raise Failed(f"exit status {self.daemon.returncode}: {mounted.tail(self.log)}"
                         f"{mounted.tail(self.folder + '/stderr.log')}")

    def kill(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        self.clear()

    # ---- what is there ----

    def mounted_world(self):
        world = {}

        def look(path, name):
            st = os.lstat(path)
            if stat.S_ISDIR(st.st_mode):
                world[name] = ("dir",)
                for child in os.listdir(path):
                    look(path + "/" + child, name + "/" + child)
            elif stat.S_ISLNK(st.st_mode):
                world[name] = ("link", os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    data = f.read()
                value = ("file", sha(data))
                if len(data) != st.st_size:
                    raise Failed(f"{name}: size {st.st_size}, {len(data)} bytes")
                world[name] = value
                if name == ATTRIBUTES_OF:
                    world[name + " mode"] = stat.S_IMODE(st.st_mode)
                    world[name + " mtime"] = st.st_mtime_ns
                    if "user.test" in os.listxattr(path):
                        world[name + " xattr"] = os.getxattr(path, "user.test")
            else:
                world[name] = ("special",)

        for child in os.listdir(self.mnt):
            look(self.mnt + "/" + child, child)
        return world

    def bucket_world(self):
        """Keys and their bytes, by boto3; markers of directories end in a slash."""
        found = {}
        for page in self.bed.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for o in page.get("Contents", []):
                if o["Key"] in OWN_KEYS:
                    continue
                body = self.bed.s3.get_object(Bucket=self.bucket, Key=o["Key"])["Body"].read()
                found[o["Key"]] = sha(body)
        return found

    def uploads(self):
        return [u["Key"] for u in
                self.bed.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]


class Step:
    """run(mnt) does it; change(world) is what it does to the names. loose: cut short, each name
    may be as before or as after (POSIX promises no more, e.g. for rm -r)."""

    def __init__(self, name, run, change, loose=False):
        self.name, self.run, self.change, self.loose = name, run, change, loose

    def after(self, world):
        changed = dict(world)
        self.change(changed)
        return changed


def drive(run, steps, world):
    """Goes through the steps. Returns (worlds that may be, name of the step cut short or None)."""
    for step in steps:
        after = step.after(world)
        try:
            step.run(run.mnt)
        except OSError as e:
            if e.errno not in GONE or not run.died(60):
                raise Failed(f"step '{step.name}': {e}; {mounted.tail(run.log)}") from None
            return [world, after], step
        world = after
    return [world], None


def same(seen, world):
    """Attributes count where the world says something of them."""
    return world == {k: v for k, v in seen.items()
                     if k in world or not k.startswith(ATTRIBUTES_OF + " ")}


def matches(seen, worlds, step):
    if any(same(seen, w) for w in worlds):
        return True
    if step is None or not step.loose:
        return False
    names = set(seen) | set(worlds[0]) | set(worlds[1])
    return all(seen.get(n) in (worlds[0].get(n), worlds[1].get(n)) for n in names)


def difference(seen, worlds):
    text = []
    for i, w in enumerate(worlds):
        for n in sorted(set(seen) | set(w)):
            if seen.get(n) != w.get(n):
                text.append(f"  {'done' if i else 'not done'}: {n}: "
                            f"expected {w.get(n)}, is {seen.get(n)}")
    return "\n".join(text[:40])


def keys_of(world):
    """What the bucket must hold for these names; directories may or may not have a marker."""
    keys, markers = {}, set()
    for name, value in world.items():
        if name.startswith(ATTRIBUTES_OF + " "):
            continue
        if value[0] == "file":
            keys[name] = value[1]
        elif value[0] == "dir":
            markers.add(name + "/")
        else:
            keys[name] = None  # a link or a FIFO: its bytes are not looked at
    return keys, markers


def check_bucket(run, world):
    keys, markers = keys_of(world)
    found = run.bucket_world()
    for key, digest in found.items():
        if key in markers:
            continue
        if key not in keys:
            raise Failed(f"nobody asked for the key '{key}'")
        if keys[key] and keys[key] != digest:
            raise Failed(f"'{key}' has other bytes in the bucket than in the mount")
    missing = set(keys) - set(found)
    if missing:
        raise Failed(f"not in the bucket: {sorted(missing)}")
    left = run.uploads()
    if left:
        raise Failed(f"unfinished uploads are left: {left}")


def one(bed, name, point, n, steps, reached, options=(), again=None, trace_to=None):
    """A run that dies at the n-th pass of point, which then goes into the set reached. again: the
    point at which the mount after it dies too. trace_to: a file for what that one passes."""
    run = Run(bed, name, options)
    cut = None
    try:
        run.mount(check=False, PAILFS_CRASH_AT=f"{point}:{n}")
        worlds = [{}]
        if os.path.ismount(run.mnt):
            worlds, cut = drive(run, steps, {})
            if run.daemon.poll() is None:
                try:
                    run.unmount()
                except Failed:
                    if run.daemon.poll() is None:
                        raise
        run.died(60)
        if run.daemon.returncode == -signal.SIGKILL:
            reached.add(point)
        elif run.daemon.returncode != 0:
            raise Failed(f"exit status {run.daemon.returncode}: " +
                         mounted.tail(run.folder + "/stderr.log"))
        run.clear()
        if again:
            run.mount(check=False, PAILFS_CRASH_AT=again)
            mounted.poll(60, lambda: run.daemon.poll() is not None or
                         run.status().get("recovery") == "done")
            try:
                if run.daemon.poll() is None:
                    run.unmount()
            except Failed:
                if not run.died(60):
                    raise
            if run.daemon.returncode == -signal.SIGKILL:
                reached.add(again)
            elif run.daemon.returncode != 0:
                raise Failed(f"exit status {run.daemon.returncode} of the recovery")
            run.clear()
        run.mount(**({"PAILFS_CRASH_TRACE": trace_to} if trace_to else {}))
        run.recovered()
        seen = run.mounted_world()
        if not matches(seen, worlds, cut):
            raise Failed("the names are not what was acknowledged:\n" + difference(seen, worlds))
        run.unmount()
        for last in (False,) * 4 + (True,):
            try:
                check_bucket(run, seen)
                break
            except Failed as e:
                if "unfinished uploads are left" in str(e) and point.startswith("s3.UploadPart"):
                    # The note of its id is not waited for: a busy machine may have stored the first part
                    # before it. Without the id, one that has parts may be another host's.
                    print(f"{point}:{n}: {e}", flush=True)
                    break
                # The look at what the server can do was cut short by the unmount: noted like a
                # crash. The next mount may be cut short in its own, on a busy machine.
                if last or "/probe-" not in str(e):
                    raise
                run.mount()
                run.recovered()
                run.unmount()
    except Failed as e:
        log = mounted.tail(run.log, 40)
        raise Failed(f"{point}:{n}{' then ' + again if again else ''}, cut short: {cut.name if cut else 'nothing'}: {e}\n{log}") from None
    except Exception:
        raise Failed(f"{point}:{n}: {traceback.format_exc()}\nexit status "
                     f"{run.daemon and run.daemon.poll()}\n{mounted.tail(run.log)}") from None
    finally:
        run.kill()
        run.clear()


def trace(bed, steps, options=()):
    """Passes of every point in a run without a crash, and a second mount."""
    run = Run(bed, "trace", options)
    path = run.folder + "/trace"
    try:
        run.mount(PAILFS_CRASH_TRACE=path)
        worlds, _ = drive(run, steps, {})
        seen = run.mounted_world()
        if not same(seen, worlds[0]):
            raise Failed("the workload is wrong without any crash:\n" + difference(seen, worlds))
        run.unmount()
        check_bucket(run, seen)
    finally:
        run.kill()
    return passes(path)


def passes(path):
    counts = {}
    with open(path) as f:
        for line in f:
            counts[line.strip()] = counts.get(line.strip(), 0) + 1
    return counts
