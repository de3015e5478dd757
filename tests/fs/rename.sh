#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rename(2) as POSIX says, and renameat2's flags.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
cd "$MNT" || fail "cd"
/usr/bin/python3 - <<'P' || fail "see above"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def renameat2(a, b, flags):
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags) != 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
def put(p, s):
    with open(p, "w") as f: f.write(s)
def get(p):
    with open(p) as f: return f.read()
def refuses(code, fn, *a):
    try:
        fn(*a)
    except OSError as e:
        assert e.errno == code, (fn, a, "expected", errno.errorcode[code], "got", errno.errorcode[e.errno])
    else:
        raise AssertionError((fn, a, "succeeded"))
put("a", "A"); put("b", "B")
os.rename("a", "b"); assert get("b") == "A" and not os.path.exists("a")
os.rename("b", "b"); assert get("b") == "A"
os.mkdir("d"); put("d/x", "X"); os.mkdir("e")
refuses(errno.EISDIR, os.rename, "b", "d")
refuses(errno.ENOTDIR, os.rename, "d", "b")
refuses(errno.ENOENT, os.rename, "absent", "z")
refuses(errno.EINVAL, os.rename, "d", "d/sub")
refuses(errno.ENOTEMPTY, os.rename, "e", "d")
os.rename("d", "e")                       # onto an empty directory
assert get("e/x") == "X" and not os.path.exists("d")
os.rename("e/x", "x"); assert get("x") == "X" and os.listdir("e") == []
os.rename("e", "f"); assert os.path.isdir("f") and not os.path.exists("e")
put("src", "S"); put("dst", "D")
refuses(errno.EEXIST, renameat2, "src", "dst", 1)
assert get("src") == "S" and get("dst") == "D"
renameat2("src", "fresh", 1); assert get("fresh") == "S" and not os.path.exists("src")
refuses(errno.EEXIST, renameat2, "f", "fresh", 1)
put("one", "1"); put("two", "22")
renameat2("one", "two", 2); assert get("one") == "22" and get("two") == "1"
refuses(errno.ENOENT, renameat2, "one", "absent", 2)
renameat2("one", "f", 2); assert os.path.isdir("one") and get("f") == "22"; renameat2("one", "f", 2)
# Into another directory and deep.
os.makedirs("p/q/r"); put("p/q/r/deep", "deep"); put("p/top", "top")
os.rename("p/q", "moved"); assert get("moved/r/deep") == "deep" and os.listdir("p") == ["top"]
os.rename("fresh", "moved/r/fresh"); assert sorted(os.listdir("moved/r")) == ["deep", "fresh"]
# An open file follows its name.
f = open("open", "w"); f.write("one"); os.rename("open", "renamed"); f.write("two"); f.close()
assert get("renamed") == "onetwo", get("renamed")
assert not os.path.exists("open")
P
# Backup tools and git look at the numbers, which stay what they were.
numbers() { (cd "$MNT" && find . ! -name . -printf '%i %P\n' | sort && ls -1i moved/r); }
numbers >"$SCRATCH/numbers"
equal "each has its own" "" "$(cd "$MNT" && find . -printf '%i\n' | sort | uniq -d)"
cd / && remount_fs
numbers >"$SCRATCH/numbers.after"
check "inode numbers after a remount" diff "$SCRATCH/numbers" "$SCRATCH/numbers.after"
equal "after a remount" "Xdeeptoponetwo" "$(cat "$MNT/x" "$MNT/moved/r/deep" "$MNT/p/top" "$MNT/renamed")"
equal "exchanged" "22 1" "$(cat "$MNT/one") $(cat "$MNT/two")"
equal "NOREPLACE kept the target" D "$(cat "$MNT/dst")"
unmount_fs
