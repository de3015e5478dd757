#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# -o writeback without room: a full local disk sends changes to S3 directly, a full journal makes them wait,
# and what was acknowledged is in the bucket at the end, after kill -9 too. What fsync says is true then.
. "$SOURCE_DIR/tests/lib/common.sh"
[ "$(id -u)" = 0 ] || skip "a small disk of its own needs root"
server_start
random_file "$SCRATCH/4m" 4000000
random_file "$SCRATCH/big" 24000000
field() { "$PAILCTL" status "$MNT" | awk -v f="$1:" '$1 == f {print $2}'; }
killed() {
    kill_daemon
    umount "$MNT" || fail "unmount of the dead mount"
}
fsynced() { # fsynced NAME: writes 4 MB and prints what fsync says
    /usr/bin/python3 - "$MNT/$1" "$SCRATCH/4m" <<'P'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, open(sys.argv[2], "rb").read())
try:
    os.fsync(fd)
    print("stored")
except OSError as e:
    print(errno.errorcode[e.errno])
P
}

# fsync=local: on the disk, and nowhere else; fsync=remote: in S3.
mount_fs -o "writeback,hedge=off,fsync=local,retries=0,state_dir=$SCRATCH/state"
s3d_reset
s3d_fault "op=PutObject key=local action=status:503:SlowDown"
equal "fsync=local without a server" stored "$(fsynced local)"
killed
s3d_faults_clear
equal "objects" 0 "$(s3d_count CompleteMultipartUpload)"
mount_fs -o "writeback,hedge=off,retries=0,state_dir=$SCRATCH/state"
check "the journal's" cmp "$SCRATCH/4m" "$MNT/local"
check "flush" "$PAILCTL" flush "$MNT"
s3d_reset
equal "fsync=remote" stored "$(fsynced remote)"
equal "PutObject at the end of fsync" 1 "$(s3d_count PutObject)"
killed

# The journal has room for four: the fifth waits, and is told nothing before there is.
mount_fs -o "writeback,retries=0,writeback_limit=16M,state_dir=$SCRATCH/state"
check "stored before the kill" cmp "$SCRATCH/4m" "$MNT/remote"
s3d_fault "op=PutObject key=held action=status:503:SlowDown"
for i in 1 2 3 4; do cp "$SCRATCH/4m" "$MNT/held$i" || fail "the journal has room for $i"; done
truncate -s 1000000 "$SCRATCH/4m.short" && cp "$SCRATCH/4m.short" "$MNT/held5" || fail "and for one more"
cp "$SCRATCH/4m" "$MNT/held6" &
waits() { [ "$(field writeback_waiting)" = 1 ]; }
check "the sixth waits" poll 60 waits
equal "pending" 5 "$(field writeback_pending)"
s3d_faults_clear
check "the sixth goes on" wait $!
check "flush" "$PAILCTL" flush "$MNT"
for i in 1 2 3 4 6; do check "held$i" cmp "$SCRATCH/4m" "$MNT/held$i"; done
unmount_fs

# A disk with room for three. Who finds none goes to S3 itself, and says what S3 says.
mkdir "$SCRATCH/small" && mount -t tmpfs -o size=16M none "$SCRATCH/small" || skip "no tmpfs"
mount_fs -o "writeback,retries=0,state_dir=$SCRATCH/small/state,cache_dir=$SCRATCH/small/cache"
s3d_fault "op=PutObject key=full action=status:503:SlowDown"
acknowledged=
for i in 1 2 3 4 5; do if cp "$SCRATCH/4m" "$MNT/full$i" 2>/dev/null; then acknowledged+=" $i"; fi; done
case $acknowledged in " 1"*" 5" | "") fail "acknowledged on a disk of 16 MB: $acknowledged" ;; esac
check "another one" cp "$SCRATCH/4m" "$MNT/direct"
equal "in S3 when it was closed" direct "$(s3 keys direct)"
s3d_faults_clear
killed
mount_fs -o "writeback,retries=0,state_dir=$SCRATCH/small/state,cache_dir=$SCRATCH/small/cache"
check "flush" "$PAILCTL" flush "$MNT"
unmount_fs
mount_fs
for i in $acknowledged; do check "full$i" cmp "$SCRATCH/4m" "$MNT/full$i"; done
check "direct" cmp "$SCRATCH/4m" "$MNT/direct"
check "local" cmp "$SCRATCH/4m" "$MNT/local"
unmount_fs

# The same disk full of what was read: that makes room.
s3 put big "$SCRATCH/big"
mount_fs -o "writeback,retries=0,state_dir=$SCRATCH/small/state,cache_dir=$SCRATCH/small/cache,cache_size=1G"
check "reading" cmp "$SCRATCH/big" "$MNT/big"
filled() { [ "$(field cache_waiting)" = 0 ] && [ "$(field cache_blocks)" -ge 10 ]; }
check "the disk is full of blocks" poll 60 filled
s3d_reset
s3d_fault "op=PutObject key=room action=status:503:SlowDown"
for i in 1 2; do check "room$i" cp "$SCRATCH/4m" "$MNT/room$i"; done
equal "pending" 2 "$(field writeback_pending)"
check "blocks have made room" test "$(field cache_evicted)" -ge 4
s3d_faults_clear
check "flush" "$PAILCTL" flush "$MNT"
unmount_fs
mount_fs
for i in 1 2; do check "room$i" cmp "$SCRATCH/4m" "$MNT/room$i"; done
unmount_fs
umount "$SCRATCH/small"
