#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# What a server does with conditions is found out at the first change, kept, and shown; a mount that
# only reads asks nothing; nothing stays in the bucket. What is ignored is looked after.
. "$SOURCE_DIR/tests/lib/common.sh"
# s3d plays a server that ignores conditions where RGW 16 does, and has no name.
server_start --ignore-conditions CompleteMultipartUpload,CopyObject,DeleteObject,DeleteObjects
if [ "$(id -u)" != 0 ]; then
    XDG_RUNTIME_DIR=$SCRATCH/run
    export XDG_RUNTIME_DIR && mkdir -m 700 "$XDG_RUNTIME_DIR"
fi
value() { "$PAILCTL" status "$MNT" | sed -n "s/^  $1: //p"; }
is_known() { case $(value conditions) in *unknown*) false ;; *) true ;; esac }
s3d_struck() { curl -sf "$S3_ENDPOINT/_s3d/faults" | grep -q "struck 1"; }
weak="put-if-absent=held put-if-match=held copy-source=ignored copy-if-absent=ignored copy-if-match=ignored \
complete-if-absent=ignored complete-if-match=ignored delete-if-match=ignored delete-many-if-match=ignored"
case $TEST_SERVER in
s3d) want=$weak ;;
rgw) want="$weak bare-etags" ;; # RGW 16
rgw20) want="put-if-absent=held put-if-match=held copy-source=held copy-if-absent=ignored copy-if-match=ignored \
complete-if-absent=held complete-if-match=held delete-if-match=held delete-many-if-match=held" ;;
esac

printf text >"$SCRATCH/text"
s3 put there "$SCRATCH/text"
mount_fs
[ "$TEST_SERVER" != s3d ] || s3d_reset
equal "reading" text "$(cat "$MNT/there")"
equal "names" there "$(ls -A "$MNT")"
refuse "known without a change" is_known
[ "$TEST_SERVER" != s3d ] || equal "requests of a mount that reads" 0 "$(s3d_count PutObject)"

echo new >"$MNT/new"
check "found out after a change" poll 60 is_known
equal "what the server does" "$want" "$(value conditions)"
contains "and what that means" "attributes of files over 8 MiB" "$(value unsafe_between_hosts)"
poll 60 grep -q "does not hold every condition" "$LOG" || fail "no warning"
equal "warnings" 1 "$(grep -c "does not hold every condition" "$LOG")"
equal "what is in the bucket" "new there" "$(s3 keys | sort | paste -sd ' ' -)"
equal "no uploads" "" "$(s3 uploads)"
equal "names" "new there" "$(ls -A "$MNT" | paste -sd ' ' -)"

# Kept for the next mount, which says it at once and does not ask again.
unmount_fs
: >"$LOG"
[ "$TEST_SERVER" != s3d ] || s3d_reset
mount_fs
equal "kept" "$want" "$(value conditions)"
contains "said while mounting" "does not hold every condition" "$(cat "$SCRATCH/mount.out" "$LOG")"
echo more >"$MNT/more"
[ "$TEST_SERVER" != s3d ] || equal "requests of a change" 1 "$(s3d_count PutObject)"

# A prober that may not delete versions, or not write, learns nothing and leaves nothing behind.
unmount_fs
mount_fs -o "ro"
equal "read-only" text "$(cat "$MNT/there")"
unmount_fs
# With the state gone it is found out again.
rm -rf "$SCRATCH/cache"
mount_fs
refuse "known without a state" is_known
mv "$MNT/more" "$MNT/moved"
check "found out again" poll 60 is_known
equal "again" "$want" "$(value conditions)"
# New attributes meet a rewrite by another host, which comes while they are on their way: they are refused.
[ "$TEST_SERVER" != s3d ] || /usr/bin/python3 - "$MNT/there" "$S3_ENDPOINT/_s3d/faults" <<'P' || fail "see above"
import errno, os, sys, threading, time, urllib.request
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
path, faults = sys.argv[1:]
late = "".join(f"op={op} key=there count=1 action=delay:1000\n" for op in ("PutObject", "CopyObject"))
urllib.request.urlopen(faults, late.encode()).read()
got = []

def chmod():
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(fd, 0o600)
        os.fsync(fd)
        got.append("stored")
    except OSError as e:
        got.append(errno.errorcode[e.errno])
    os.close(fd)

t = threading.Thread(target=chmod)
t.start()
deadline = time.monotonic() + 60
while "struck 1" not in urllib.request.urlopen(faults).read().decode():
    assert time.monotonic() < deadline, "the change is not sent"
    time.sleep(0.01)
urllib.request.urlopen(urllib.request.Request(faults, method="DELETE")).read()
S3.put_object(Bucket=BUCKET, Key="there", Body=b"new text", Metadata={"whose": "another's"})
t.join()
# On a machine that stands still for a second the rewrite comes after the change, which is no conflict.
assert got[0] in ("ESTALE", "stored"), got
there = S3.get_object(Bucket=BUCKET, Key="there")
assert there["Body"].read() == b"new text" and there["Metadata"] == {"whose": "another's"}, there
P
unmount_fs

# An unmount in the middle of finding out: nothing is left of that either.
rm -rf "$SCRATCH/cache"
mount_fs
[ "$TEST_SERVER" != s3d ] || s3d_fault "op=CopyObject count=1 action=delay:1000"
echo x >"$MNT/there"
[ "$TEST_SERVER" != s3d ] || poll 30 s3d_struck || fail "no copy was tried"
unmount_fs
equal "after an unmount in the middle" "" "$(s3 keys | grep probe-)"
