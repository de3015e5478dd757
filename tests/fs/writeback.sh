#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# limit: 300
# -o writeback: what was acknowledged is seen at once, survives kill -9 while the server is away, and
# is in the bucket when the queue is empty, with far fewer requests.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o writeback,retries=0,timeout=30,connect_timeout=10

mkdir "$MNT/d" && mkdir "$MNT/tree" || fail "mkdir"
ls "$MNT/d" "$MNT/tree" >/dev/null || fail "ls"
s3d_stop
/usr/bin/python3 - "$MNT" <<'P' || fail "1,000 files while the server is away"
import os, sys
mnt = sys.argv[1]
for i in range(1000):
    with open(f"{mnt}/d/f{i:04}", "wb") as f:
        f.write(b"%04d" % i * 1024)
for i in range(0, 1000, 10):
    os.rename(f"{mnt}/d/f{i:04}", f"{mnt}/d/g{i:04}")
for i in range(1, 1000, 10):
    os.unlink(f"{mnt}/d/f{i:04}")
for i in range(2, 1000, 10):
    os.chmod(f"{mnt}/d/f{i:04}", 0o640)
os.mkdir(f"{mnt}/d/sub")
open(f"{mnt}/d/sub/large", "wb").write(b"x" * 3000000)
names = sorted(os.listdir(f"{mnt}/d"))
want = sorted([f"g{i:04}" for i in range(0, 1000, 10)] + ["sub"] +
              [f"f{i:04}" for i in range(1000) if i % 10 not in (0, 1)])
assert names == want, (len(names), len(want))
assert open(f"{mnt}/d/g0500", "rb").read() == b"0500" * 1024
P
field() { "$PAILCTL" status "$MNT" | awk -v f="$1:" '$1 == f {print $2}'; }
# Attributes are stored a moment after the last of them was set.
chmods_are_pending() { [ "$(field writeback_coalesced)" -ge 290 ]; }
check "attributes" poll 60 chmods_are_pending
status=$("$PAILCTL" status "$MNT")
contains "status" "writeback_last_error: '" "$status"
[ "$(field writeback_pending)" -gt 800 ] || fail "pending: $(field writeback_pending)"
/usr/bin/python3 - "$MNT" <<'P' || fail "fsync without a server"
import errno, os, sys
fd = os.open(sys.argv[1] + "/d/synced", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"s")
try:
    os.fsync(fd)
except OSError as e:
    assert e.errno == errno.EIO, e
else:
    sys.exit("fsync said that S3 has it")
P

kill_daemon
fusermount3 -u "$MNT" || fail "unmount of the dead mount"
s3d_start
s3d_reset
mount_fs -o writeback
recovered() { [ "$(field recovery)" = "done" ]; }
check "recovery" poll 60 recovered
check_tree() {
    /usr/bin/python3 - "$MNT" <<'P'
import os, sys
mnt = sys.argv[1]
names = sorted(os.listdir(f"{mnt}/d"))
want = sorted([f"g{i:04}" for i in range(0, 1000, 10)] + ["sub", "synced"] +
              [f"f{i:04}" for i in range(1000) if i % 10 not in (0, 1)])
assert names == want, (len(names), len(want), set(names) ^ set(want))
for n in want[:-2]:
    assert open(f"{mnt}/d/{n}", "rb").read() == n[1:].encode() * 1024, n
bad = [i for i in range(2, 1000, 10) if os.stat(f"{mnt}/d/f{i:04}").st_mode & 0o777 != 0o640]
assert not bad, bad
assert open(f"{mnt}/d/sub/large", "rb").read() == b"x" * 3000000
P
}
check_tree || fail "the tree after a crash"
check "flush" "$PAILCTL" flush "$MNT"
equal "pending" 0 "$(field writeback_pending)"
puts=$(s3d_count PutObject) # 902 files, markers, and what had been tried before it changed again
[ "$puts" -le 920 ] || fail "$puts PUTs"
check_tree || fail "the tree when it is stored"
unmount_fs
equal "objects" 905 "$(s3 keys | wc -l)" # three of them markers
mount_fs
check_tree || fail "the tree in the default mode"
unmount_fs
if grep -q "conflict" "$LOG"; then fail "conflicts: $(grep conflict "$LOG" | head -3)"; fi
