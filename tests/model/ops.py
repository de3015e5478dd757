# SPDX-License-Identifier: Apache-2.0
"""One side of the comparison: executes operations below a folder and tells what came of them.

An operation is a tuple of plain values, ("pwrite", slot, offset, length, seed), so that a sequence
can be printed and run again. A slot is a number that stands for an open descriptor. The result is
a tuple too: ("ok", ...) or ("error", "ENOENT"); equal results mean equal behaviour."""
import ctypes
import errno
import functools
import hashlib
import mmap
import os
import pickle
import random
import signal
import stat
import time
import traceback

# Times between these are "now"; those that a sequence sets are outside.
NOW_MIN_NS, NOW_MAX_NS = 1_650_000_000 * 10**9, 4_000_000_000 * 10**9
PAGE = mmap.PAGESIZE
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
LIBC = ctypes.CDLL(None, use_errno=True)


@functools.lru_cache(maxsize=8)
def content(length, seed):
    return random.Random(seed).randbytes(length)


def digest(data):
    """Short data as they are, long data so that a report can still be read."""
    if len(data) <= 24:
        return data
    return (len(data), hashlib.sha256(data).hexdigest()[:16], data[:8])


def error_name(number):
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))


def time_class(ns):
    return "now" if NOW_MIN_NS < ns < NOW_MAX_NS else ns


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def libc_call(name, *args):
    ctypes.set_errno(0)
    r = getattr(LIBC, name)(*args)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r


class Side:
    def __init__(self, root):
        self.root = root
        self.fds = {}

    def path(self, name):
        """No operation leaves the folder, whatever a list to replay says."""
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r} is not below the folder")
        return os.path.join(self.root, name) if name else self.root

    def run(self, op):
        try:
            value = getattr(self, "op_" + op[0])(*op[1:])
        except OSError as e:
            return ("error", error_name(e.errno))
        except KeyError:
            return ("no such slot",)
        return ("ok",) if value is None else ("ok", value)

    def close_all(self):
        for fd in self.fds.values():
            try:
                os.close(fd)
            except OSError:
                pass
        self.fds.clear()

    def in_child(self, fn, *args):
        """A process of its own with the same descriptors: SIGBUS and exits stay there."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 0
            try:
                os.close(r)
                try:
                    result = ("value", fn(*args))
                except OSError as e:
                    result = ("errno", e.errno)
                write_all(w, pickle.dumps(result))
            except BaseException:  # whatever it is, this process must not go on as a second test
                traceback.print_exc()
                status = 1
            os._exit(status)
        os.close(w)
        with os.fdopen(r, "rb") as f:
            answer = f.read()
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        kind, value = pickle.loads(answer)
        if kind == "errno":
            raise OSError(value, os.strerror(value))
        return value

    # ---- whole files ---- (O_NONBLOCK is for FIFOs: they must not wait for another end)

    def op_put(self, name, length, seed, chunk):
        """As cp writes: a new or truncated file from its beginning to its end."""
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
        try:
            data = memoryview(content(length, seed))
            for at in range(0, length, chunk):
                write_all(fd, data[at:at + chunk])
        finally:
            os.close(fd)

    def op_append(self, name, length, seed):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        try:
            write_all(fd, content(length, seed))
        finally:
            os.close(fd)

    def op_get(self, name):
        fd = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
        try:
            blocks = []
            while block := os.read(fd, 1 << 20):
                blocks.append(block)
            return digest(b"".join(blocks))
        finally:
            os.close(fd)

    # ---- descriptors ----

    def op_open(self, slot, name, flags, mode):
        fd = os.open(self.path(name), flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
        if slot in self.fds:
            os.close(self.fds.pop(slot))
        self.fds[slot] = fd

    def op_close(self, slot):
        os.close(self.fds.pop(slot))

    def op_dup(self, slot, to):
        fd = os.dup(self.fds[slot])
        if to in self.fds:
            os.close(self.fds.pop(to))
        self.fds[to] = fd

    def op_read(self, slot, length):
        return digest(os.read(self.fds[slot], length))

    def op_pread(self, slot, offset, length):
        return digest(os.pread(self.fds[slot], length, offset))

    def op_write(self, slot, length, seed):
        return os.write(self.fds[slot], content(length, seed))

    def op_pwrite(self, slot, offset, length, seed):
        return os.pwrite(self.fds[slot], content(length, seed), offset)

    def op_child_write(self, slot, length, seed):
        fd = self.fds[slot]
        return self.in_child(lambda: os.write(fd, content(length, seed)))

    def op_seek(self, slot, offset, whence):
        return os.lseek(self.fds[slot], offset, whence)

    def op_ftruncate(self, slot, size):
        os.ftruncate(self.fds[slot], size)

    def op_fsync(self, slot):
        os.fsync(self.fds[slot])

    def op_fdatasync(self, slot):
        os.fdatasync(self.fds[slot])

    def op_fstat(self, slot):
        return self.attributes(os.fstat(self.fds[slot]))

    def op_fchmod(self, slot, mode):
        os.fchmod(self.fds[slot], mode)

    def op_futimens(self, slot, atime_ns, mtime_ns):
        os.utime(self.fds[slot], ns=(atime_ns, mtime_ns))
        return self.times(os.fstat(self.fds[slot]))

    def op_fallocate(self, slot, mode, offset, length):
        libc_call("fallocate", self.fds[slot], mode, ctypes.c_long(offset), ctypes.c_long(length))
        if mode != 16:  # whether what changes no byte makes the time new is each filesystem's own affair
            os.utime(self.fds[slot])

    def op_copy_range(self, slot, offset, to, to_offset, length):
        return os.copy_file_range(self.fds[slot], self.fds[to], length, offset, to_offset)

    def op_mmap_read(self, slot, page, length):
        fd = self.fds[slot]

        def child():
            size = os.fstat(fd).st_size - page * PAGE
            if size <= 0:
                return "beyond"
            with mmap.mmap(fd, min(length, size), mmap.MAP_SHARED, mmap.PROT_READ,
                           offset=page * PAGE) as m:
                return digest(m[:])
        return self.in_child(child)

    def op_mmap_write(self, slot, page, length, seed, sync):
        fd = self.fds[slot]

        def child():
            size = os.fstat(fd).st_size - page * PAGE
            if size <= 0:
                return "beyond"
            n = min(length, size)
            with mmap.mmap(fd, n, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE,
                           offset=page * PAGE) as m:
                m[:] = content(n, seed)
                if sync:
                    m.flush()
            return n
        return self.in_child(child)

    # ---- names ----

    def op_truncate(self, name, size):
        os.truncate(self.path(name), size)

    def op_unlink(self, name):
        os.unlink(self.path(name))

    def op_mkdir(self, name, mode):
        os.mkdir(self.path(name), mode)

    def op_rmdir(self, name):
        os.rmdir(self.path(name))

    def op_rename(self, name, to):
        os.rename(self.path(name), self.path(to))

    def op_renameat2(self, name, to, flags):
        libc_call("renameat2", -100, os.fsencode(self.path(name)), -100,
                  os.fsencode(self.path(to)), flags)

    def op_link(self, name, to):
        os.link(self.path(name), self.path(to))

    def op_symlink(self, target, name):
        self.path(target)  # later operations follow it
        os.symlink(target, self.path(name))

    def op_readlink(self, name):
        return os.readlink(self.path(name))

    def op_mkfifo(self, name, mode):
        os.mkfifo(self.path(name), mode)

    def op_chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def op_chown(self, name, uid, gid):
        os.chown(self.path(name), uid, gid, follow_symlinks=False)

    def op_utimens(self, name, atime_ns, mtime_ns):
        os.utime(self.path(name), ns=(atime_ns, mtime_ns), follow_symlinks=False)
        return self.times(os.lstat(self.path(name)))

    def op_touch(self, name):
        os.utime(self.path(name))
        return self.times(os.stat(self.path(name)))  # a link's own time of access is nobody's affair

    def op_stat(self, name):
        return self.attributes(os.lstat(self.path(name)))

    def op_access(self, name, mode):
        return os.access(self.path(name), mode)

    def op_list(self, name):
        return sorted(os.listdir(self.path(name)))

    def op_setxattr(self, name, key, length, seed, flags):
        os.setxattr(self.path(name), key, content(length, seed), flags)

    def op_getxattr(self, name, key):
        return digest(os.getxattr(self.path(name), key))

    def op_removexattr(self, name, key):
        os.removexattr(self.path(name), key)

    # ---- the whole tree ----

    @staticmethod
    def times(st):
        return ("atime", time_class(st.st_atime_ns), "mtime", time_class(st.st_mtime_ns))

    @staticmethod
    def attributes(st):
        kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link",
                stat.S_IFIFO: "fifo"}.get(stat.S_IFMT(st.st_mode), "other")
        value = {"kind": kind, "uid": st.st_uid, "gid": st.st_gid}
        if kind != "link":
            value["mode"] = oct(stat.S_IMODE(st.st_mode))
        if kind == "file":
            value["size"] = st.st_size
            value["mtime"] = time_class(st.st_mtime_ns)
        return value

    def xattrs(self, path):
        try:
            names = os.listxattr(path, follow_symlinks=False)
            return {n: digest(os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names)
                    if n.startswith("user.") and not n.startswith("user.s3.")}
        except OSError as e:
            if e.errno != errno.EOPNOTSUPP:
                raise
            return {}

    def describe(self, name):
        """Everything about one name. What differs from call to call on one side is a finding."""
        path = self.path(name)
        st = os.lstat(path)
        value = self.attributes(st)
        if value["kind"] == "file":
            value["content"] = self.op_get(name)
        elif value["kind"] == "link":
            value["target"] = os.readlink(path)
        elif value["kind"] == "dir" and time_class(st.st_mtime_ns) != "now":
            value["mtime"] = st.st_mtime_ns
        attributes = self.xattrs(path)
        if attributes:
            value["xattrs"] = attributes
        return value

    def tree(self):
        """name -> description, for all names below the root."""
        found = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(self.path(folder)) as entries:
                listed = [(e.name, e.inode(), e.is_dir(follow_symlinks=False),
                           e.is_file(follow_symlinks=False)) for e in entries]
            for base, ino, is_dir, is_file in listed:
                name = folder + "/" + base if folder else base
                if name in found:
                    found[name] = "listed twice"
                    continue
                try:
                    value = found[name] = self.describe(name)
                    if os.lstat(self.path(name)).st_ino != ino:
                        value["inode"] = "not the one of the listing"
                except OSError as e:
                    found[name] = error_name(e.errno)
                    continue
                if (is_dir, is_file) != (value["kind"] == "dir", value["kind"] == "file"):
                    value["type"] = "not the one of the listing"
                if is_dir:
                    folders.append(name)
        return found


# ---- mistakes on purpose: what the model must find ----

class TimeLost(Side):
    """chmod makes the time now."""

    def op_chmod(self, name, mode):
        super().op_chmod(name, mode)
        st = os.stat(self.path(name))
        os.utime(self.path(name), ns=(st.st_atime_ns, time.time_ns()))


class TruncateShort(Side):
    """A page too much is cut away."""

    def op_truncate(self, name, size):
        super().op_truncate(name, size)
        os.truncate(self.path(name), max(0, size - PAGE) if size > PAGE else size)


class UnlinkLeft(Side):
    """Files of more than a page stay."""

    def op_unlink(self, name):
        st = os.lstat(self.path(name))
        if not stat.S_ISREG(st.st_mode) or st.st_size <= PAGE:
            super().op_unlink(name)


class HoleFilled(Side):
    """What was never written is not zero."""

    def op_pwrite(self, slot, offset, length, seed):
        size = os.fstat(self.fds[slot]).st_size
        n = super().op_pwrite(slot, offset, length, seed)
        if offset > size:
            os.pwrite(self.fds[slot], b"x", offset - 1)
        return n


BROKEN = {"mtime": TimeLost, "truncate": TruncateShort, "unlink": UnlinkLeft, "hole": HoleFilled}
