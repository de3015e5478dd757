# SPDX-License-Identifier: Apache-2.0
"""Listings, walks, absent names, removing and moving. What is listed is compared name by name."""
from workload import Workload

PAGE = 1000  # keys of one answer
SLOW_PAGES = tuple(f"op={op} action=delay:80" for op in ("ListObjectsV2", "ListObjects"))
COMMANDS = {"ls": ("ls", "-U"), "ls-l": ("ls", "-l"), "find": ("find",), "du": ("du", "-a")}


def listed(command, output, top):
    """The names below top in what the command printed."""
    lines = output.decode().splitlines()
    if command == "ls":
        return lines
    if command == "ls-l":
        return [line.split()[-1] for line in lines if not line.startswith("total ")]
    names = [line.split("\t", 1)[-1] for line in lines]
    return [n[len(top) + 1:] for n in names if n != top]


def same(got, want, what):
    got = sorted(got)
    if got != want:
        lost, more = sorted(set(want) - set(got)), sorted(set(got) - set(want))
        raise AssertionError(f"WRONG LISTING: {what}: {len(got)} names, not {len(want)}; missing {lost[:3]}, "
                             f"too many {more[:3]}")


class Flat(Workload):
    group, same_connections = "names", False

    def __init__(self, command, n, level, slow=False, rtts=(20,)):
        self.command, self.n, self.level, self.rtts = command, n, level, rtts
        count = f"{n // 1000}k" if n < 1000000 else "1m"
        self.name = f"{command}{count}{'_page80' if slow else ''}"
        self.help = (f"{' '.join(COMMANDS[command])} of a directory of {n:,} files"
                     + (", 80 ms more for each page" if slow else ""))
        self.faults = SLOW_PAGES if slow else ()

    def prepare(self, w):
        w.many(f"names{self.n}/", self.n, 1)
        self.want = [f"{i:06}" for i in range(self.n)]
        self.pages = -(-self.n // PAGE)

    def limit(self, w, n):
        return [[w.limit("list", f"names{self.n}/")]]

    def run(self, w, c):
        self.output = c.sh(*COMMANDS[self.command], f"names{self.n}")

    def check(self, w, c):
        same(listed(self.command, self.output, f"names{self.n}"), self.want, self.name)


class Tree(Workload):
    group, same_connections = "names", False

    def __init__(self, command, *words):
        self.command = words
        self.name = f"{command}_tree"
        self.help = f"{' '.join(words)} of a tree of 10,000 directories, one file in each"
        self.rtts = (20,)

    def prepare(self, w):
        n = w.pick(200, 10000, 10000)
        self.want = sorted([f"d{i:05}" for i in range(n)] + [f"d{i:05}/f" for i in range(n)])
        if "tree/" not in w.lists:
            w.put_all([f"tree/d{i:05}/f" for i in range(n)], 1)
            w.lists["tree/"] = n
        self.pages = -(-n // PAGE)

    def limit(self, w, n):
        return [[w.limit("list", "tree/")]]

    def run(self, w, c):
        self.output = c.sh(*self.command, "tree")

    def check(self, w, c):
        if self.command[0] == "ls":
            names, folder = [], ""
            for line in self.output.decode().splitlines():
                if line.startswith("tree") and line.endswith(":"):
                    folder = line[5:-1]
                elif line and not line.startswith("total "):
                    names.append((folder + "/" if folder else "") + line.split()[-1])
        else:
            names = listed(self.command[0], self.output, "tree")
        same(names, self.want, self.name)


class Absent(Workload):
    name, help, group, rtts = "absent", "lstat of names that are not there, in a listed directory", "names", (20,)

    def prepare(self, w):
        w.many("names1000/", 1000, 1)
        self.files = w.pick(50, 200, 1000)
        self.list = w.lines(self.name, [f"names1000/no{i}" for i in range(self.files)])

    def fresh(self, w, c):
        c.sh("ls", "-U", "names1000")

    def run(self, w, c):
        return c.load("absent", self.list)


class Remove(Workload):
    group, same_connections, connections = "change", False, 1

    def __init__(self, writeback=False):
        self.writeback = writeback
        self.name = "rm_writeback" if writeback else "rm"
        self.help = "rm -r of a directory of files" + (", with -o writeback" if writeback else "")
        self.rtts = (20,)
        if writeback:
            self.alone, self.options = True, {"pailfs": ("writeback",)}

    def number(self, w):
        return w.pick(20, 1000 if self.writeback else 200, 10000)

    def make(self, w):
        self.folder = w.unique()
        self.files = self.number(w)
        keys = w.names(f"{self.folder}/", self.files)
        w.put_all([*keys, f"{self.folder}.stay"], 10)
        self.list = w.lines(self.name, keys)

    def fresh(self, w, c):
        c.sh("stat", self.folder)

    def limit(self, w, n):
        return [[w.limit("batch", self.list)]] if self.writeback else [[w.limit("delete", self.list, 1)]]

    def run(self, w, c):
        c.sh("rm", "-r", self.folder)

    def after(self, w):
        left = w.keys(self.folder)
        assert left == [(f"{self.folder}.stay", 10)], f"in the bucket: {left[:3]}"


class Move(Remove):
    def __init__(self):
        super().__init__()
        self.name, self.help, self.same_connections = "mv", "mv of a directory of files", True

    def number(self, w):
        return w.pick(20, 1000, 10000)

    def limit(self, w, n):
        keys = w.names(f"{self.folder}/", self.files)
        return [[w.limit("move", w.lines("mv.pairs", [f"{k} moved.{k}" for k in keys]), n)]]

    def run(self, w, c):
        c.sh("mv", self.folder, f"moved.{self.folder}")

    def after(self, w):
        left = [key for key, _ in w.keys(f"{self.folder}/")]
        assert left == [], f"still in the bucket: {left[:3]}"
        # A file's bytes follow its base name, which it keeps.
        w.near("each", w.lines("mv.after", w.names(f"moved.{self.folder}/", self.files)), 32, 10)


FLAT = [Flat(command, n, level, rtts=(0, 20) if command == "ls" else (20,))
        for n, level in ((1000, 0), (10000, 1), (100000, 1), (1000000, 2)) for command in COMMANDS]
ALL = [*FLAT, Flat("ls", 100000, 1, slow=True), Tree("ls", "ls", "-R"), Tree("ls-l", "ls", "-lR"), Tree("find", "find"),
       Tree("du", "du", "-a"), Absent(), Remove(), Remove(True), Move()]
