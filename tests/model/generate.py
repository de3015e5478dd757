# SPDX-License-Identifier: Apache-2.0
"""Random operations. What is likely and what is never asked for depends on the profile:

basic    names, attributes, whole files, streams of any size, any offset in small files, several
         descriptors of one file
full     everything that a local disk does short of hard links"""
import os
import stat

MIB = 1 << 20
SLOTS = 6
NAMES = ["a", "b", "c", "dir", "x.txt", "blank in name", "gr\u00fcn", "100%25"]
ODD_NAMES = ["caf\udce9", "%@x", "n" * 255, "new\nline"]
XATTRS = ["user.a", "user.b", "user.mime_type", "user.gr\u00fcn"]
MODES = [0o644, 0o600, 0o755, 0o444, 0o000, 0o4755, 0o2711, 0o640, 0o1777, 0o666]
DIR_MODES = [0o755, 0o700, 0o1777, 0o2775, 0o555]
NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16

# operation -> how often, relative to the others
BASIC = {
    "put": 60, "append": 20, "get": 30, "big_put": 2, "big_append": 2,
    "open": 60, "close": 30, "dup": 6, "read": 20, "pread": 30, "write": 40, "pwrite": 40,
    "child_write": 3, "seek": 10, "ftruncate": 10, "fsync": 12, "fdatasync": 4, "fstat": 15,
    "fchmod": 4, "futimens": 4, "truncate": 15, "unlink": 25, "mkdir": 25, "rmdir": 15,
    "rename": 40, "renameat2": 10, "chmod": 20, "chown": 10, "utimens": 30, "touch": 5,
    "stat": 20, "access": 5, "list": 12, "mmap_read": 6, "remount": 3,
    "symlink": 8, "readlink": 3, "mkfifo": 2,
    "link": 1,  # answers that it is not supported, and alters nothing
}
FULL = dict(BASIC, **{
    "big_put": 5, "big_append": 5, "big_pwrite": 8, "big_truncate": 4,
    "mmap_read": 10, "mmap_write": 12, "fallocate": 6, "copy_range": 6,
    "symlink": 12, "readlink": 5, "mkfifo": 3, "setxattr": 14, "getxattr": 8, "removexattr": 5,
})
# What is at the name afterwards is asked for now and then.
LOOKED_AT = {"put", "append", "truncate", "unlink", "mkdir", "rmdir", "rename", "renameat2", "chmod",
             "chown", "utimens", "touch", "foreign_put", "foreign_delete"}
FOREIGN = {"foreign_put": 40, "foreign_delete": 15}


class Generator:
    def __init__(self, rnd, profile, root, foreign=False, small=1 << 20, kill=False):
        self.rnd, self.root, self.full = rnd, root, profile == "full"
        self.small = small
        weights = dict(FULL if self.full else BASIC)
        if foreign:
            weights.update(FOREIGN)
        if kill:
            weights["kill"] = 12
        self.names = NAMES + ODD_NAMES if self.full else NAMES
        self.kinds, self.weights = list(weights), list(weights.values())

    # ---- what there is ----

    def look(self):
        """The tree on the local side: lists of files, directories and others."""
        self.files, self.dirs, self.others = [], [""], []
        for folder in self.dirs:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                found = sorted((e.name, e.stat(follow_symlinks=False).st_mode) for e in entries)
            for base, mode in found:
                name = folder + "/" + base if folder else base
                kind = self.dirs if stat.S_ISDIR(mode) else (
                    self.files if stat.S_ISREG(mode) else self.others)
                kind.append(name)

    def any_name(self):
        """Anywhere, present or not; seldom below a file."""
        r = self.rnd.random()
        present = self.files + self.dirs[1:] + self.others
        if r < 0.45 and present:
            return self.rnd.choice(present)
        parent = self.rnd.choice([d for d in self.dirs if d.count("/") < 3])
        if r > 0.98 and self.files:
            parent = self.rnd.choice(self.files)
        base = self.rnd.choice(self.names)
        return parent + "/" + base if parent else base

    def file(self):
        """Mostly a file."""
        if self.files and self.rnd.random() < 0.9:
            return self.rnd.choice(self.files)
        return self.any_name()

    def folder(self):
        return self.rnd.choice(self.dirs) if self.rnd.random() < 0.9 else self.any_name()

    def size(self):
        """Small and odd sizes, the edges of pages and requests."""
        r = self.rnd.random()
        if r < 0.1:
            return 0
        if r < 0.4:
            return self.rnd.randrange(1, 300)
        if r < 0.6:
            return self.rnd.choice([4095, 4096, 4097, 8192, 65536, 131072, 131073])
        if r < 0.9:
            return self.rnd.randrange(1, 70000)
        return self.rnd.randrange(1, self.small)

    def big_size(self):
        part = 5 * MIB
        return self.rnd.choice([part, part - 1, part + 1, 2 * part, 2 * part + 77, 11 * MIB,
                                self.rnd.randrange(3 * MIB, 17 * MIB)])

    def big_file(self):
        big = [f for f in self.files
               if os.lstat(os.path.join(self.root, f)).st_size > 2 * MIB]
        return self.rnd.choice(big) if big else None

    def slot(self):
        return self.rnd.randrange(SLOTS)

    def seed(self):
        return self.rnd.randrange(1 << 16)

    def mode(self):
        return self.rnd.choice(MODES)

    def past(self):
        """A time that is not now: also before 1970, after 2038 and with every digit."""
        year = 31_556_952
        seconds = self.rnd.choice([0, -1, self.rnd.randrange(-20 * year, 49 * year),
                                   self.rnd.randrange(1, 49 * year), 2**32 + 5])
        return seconds * 10**9 + self.rnd.choice([0, 1, 999_999_999, self.rnd.randrange(10**9)])

    # ---- one operation ----

    def next(self):
        """One operation, or a few that belong together."""
        self.look()
        if len(self.files) + len(self.dirs) > 45 and self.rnd.random() < 0.3:
            return [("unlink", self.rnd.choice(self.files))] if self.files else []
        kind = self.rnd.choices(self.kinds, self.weights)[0]
        made = getattr(self, "make_" + kind)()
        if made is None:
            return []
        made = made if isinstance(made, list) else [made]
        if kind in LOOKED_AT and self.rnd.random() < 0.3:
            made.append(("stat", made[-1][2] if "rename" in kind else made[-1][1]))
        return made

    def make_put(self):
        return ("put", self.any_name() if self.rnd.random() < 0.7 else self.file(), self.size(),
                self.seed(), self.rnd.choice([4096, 100_000, 1 << 20]))

    def make_big_put(self):
        return ("put", self.any_name(), self.big_size(), self.seed(),
                self.rnd.choice([65536, 1 << 20, 999_999]))

    def make_append(self):
        return ("append", self.file(), self.size(), self.seed())

    def make_big_append(self):
        name = self.big_file()
        return name and ("append", name, self.rnd.choice([1, 4096, self.big_size()]), self.seed())

    def make_get(self):
        return ("get", self.file())

    def make_open(self):
        access = self.rnd.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR])
        flags = access
        for flag, chance in ((os.O_CREAT, 0.5), (os.O_TRUNC, 0.2), (os.O_APPEND, 0.2),
                             (os.O_EXCL, 0.1), (os.O_DIRECTORY, 0.02), (os.O_NOFOLLOW, 0.05)):
            if self.rnd.random() < chance:
                flags |= flag
        if flags & os.O_EXCL and not flags & os.O_CREAT:
            flags &= ~os.O_EXCL
        if flags & os.O_DIRECTORY:  # with O_CREAT it differs between kernels
            flags &= ~(os.O_CREAT | os.O_EXCL)
        if flags & os.O_TRUNC and access == os.O_RDONLY:
            flags &= ~os.O_TRUNC
        name = self.any_name() if flags & os.O_CREAT else self.file()
        return ("open", self.slot(), name, flags, self.rnd.choice([0o644, 0o600, 0o444, 0o755]))

    def make_close(self):
        return ("close", self.slot())

    def make_dup(self):
        return ("dup", self.slot(), self.slot())

    def make_read(self):
        return ("read", self.slot(), self.rnd.choice([1, 100, 4096, 131072, 1 << 20]))

    def make_pread(self):
        return ("pread", self.slot(), self.offset(), self.size() + 1)

    def offset(self):
        r = self.rnd.random()
        if r < 0.2:
            return 0
        if r < 0.5:
            return self.rnd.randrange(0, 5000)
        if r < 0.7:
            return self.rnd.choice([4095, 4096, 65536, 131072, 262144])
        return self.rnd.randrange(0, 2 * self.small)

    def make_write(self):
        return ("write", self.slot(), self.size() + 1, self.seed())

    def make_child_write(self):
        return ("child_write", self.slot(), self.size() + 1, self.seed())

    def make_pwrite(self):
        return ("pwrite", self.slot(), self.offset(), self.size() + 1, self.seed())

    def make_big_pwrite(self):
        name = self.big_file()
        if not name:
            return self.make_big_put()
        slot = self.slot()
        size = os.lstat(os.path.join(self.root, name)).st_size
        made = [("open", slot, name, self.rnd.choice([os.O_WRONLY, os.O_RDWR]), 0o644)]
        for _ in range(self.rnd.randrange(1, 4)):
            offset = self.rnd.choice([0, self.rnd.randrange(size), size, size + 3 * MIB])
            made.append(("pwrite", slot, offset, self.size() + 1, self.seed()))
            if self.rnd.random() < 0.3:
                made.append(("pread", slot, self.rnd.randrange(size), 70000))
            if self.rnd.random() < 0.2:
                made.append(("fsync", slot))
        if self.rnd.random() < 0.7:
            made.append(("close", slot))
        return made

    def make_big_truncate(self):
        name = self.big_file()
        if not name:
            return self.make_big_put()
        size = os.lstat(os.path.join(self.root, name)).st_size
        return ("truncate", name, self.rnd.choice([self.rnd.randrange(size), size + 4 * MIB,
                                                   5 * MIB, 5 * MIB + 1]))

    def make_seek(self):
        return ("seek", self.slot(), self.offset(), self.rnd.choice([os.SEEK_SET, os.SEEK_CUR,
                                                                     os.SEEK_END]))

    def make_ftruncate(self):
        return ("ftruncate", self.slot(), self.rnd.choice([0, self.size(), self.offset()]))

    def make_truncate(self):
        return ("truncate", self.file(), self.rnd.choice([0, self.size(), self.offset()]))

    def make_fsync(self):
        return ("fsync", self.slot())

    def make_fdatasync(self):
        return ("fdatasync", self.slot())

    def make_fstat(self):
        return ("fstat", self.slot())

    def make_fchmod(self):
        return ("fchmod", self.slot(), self.mode())

    def make_futimens(self):
        return ("futimens", self.slot(), self.past(), self.past())

    def make_fallocate(self):
        mode = self.rnd.choice([0, KEEP_SIZE, KEEP_SIZE | PUNCH_HOLE, ZERO_RANGE,
                                ZERO_RANGE | KEEP_SIZE])
        return ("fallocate", self.slot(), mode, self.offset(), self.size() + 1)

    def make_copy_range(self):
        return ("copy_range", self.slot(), self.offset(), self.slot(), self.offset(),
                self.size() + 1)

    def make_mmap_read(self):
        return ("mmap_read", self.slot(), self.rnd.randrange(4), self.size() + 1)

    def make_mmap_write(self):
        return ("mmap_write", self.slot(), self.rnd.randrange(4), self.size() + 1, self.seed(),
                self.rnd.random() < 0.5)

    def make_unlink(self):
        return ("unlink", self.file() if self.rnd.random() < 0.8 else self.any_name())

    def make_mkdir(self):
        return ("mkdir", self.any_name(), self.rnd.choice(DIR_MODES))

    def make_rmdir(self):
        return ("rmdir", self.folder() or self.any_name())

    def make_rename(self):
        source = self.file() if self.rnd.random() < 0.6 else self.any_name()
        return ("rename", source, self.any_name())

    def make_renameat2(self):
        flags = EXCHANGE if self.full and self.rnd.random() < 0.4 else NOREPLACE
        return ("renameat2", self.any_name(), self.any_name(), flags)

    def make_link(self):
        return ("link", self.file(), self.any_name())

    def make_symlink(self):
        return ("symlink", self.rnd.choice(["a", "dir/b", "absent", "x.txt", "a/" * 400]),
                self.any_name())

    def make_readlink(self):
        return ("readlink", self.rnd.choice(self.others) if self.others else self.any_name())

    def make_mkfifo(self):
        return ("mkfifo", self.any_name(), self.mode())

    def present(self):
        return self.any_name() if self.rnd.random() < 0.2 else self.rnd.choice(
            self.files + self.dirs + self.others)

    def make_chmod(self):
        return ("chmod", self.present(), self.mode())

    def make_chown(self):
        if os.geteuid() != 0:
            return None
        return ("chown", self.present(), self.rnd.choice([-1, 0, 1234, 4_000_000_000]),
                self.rnd.choice([-1, 0, 2345]))

    def make_utimens(self):
        return ("utimens", self.present(), self.past(), self.past())

    def make_touch(self):
        return ("touch", self.present())

    def make_stat(self):
        return ("stat", self.any_name())

    def make_access(self):
        return ("access", self.any_name(), self.rnd.choice([os.F_OK, os.R_OK, os.W_OK, os.X_OK]))

    def make_list(self):
        return ("list", self.folder())

    def make_setxattr(self):
        return ("setxattr", self.file() if self.rnd.random() < 0.8 else self.folder(),
                self.rnd.choice(XATTRS), self.rnd.choice([0, 1, 20, 200, 300]), self.seed(),
                self.rnd.choice([0, 0, 0, os.XATTR_CREATE, os.XATTR_REPLACE]))

    def make_getxattr(self):
        return ("getxattr", self.file(), self.rnd.choice(XATTRS))

    def make_removexattr(self):
        return ("removexattr", self.file(), self.rnd.choice(XATTRS))

    def make_remount(self):
        return ("remount",)

    def make_kill(self):
        return [("kill",), ("check",)] if self.rnd.random() < 0.5 else ("kill",)

    def make_foreign_put(self):
        name = self.file() if self.rnd.random() < 0.6 else self.any_name()
        return ("foreign_put", name, self.size(), self.seed())

    def make_foreign_delete(self):
        return ("foreign_delete", self.file())
