# SPDX-License-Identifier: Apache-2.0
"""Tables of system calls and the errno that each must give, run on a local folder (which proves the
table) and on the mount.

    t = errnos.Table({"symlink": "EOPNOTSUPP"})          what this version does not do, and its errno
    t.case("mkdir: a file is there", "EEXIST", lambda: os.mkdir("f"))
    t.case("link", "EPERM", lambda: os.link("f", "z"), local="ok")       where a disk is more able
    t.case("stat through a loop", "ELOOP", ..., needs="symlink")         waits for its row to go
    sys.exit(t.run(mount))

Each case has a new folder as its working directory: f ("content"), d/x ("x"), e (empty). A call that
fails must leave it as it was. Expected: a name, a tuple of names, "ok", or None = as locally."""
import ctypes
import errno
import os
import stat
import sys
import traceback

SCRATCH = os.environ.get("SCRATCH", "")
LIBC = ctypes.CDLL(None, use_errno=True)
NAME = "n" * 255
OTHER_UID, OTHER_GID = 54321, 54322


def error_name(number):
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))


def libc(name, *args):
    ctypes.set_errno(0)
    r = getattr(LIBC, name)(*args)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r


def renameat2(a, b, flags):
    libc("renameat2", -100, os.fsencode(a), -100, os.fsencode(b), flags)


def opens(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


def put(path, data=b"content", mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        assert os.write(fd, data) == len(data)
    finally:
        os.close(fd)


def get(path):
    with open(path, "rb") as f:
        return f.read()


def with_fd(path, flags, fn):
    fd = os.open(path, flags, 0o644)
    try:
        return fn(fd)
    finally:
        os.close(fd)


def expect(what, want, got):
    assert want == got, f"{what}: expected {want!r}, got {got!r}"


def as_user(fn, uid=OTHER_UID, gid=OTHER_GID, groups=()):
    """fn by another user, in a process of its own: the folder it works in is inherited, so that
    nothing above needs to be open to that user."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = "assert no answer"
        try:
            os.close(r)
            os.setgroups(list(groups))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            os.umask(0o022)
            fn()
            answer = "ok"
        except OSError as e:
            answer = f"errno {e.errno}"
        except BaseException as e:  # the child must not go on as a second test
            answer = f"assert {e}"
        os.write(w, answer.encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        kind, _, text = f.read().partition(" ")
    os.waitpid(pid, 0)
    if kind == "errno":
        raise OSError(int(text), os.strerror(int(text)))
    assert kind == "ok", text


def snapshot(folder="."):
    found = {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            st = os.lstat(path)
            found[path] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size if
                           not stat.S_ISDIR(st.st_mode) else 0,
                           get(path) if stat.S_ISREG(st.st_mode) else None)
    return found


class Case:
    def __init__(self, what, want, call, local, needs, setup):
        self.what, self.want, self.call, self.local = what, want, call, local
        self.needs, self.setup = needs, setup
        self.changes = False  # a call before the one that fails alters something


class Table:
    def __init__(self, later=None):
        self.later = later or {}
        self.cases = []

    def case(self, what, want, call, local=None, needs=None, setup=None):
        self.cases.append(Case(what, want, call, local or want, needs, setup))

    def paths(self, title, call, last="n", skip=(), local=None):
        """What path resolution finds wrong, whatever the call is. last: a name for the end of paths
        whose beginning is wrong."""
        rows = [
            ("the parent is absent", "ENOENT", f"absent/{last}", None),
            ("the parent is a file", "ENOTDIR", f"f/{last}", None),
            ("a name of 256 bytes", "ENAMETOOLONG", "n" * 256, None),
            ("a parent of 256 bytes", "ENAMETOOLONG", "n" * 256 + "/n", None),
            ("a path of 4,096 bytes", "ENAMETOOLONG", "./" * 2047 + "ff", None),
            ("an empty path", "ENOENT", "", None),
            ("a loop of symbolic links", "ELOOP", f"loop/{last}", "symlink"),
        ]
        for what, want, path, needs in rows:
            if what not in skip:
                self.case(f"{title}: {what}", want, lambda path=path: call(path), needs=needs,
                          local=local, setup=(lambda: os.symlink("loop", "loop")) if needs else None)

    # ---- running ----

    @staticmethod
    def fixture(root, number):
        os.chdir(root)
        os.mkdir(str(number))
        os.chdir(str(number))
        put("f")
        os.mkdir("d")
        put("d/x", b"x")
        os.mkdir("e")

    @staticmethod
    def outcome(call):
        try:
            call()
            return "ok"
        except OSError as e:
            return error_name(e.errno)
        except AssertionError as e:
            return f"but {e}"
        except Exception:  # a mistake in the test itself is a failure too
            return "broke: " + traceback.format_exc(limit=4)

    def one(self, case, root, number, problems, title, want):
        try:
            self.fixture(root, number)
            if case.setup:
                case.setup()
            before = snapshot()
        except (OSError, AssertionError) as e:
            problems.append(f"{title}: {case.what}: the preparation failed: {e}")
            return None
        got = self.outcome(case.call)
        if want is not None and got not in (want if isinstance(want, tuple) else (want,)):
            problems.append(f"{title}: {case.what}: expected {want}, got {got}")
        elif got != "ok" and not got.startswith(("but", "broke")) and not case.changes:
            after = snapshot()
            if after != before:
                changed = {k: (before.get(k), after.get(k)) for k in set(before) | set(after)
                           if before.get(k) != after.get(k)}
                problems.append(f"{title}: {case.what}: {got}, but changed {changed}")
        return got

    def run_as(self, uid, mount_root):
        """run() by an ordinary user, in a folder of his on both sides; what the mount answers is
        compared with what the local folder answers, but for the cases where the two differ."""
        folders = []
        for root in (mount_root, SCRATCH):
            folder = f"{root}/user-{uid}"
            os.mkdir(folder)
            os.chown(folder, uid, uid)
            folders.append(os.open(folder, os.O_PATH))
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                # $SCRATCH itself is root's alone: both folders are reached by descriptors.
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                print(f"as user {uid}:")
                status = self.run(*folders, as_locally=True)
            except BaseException:  # the child must not go on as a second test
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(status)
        for fd in folders:
            os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def run(self, mount_root, local_root=None, as_locally=False):
        """1 when there are problems, each printed. local_root False: on the mount only.
        as_locally: the local answer replaces what the table expects of both."""
        os.umask(0o022)
        problems, waiting = [], 0
        if local_root is None:
            local_root = SCRATCH + "/local"
            os.makedirs(local_root)
        for number, case in enumerate(self.cases):
            missing = case.needs in self.later
            local = None
            if local_root:
                local = self.one(case, local_root, number, problems, "locally",
                                 None if as_locally else case.local)
            if missing:
                waiting += 1
                continue
            want = case.want or local
            if as_locally and case.want == case.local:
                want = local
            self.one(case, mount_root, number, problems, "on the mount", want)
        os.chdir("/")
        for p in problems:
            print(p)
        print(f"{len(self.cases)} cases, {waiting} of them wait for another version, "
              f"{len(problems)} problems")
        assert self.cases
        return 1 if problems else 0
