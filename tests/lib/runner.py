#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that tests/run.sh built. A test is an executable: exit 0 passed, 77 skipped (its
last line says what is missing), anything else failed. Each gets a scratch folder of its own in
$SCRATCH, a time limit, and an environment that tells the server to use; see tests/README.md."""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ["BUILD_DIR"]
ASAN = BUILD + "-asan"
CRASH = os.environ.get("CRASH_BUILD", ASAN)  # with the points at which it dies

# In any output or daemon log these mean a failure although the exit status was 0.
SUSPICIOUS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed|"
    r"stack smashing|double free|core dumped|Segmentation fault")


# Other ways of mounting in which the mounted tests run once more, on s3d: groups fs-NAME-s3d. A test
# that a way says nothing about leaves it out with a line "# modes:" and the names of those it wants.
MODES = {
    "posix": {"TEST_MOUNT_OPTIONS": "posix=on"},
    "user": {"TEST_USER": "65534"},
    "writeback": {"TEST_MOUNT_OPTIONS": "writeback"},
}


class Test:
    def __init__(self, group, name, command, env=None, limit=120, heavy=False):
        self.group, self.name, self.command = group, name, command
        self.env, self.limit, self.heavy = env or {}, limit, heavy


def scripts(folder):
    found = []
    for pattern in ("*.sh", "test_*.py", "errno_*.py", "race_*.py"):
        found += glob.glob(os.path.join(ROOT, "tests", folder, pattern))
    return sorted(p for p in found if os.access(p, os.X_OK))


def stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def header(path, key):
    """Reads "# key: value" from the first lines of a test script."""
    with open(path, encoding="utf-8", errors="replace") as f:
        for _, line in zip(range(20), f):
            m = re.match(r"#\s*" + key + r":\s*(.+)", line)
            if m:
                return m.group(1).strip()
    return None


def unit_tests(build):
    return sorted(p for p in glob.glob(build + "/tests/unit/test_*")
                  if os.path.isfile(p) and os.access(p, os.X_OK))


def script_tests(group, folder, env=None, server=None, only=None):
    tests = []
    for path in scripts(folder):
        servers = (header(path, "servers") or "s3d rgw").split()
        # What runs on a gateway runs on the newer one too.
        if server and server not in servers + ["rgw20"] * ("rgw" in servers):
            continue
        if only and (header(path, only) or "yes") == "no":
            continue
        e = dict(env or {})
        if server:
            e["TEST_SERVER"] = server
        tests.append(Test(group, f"{group}/{stem(path)}", [path], e,
                          int(header(path, "limit") or 180), header(path, "heavy") == "yes"))
    return tests


def mode_tests():
    """As root alone: lib/as_user.sh needs it, and an ordinary user's tests are one all the time."""
    tests = []
    for mode, env in MODES.items():
        if mode == "user" and os.getuid() != 0:
            continue
        for test in script_tests(f"fs-{mode}-s3d", "fs", env, server="s3d"):
            wanted = header(test.command[0], "modes")
            if wanted is None or mode in wanted.split():
                if mode == "user":
                    test.command = [os.path.join(ROOT, "tests/lib/as_user.sh")] + test.command
                tests.append(test)
    return tests


def collect():
    tests = []
    for path in scripts("lint"):
        tests.append(Test("lint", "lint/" + stem(path), [path], limit=400))
    for path in unit_tests(BUILD):
        tests.append(Test("unit", "unit/" + stem(path), [path]))
    tests += script_tests("s3d", "s3d")
    for server in ("s3d", "rgw"):
        tests += script_tests("client-" + server, "client", server=server)
        tests += script_tests("examples-" + server, "examples", server=server)
        tests += script_tests("fs-" + server, "fs", server=server)
        tests += script_tests("model-" + server, "model", server=server)
        tests += script_tests("tools-" + server, "tools", server=server)
        tests += script_tests("real-" + server, "real", server=server)
        tests += script_tests("crash-" + server, "crash", {"CRASH_BUILD": CRASH}, server)
    if OPTIONS.rgw20:
        for folder in ("client", "examples", "fs", "real"):
            tests += script_tests(folder + "-rgw20", folder, server="rgw20")
    tests += mode_tests()
    asan = {"BUILD_DIR": ASAN, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", "SANITIZED": "1"}
    for path in unit_tests(ASAN):
        tests.append(Test("asan-unit", "asan-unit/" + stem(path), [path], asan, 300))
    tests += script_tests("asan-fs", "fs", asan, server="s3d", only="asan")
    tests += script_tests("asan-model", "model", asan, server="s3d", only="asan")
    return tests


class Gateway:
    """A gateway is started once, by the first test that needs it, and shared."""

    def __init__(self, scratch, name):
        self.folder = os.path.join(scratch, name)
        self.newer = name == "rgw20"
        self.lock = threading.Lock()
        self.env = None
        self.error = None

    def run(self, *command, **env):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, **env))

    def start(self):
        with self.lock:
            if self.env is None and self.error is None:
                env = {}
                if self.newer:
                    p = self.run(ROOT + "/tests/lib/rgw_root.py")
                    if p.returncode:
                        self.error = p.stdout
                        return None
                    env["CEPH_ROOT"] = p.stdout.strip()
                for _ in range(3):  # what fails here fails a hundred tests
                    p = self.run(ROOT + "/tests/lib/rgw.py", "start", self.folder, **env)
                    if p.returncode == 0:
                        break
                if p.returncode:
                    self.error = p.stdout
                else:
                    self.env = {"RGW_DIR": self.folder}
            return self.env

    def stop(self):
        if os.path.exists(self.folder):
            subprocess.run([ROOT + "/tests/lib/rgw.py", "stop", self.folder], check=False)


def unmount_below(folder):
    """What a failed test left mounted: detach it so that the folder can be removed."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        points = [line.split()[1].encode().decode("unicode_escape") for line in f]
    for point in reversed([p for p in points if p.startswith(folder + "/")]):
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)


def kill_marked(marker):
    """Ends every process that carries this test's SCRATCH in its environment."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if marker in f.read().split(b"\0") and int(pid) != os.getpid():
                    os.kill(int(pid), signal.SIGKILL)
        except (OSError, PermissionError):
            pass


def last_lines(text, n):
    return "\n".join(text.splitlines()[-n:]) + "\n" if text else ""


def run_one(test, gateways, scratch_root):
    start = time.monotonic()
    scratch = tempfile.mkdtemp(prefix=re.sub(r"\W", "-", test.name) + ".", dir=scratch_root)
    env = dict(os.environ, BUILD_DIR=BUILD, SOURCE_DIR=ROOT, LC_ALL="C.UTF-8")
    for name in list(env):
        if name.startswith("AWS_") or name.startswith("S3_"):
            del env[name]
    env.update(HOME=scratch, SCRATCH=scratch, TMPDIR=scratch, TEST_NAME=test.name,
               XDG_CACHE_HOME=os.path.join(scratch, "cache"))
    env.update(test.env)
    gateway = gateways.get(test.env.get("TEST_SERVER"))
    if gateway:
        extra = gateway.start()
        if extra is None:
            return "FAIL", time.monotonic() - start, "the gateway did not start:\n" + gateway.error
        env.update(extra)
    log = os.path.join(scratch, "test.log")
    with open(log, "wb") as out:
        p = subprocess.Popen(test.command, cwd=scratch, env=env, stdout=out, stderr=out,
                             stdin=subprocess.DEVNULL, start_new_session=True)
        limit = test.limit * (3 if test.env.get("SANITIZED") else 1)
        try:
            rc = p.wait(timeout=limit)
            note = ""
        except subprocess.TimeoutExpired:
            rc, note = -1, f"\ntime limit of {limit} s reached, killed"
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if rc == -1:
        p.wait()
    kill_marked(b"SCRATCH=" + scratch.encode())
    unmount_below(scratch)
    text = logs = ""
    for path in [log] + sorted(glob.glob(scratch + "/**/*.log", recursive=True)):
        if path == log and text:
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                content = f.read()
        except OSError:
            continue
        if path == log:
            text = content + note
        if SUSPICIOUS.search(content) and rc in (0, 77):
            rc = -2
            text += f"\nsuspicious words in {os.path.relpath(path, scratch)}:\n" + content[-6000:]
        elif path != log and rc not in (0, 77):
            logs += f"\n--- {os.path.relpath(path, scratch)} (end)\n" + content[-3000:]
    # Many logs must not hide what the test itself said.
    text = last_lines(text, 60) + last_lines(logs, 80)
    state = "ok" if rc == 0 else "skip" if rc == 77 else "FAIL"
    if rc not in (0, 77, -1, -2):
        text += f"\nexit status {rc}"
    if not (OPTIONS.keep and state == "FAIL"):
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        text += f"\nkept: {scratch}"
    return state, time.monotonic() - start, text


class Turns:
    """Which test comes next, for several threads: those that take long first, so that none is left
    alone at the end; of those that move gigabytes one at a time, without anybody waiting for it."""

    LONG = ("crash", "real", "model", "asan-model", "asan-fs", "tools", "fs")

    def __init__(self, tests):
        self.waiting = sorted(tests, key=self.rank)  # stable
        self.condition = threading.Condition()
        self.heavy = False

    @classmethod
    def rank(cls, test):
        for i, group in enumerate(cls.LONG):
            if test.group == group or test.group.startswith(group + "-"):
                return (not test.heavy, i)
        return (not test.heavy, len(cls.LONG))

    def __iter__(self):
        return self

    def __next__(self):
        with self.condition:
            while self.waiting:
                for test in self.waiting:
                    if not (test.heavy and self.heavy):
                        self.waiting.remove(test)
                        self.heavy |= test.heavy
                        return test
                self.condition.wait()
            raise StopIteration

    def ended(self, test):
        with self.condition:
            if test.heavy:
                self.heavy = False
            self.condition.notify_all()


def main():
    tests = collect()
    if OPTIONS.rgw20 and not OPTIONS.only:
        tests = [t for t in tests if t.group.endswith("-rgw20")]
    if OPTIONS.only:
        wanted = OPTIONS.only.split(",")
        known = {t.group for t in tests}
        for w in wanted:
            if not any(g == w or g.startswith(w + "-") for g in known):
                sys.exit(f"run.sh: no group '{w}'; there are: {' '.join(sorted(known))}")
        tests = [t for t in tests if any(t.group == w or t.group.startswith(w + "-")
                                         for w in wanted)]
    if OPTIONS.names:
        tests = [t for t in tests if any(n in t.name for n in OPTIONS.names)]
    if OPTIONS.list:
        print("\n".join(t.name for t in tests))
        return 0
    if not tests:
        sys.exit("run.sh: no test has such a name; see tests/run.sh --list")
    scratch_root = tempfile.mkdtemp(prefix="pailfs-tests.", dir=os.environ.get("TMPDIR"))
    gateways = {name: Gateway(scratch_root, name) for name in ("rgw", "rgw20")}
    os.chmod(scratch_root, 0o711)  # other users' tests have their folder below it
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    failures = []
    lock = threading.Lock()
    begin = time.monotonic()
    turns = Turns(tests)

    def work():
        for test in turns:
            try:
                tell(test, *run_one(test, gateways, scratch_root))
            finally:
                turns.ended(test)

    def tell(test, state, seconds, text):
        with lock:
            counts[state] += 1
            print(f"{state:4} {seconds:6.1f} s  {test.name}", flush=True)
            if state == "skip":
                print("              " + (text.strip().splitlines() or ["no reason given"])[-1])
            if state == "FAIL":
                failures.append(test.name)
                print("\n".join("    | " + l for l in text.strip().splitlines()), flush=True)

    try:
        with concurrent.futures.ThreadPoolExecutor(OPTIONS.jobs) as pool:
            for future in [pool.submit(work) for _ in range(OPTIONS.jobs)]:
                future.result()
    finally:
        for gateway in gateways.values():
            gateway.stop()
        unmount_below(scratch_root)
        if not OPTIONS.keep:
            shutil.rmtree(scratch_root, ignore_errors=True)
    print(f"{time.monotonic() - begin:.0f} s in all")
    for name in failures:
        print("failed: " + name)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] or not counts["ok"] else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests/run.sh")
    parser.add_argument("--only", help="groups, comma-separated; 'fs' means fs-s3d and fs-rgw")
    parser.add_argument("--rgw20", action="store_true",
                        help="the groups on the newer gateway: client-rgw20, fs-rgw20 ... (root)")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folders of failures")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 2) + 1,
                        help="tests at a time; many wait for a server more than they work")
    parser.add_argument("names", nargs="*", metavar="NAME-PART")
    OPTIONS = parser.parse_args()
    sys.exit(main())
