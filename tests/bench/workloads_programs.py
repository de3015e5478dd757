# SPDX-License-Identifier: Apache-2.0
"""Whole programs: tar, rsync, restic, grep, git, and what a second mount still knows."""
import filecmp
import os
import random
import shutil
import subprocess
import time

from workload import Workload

PER_FOLDER = 20
QUIET = 12  # seconds


def make_tree(path, files):
    """A source tree, always the same one: text of 1 to 40 KiB in folders of 20."""
    r = random.Random(5)
    words = ["".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randrange(2, 11))) for _ in range(2000)]
    for i in range(files):
        folder = os.path.join(path, f"d{i // PER_FOLDER:04}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"f{i:05}.c"), "w") as f:
            for line in range(int(1024 * 40 ** r.random()) // 50):
                f.write(" ".join(r.choices(words, k=7)) + f" {i} {line}\n")
            f.write(f"needle {i}\n")


def same_tree(a, b):
    """Names and contents."""
    d = filecmp.dircmp(a, b, ignore=[])
    if d.left_only or d.right_only or d.funny_files:
        raise AssertionError(f"WRONG TREE: {a}: {d.left_only[:3]} {d.right_only[:3]} {d.funny_files[:3]}")
    _, differ, errors = filecmp.cmpfiles(a, b, d.common_files, shallow=False)
    if differ or errors:
        raise AssertionError(f"WRONG CONTENT: {a}: {differ[:3]} {errors[:3]}")
    for name in d.common_dirs:
        same_tree(os.path.join(a, name), os.path.join(b, name))


class Program(Workload):
    group, rtts, same_connections, connections = "programs", (20,), False, 1
    sizes = (20, 200, 1000)

    def tree(self, w):
        n = w.pick(*self.sizes)
        path = os.path.join(w.folder, f"tree{n}")
        if not os.path.exists(path):
            make_tree(path, n)
        self.count = n
        self.pages = -(-n // 1000)
        return path

    def prepare(self, w):
        self.local = self.tree(w)

    def uploaded(self, w):
        """The tree as objects that carry no attributes."""
        prefix = f"plain{self.count}/"
        if prefix not in w.lists:
            for folder, _, names in os.walk(self.local):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        w.s3.put_object(Bucket=w.bucket, Key=prefix + os.path.relpath(path, self.local), Body=f.read())
            w.lists[prefix] = w.lines(prefix[:-1], [k for k, _ in w.keys(prefix)])
        self.bytes = sum(size for _, size in w.keys(prefix))
        return prefix

    def copied(self, w, c, source=None, name=None):
        """The tree as this contender stores it, with times; the second time it only looks."""
        where = f"{name or f'copy{self.count}'}.{c.name}"
        first = not os.path.exists(c.path(where))
        c.sh("rsync", "-a", (source or self.local) + "/", where)
        if first:
            self.quiet(w)
        return where

    def quiet(self, w):
        """What was just stored is left alone until nothing has been asked for a while: the next mount comes later."""
        last, since = -1, time.monotonic()
        while time.monotonic() < since + QUIET:
            now = w.server.counters().get("requests", 0)
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.25)


class Untar(Program):
    name, help, durable = "untar", "tar x of a source tree", True

    def prepare(self, w):
        super().prepare(w)
        self.tar = self.local + ".tar"
        if not os.path.exists(self.tar):
            subprocess.run(["tar", "-cf", self.tar, "-C", self.local, "."], check=True)
        self.files = self.count + -(-self.count // PER_FOLDER)  # folders are objects too

    def make(self, w):
        self.folder = w.unique()
        w.s3.put_object(Bucket=w.bucket, Key=f"{self.folder}/")

    def limit(self, w, n):
        return [[w.limit("puts", w.lines(self.name, w.names(f"{w.unique()}/", self.files)), 12000, 1)]]

    def run(self, w, c):
        c.sh("tar", "-xf", self.tar, "-C", self.folder)

    def check(self, w, c):
        same_tree(c.path(self.folder), self.local)


class Grep(Program):
    name, help, connections, same_connections = "grep-r", "grep -r over a source tree, cold", 32, True

    def prepare(self, w):
        super().prepare(w)
        self.prefix = self.uploaded(w)

    def limit(self, w, n):
        return [[w.limit("list", self.prefix)], [w.limit("each", w.lists[self.prefix], 1, 0)]]

    def run(self, w, c):
        self.output = c.sh("grep", "-rh", "^needle", self.prefix)

    def check(self, w, c):
        assert sorted(self.output.split()[1::2], key=int) == [b"%d" % i for i in range(self.count)], "WRONG MATCHES"
        same_tree(c.path(self.prefix), self.local)


class Again(Program):
    """What a new mount is asked about a tree that this machine has stored and looked at before."""
    sizes, near_fresh, remount = (20, 1000, 10000), True, True

    def limit(self, w, n):
        return [[w.limit("list", self.where)]] if getattr(self, "where", None) else None


class RsyncAgain(Again):
    name, help = "rsync2", "rsync -a of a tree for the second time, in a new mount: nothing to do"

    def fresh(self, w, c):
        self.where = self.copied(w, c)
        c.sh("rsync", "-ai", self.local + "/", self.where)

    def run(self, w, c):
        out = c.sh("rsync", "-ai", self.local + "/", f"copy{self.count}.{c.name}")
        assert b">f" not in out, f"files were sent again: {out[:200]}"


class ListAgain(Again):
    name, help = "ls-l_again", "ls -lR of a tree with stored attributes, in a new mount that looked at it before"

    def fresh(self, w, c):
        self.where = self.copied(w, c)
        c.sh("ls", "-lR", self.where)

    def run(self, w, c):
        self.output = c.sh("ls", "-lR", f"copy{self.count}.{c.name}")

    def check(self, w, c):
        names = [line for line in self.output.split(b"\n") if line.endswith(b".c")]
        assert len(names) == self.count, f"WRONG LISTING: {len(names)} files"


class Restic(Again):
    """The repository is on the local disk, the mount is what is backed up."""
    again = False

    def __init__(self, again):
        self.again = again
        self.name = "restic2" if again else "restic"
        self.help = "restic backup of a tree" + (" for the second time, in a new mount" if again else ", cold")

    def restic(self, c, *words):
        env = dict(c.env, RESTIC_PASSWORD="bench", RESTIC_REPOSITORY=os.path.join(c.folder, "repository"),
                   RESTIC_CACHE_DIR=os.path.join(c.folder, "restic"))
        return c.sh("restic", "-q", *words, env=env, cwd=c.folder)

    def fresh(self, w, c):
        self.where = self.copied(w, c)
        self.restic(c, "init")
        if self.again:
            self.restic(c, "backup", c.path(self.where))

    def run(self, w, c):
        self.restic(c, "backup", c.path(f"copy{self.count}.{c.name}"))

    def check(self, w, c):
        target = os.path.join(c.folder, "restored")
        self.restic(c, "restore", "latest", "--target", target)
        same_tree(target + c.path(f"copy{self.count}.{c.name}"), self.local)
        shutil.rmtree(target)


class GitStatus(Again):
    name, help = "git-status", "git status of a clean work tree, in a new mount that looked at it before"
    sizes = (20, 400, 1000)

    def prepare(self, w):
        super().prepare(w)
        self.repository = f"{self.local}.git-tree"
        if not os.path.exists(self.repository):
            shutil.copytree(self.local, self.repository)
            git = ["git", "-C", self.repository, "-c", "user.name=b", "-c", "user.email=b@localhost"]
            for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "tree"], ["gc", "-q"]):
                subprocess.run([*git, *words], check=True)

    def git(self, c):
        return c.sh("git", "-c", "safe.directory=*", "status", "--porcelain", cwd=c.path(f"git{self.count}.{c.name}"))

    def fresh(self, w, c):
        self.where = self.copied(w, c, self.repository, f"git{self.count}")
        self.git(c)

    def run(self, w, c):
        out = self.git(c)
        assert out == b"", f"WRONG STATUS: {out[:200]}"


ALL = [Untar(), Grep(), GitStatus(), RsyncAgain(), ListAgain(), Restic(False), Restic(True)]
