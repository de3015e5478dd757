#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# copy_file_range is a copy inside S3: cp within the mount moves no content through this host.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
printf 'hello, world\n' >"$SCRATCH/small"
s3 put small.txt "$SCRATCH/small"
SIZE=$((128 << 20))
[ "$TEST_SERVER" = s3d ] || SIZE=$((40 << 20))
random_file "$SCRATCH/big" $SIZE
s3 put big "$SCRATCH/big"
# What a journal acknowledges is copied later.
counted=$TEST_SERVER${TEST_MOUNT_OPTIONS:+-}${TEST_MOUNT_OPTIONS:-}
case $counted in s3d | s3d-posix*) counted=s3d ;; esac
mount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
moved() { curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "bytes_in" || $1 == "bytes_out" {n += $2} END {print n + 0}'; }

[ "$counted" != s3d ] || s3d_reset
check "cp" cp "$MNT/big" "$MNT/copy"
if [ "$counted" = s3d ]; then
    [ "$(moved)" -lt 1000000 ] || fail "cp of 128 MiB moved $(moved) bytes"
    contains "cp is a copy" "CopyObject=1" "$(s3d_requests)"
fi
check "the copy is the same" cmp "$SCRATCH/big" "$MNT/copy"
[ "$counted" != s3d ] || s3d_reset
check "cp -a over a file" cp -a "$MNT/big" "$MNT/copy"
check "cp --reflink=auto" cp --reflink=auto "$MNT/big" "$MNT/copy2"
if [ "$counted" = s3d ]; then
    [ "$(moved)" -lt 1000000 ] || fail "cp -a and cp --reflink=auto of 128 MiB moved $(moved) bytes"
fi
check "cp -a over a file is the same" cmp "$SCRATCH/big" "$MNT/copy"
check "cp --sparse=always" cp --sparse=always "$MNT/small.txt" "$MNT/sparse"
check "cp --sparse=always is the same" cmp "$SCRATCH/small" "$MNT/sparse"
check "attributes that wait are stored" sync "$MNT"/*

s3d_cost() { # TITLE EXPECTED command...
    local title=$1 want=$2
    shift 2
    [ "$counted" = s3d ] || { check "$title" "$@" && return; }
    s3d_reset
    check "$title" "$@"
    equal_requests "$title" "$want"
}
s3d_cost "cp to a new name" "CopyObject=1" cp "$MNT/small.txt" "$MNT/first"
s3d_cost "cp over a file" "CopyObject=1" cp "$MNT/small.txt" "$MNT/first"
check "content" cmp "$SCRATCH/small" "$MNT/first"

# Attributes and type are the new file's.
cp "$MNT/small.txt" "$MNT/page.html"
contains "content type" text/html "$(s3 head page.html)"
cp -p "$MNT/small.txt" "$MNT/kept"
equal "cp -p keeps the time" "$(stat -c %Y "$MNT/small.txt")" "$(stat -c %Y "$MNT/kept")"
chmod 600 "$MNT/small.txt"
(umask 022 && cp "$MNT/small.txt" "$MNT/mode")
remount_fs
equal "mode of the copy" 600 "$(stat -c %a "$MNT/mode")"
equal "content after a remount" "hello, world" "$(cat "$MNT/mode")"

/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import errno, os, sys
os.chdir(sys.argv[1])
MIB = 1 << 20
def put(p, s):
    with open(p, "wb") as f: f.write(s)
def get(p):
    with open(p, "rb") as f: return f.read()
def copy(a, b, n, so=None, do=None, flags=os.O_WRONLY | os.O_CREAT):
    src, dst = os.open(a, os.O_RDONLY), os.open(b, flags, 0o644)
    total = 0
    while n > 0:
        k = os.copy_file_range(src, dst, n, None if so is None else so + total, None if do is None else do + total)
        if k == 0: break
        total += k; n -= k
    os.close(src); os.close(dst)
    return total
data = bytes((i * 7 + (i >> 8)) & 255 for i in range(MIB)) * 12
put("s", data)
assert copy("s", "end", 100, so=len(data) - 10) == 10 and get("end") == data[-10:]  # to the end, no further
assert copy("s", "end2", 100, so=len(data)) == 0
assert copy("s", "part", 9 * MIB, so=MIB) == 9 * MIB and get("part") == data[MIB:10 * MIB]
# The source may go as soon as the call has returned; the rest is written by hand.
src, dst = os.open("s", os.O_RDONLY), os.open("grown", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
n = 0
while n < len(data):
    n += os.copy_file_range(src, dst, len(data) - n)
os.close(src); os.rename("s", "s2")
os.write(dst, b"and more"); os.close(dst)
assert get("grown") == data + b"and more"
# Into the middle, within one file, and a source that is still being written.
put("mid", b"x" * 100)
put("tiny", b"0123456789")
assert copy("tiny", "mid", 4, so=2, do=50) == 4 and get("mid") == b"x" * 50 + b"2345" + b"x" * 46
fd = os.open("mid", os.O_RDWR)
assert os.copy_file_range(fd, fd, 10, 50, 90) == 10
try:
    os.copy_file_range(fd, fd, 10, 0, 5); raise AssertionError("overlap")
except OSError as e:
    assert e.errno == errno.EINVAL, e
os.close(fd)
assert get("mid")[90:] == b"2345xxxxxx"
w = os.open("warm", os.O_RDWR | os.O_CREAT, 0o644)
os.write(w, b"not stored yet")
out = os.open("warm2", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
assert os.copy_file_range(w, out, 1000, 0, 0) == 14
assert os.pread(out, 100, 0) == b"not stored yet"
os.write(w, b"!"); os.close(w); os.pwrite(out, b"NOT", 0); os.close(out)
assert get("warm") == b"not stored yet!" and get("warm2") == b"NOT stored yet"
# Onto what has content already.
put("old", b"old content, longer than the new")
assert copy("tiny", "old", 10, so=0, do=0, flags=os.O_WRONLY) == 10
assert get("old") == b"0123456789t, longer than the new"[:10] + b"old content, longer than the new"[10:]
P
case ${TEST_MOUNT_OPTIONS:-} in
*writeback*) # the journal finds out, and keeps the loser's data: tests of lost+found
    unmount_fs
    equal "no unfinished uploads" "" "$(s3 uploads)"
    exit 0
    ;;
esac
# Another host has put the same name meanwhile.
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import os, subprocess, sys
os.chdir(sys.argv[1])
with open("tiny", "w") as f: f.write("0123456789")
src = os.open("tiny", os.O_RDONLY)
out = os.open("raced", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
subprocess.check_call(["/usr/bin/python3", os.environ["SOURCE_DIR"] + "/tests/lib/s3.py", "put", "raced", os.environ["SCRATCH"] + "/small"])
lost = False
try:
    os.copy_file_range(src, out, 10)
    os.close(out)
except OSError:
    lost = True
assert lost, "another host's object was replaced"
P
s3 get raced "$SCRATCH/raced"
check "the other host's file" cmp "$SCRATCH/small" "$SCRATCH/raced"
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
