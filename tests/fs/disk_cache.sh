#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# limit: 120
# With cache_size, what was read once is not asked for again, by this mount or the next; what is
# damaged on the disk is asked for again, and what was replaced is never taken for the new version.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
STATE=$SCRATCH/state
cache_mount() { mount_fs -o "state_dir=$STATE,cache_size=256M,metadata_ttl=600" "$@"; }
figure() { "$PAILCTL" status "$MNT" | awk -v name="$1:" '$1 == name {print $2}'; }
written() { [ "$(figure cache_waiting)" = 0 ] && [ "$(figure cache_blocks)" = "$1" ]; }
# no_reads TITLE WANT command...: on s3d the requests of the command are exactly WANT; elsewhere no
# bytes are asked for
no_reads() {
    local title=$1 want=$2 misses
    shift 2
    misses=$(figure cache_misses)
    [ "$TEST_SERVER" != s3d ] || s3d_reset
    check "$title" "$@"
    [ "$TEST_SERVER" != s3d ] || equal "requests: $title" "$want" "$(s3d_requests)"
    equal "misses: $title" "$misses" "$(figure cache_misses)"
}
random_file "$SCRATCH/20m" $((20 << 20)) 1
random_file "$SCRATCH/odd" 3333333 2
mkdir "$SCRATCH/small"
for i in 1 2 3 4; do random_file "$SCRATCH/small/$i" $((i * 6000)) "$i"; done
mount_fs -o "state_dir=$STATE"
cp "$SCRATCH/20m" "$MNT/big"
cp -r "$SCRATCH/odd" "$SCRATCH/small" "$MNT"
unmount_fs
all() {
    cmp "$SCRATCH/20m" "$MNT/big" && cmp "$SCRATCH/odd" "$MNT/odd" && diff -r "$SCRATCH/small" "$MNT/small"
}
sums() { (cd "$1" && sha256sum "${@:2}"); }
cache_mount
ls -R "$MNT" >/dev/null
check "cold" all
check "all is written" poll 60 written 28
# The kernel's own pages, kept over the last close; others may have it drop them meanwhile.
no_reads "again" "" all
pages_kept() {
    local hits
    hits=$(figure cache_hits)
    all && [ "$hits" = "$(figure cache_hits)" ]
}
check "nor is the cache asked" poll 60 pages_kept
unmount_fs
equal "folders for our eyes only" "" "$(find "$STATE/blocks" -type d ! -perm 700)"
equal "files likewise" "" "$(find "$STATE/blocks" -type f ! -perm 600)"

# ---- the next mount ----
cache_mount
ls -R "$MNT" >/dev/null
no_reads "all of it, after a restart" "" all
same() { [ "$(sums "$SCRATCH" odd small/3)" = "$(sums "$MNT" odd small/3)" ]; }
check "the same digests" same
[ "$(figure cache_hits)" -gt 0 ] && [ "$(figure cache_hit_bytes)" -ge $((23 << 20)) ] || fail "no hits are shown"
some() { # 4 KiB at places all over the file
    /usr/bin/python3 -c '
import os, sys
a, b = (os.open(p, os.O_RDONLY) for p in sys.argv[1:])
os.posix_fadvise(b, 0, 0, os.POSIX_FADV_RANDOM)
for at in range(12345, 20 << 20, 555555):
    assert os.pread(a, 4096, at) == os.pread(b, 4096, at), at' "$SCRATCH/20m" "$MNT/big"
}
remount_fs -o "state_dir=$STATE,cache_size=256M,metadata_ttl=600"
ls -R "$MNT" >/dev/null
no_reads "random reads" "" some
unmount_fs
# Attributes that are not believed: it is asked whether they hold, and nothing more.
mount_fs -o "state_dir=$STATE,cache_size=256M,metadata_ttl=0"
gets() { [ "$TEST_SERVER" = s3d ] && s3d_count GetObject; }
[ "$TEST_SERVER" != s3d ] || s3d_reset
misses=$(figure cache_misses)
check "revalidated" cmp "$SCRATCH/20m" "$MNT/big"
equal "no bytes" "$misses" "$(figure cache_misses)"
[ "$TEST_SERVER" != s3d ] || equal "no GET" 0 "$(gets)"

# ---- another version ----
random_file "$SCRATCH/20m" $((20 << 20)) 9
s3 put big "$SCRATCH/20m"
check "the new version" cmp "$SCRATCH/20m" "$MNT/big"
unmount_fs

# ---- damage: every block, one after another in another way; kill -9 in the middle of writing ----
/usr/bin/python3 - "$STATE/blocks" <<'P' || fail "see above"
import os, sys
found = sorted(os.path.join(d, f) for d, _, names in os.walk(sys.argv[1]) for f in names)
assert len(found) >= 28, found
for n, path in enumerate(found):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        if n % 4 == 0:
            f.seek(n * 7919 % size)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1 << n % 8]))
        elif n % 4 == 1:
            f.truncate(n * 7919 % size)
        elif n % 4 == 2:
            f.truncate(0)
            f.truncate(size)
    if n % 4 == 3:
        os.unlink(path)
with open(sys.argv[1] + "/new", "w") as f:
    f.write("torn")
P
cache_mount
check "with all blocks damaged" all
check "the log is clean" test -z "$(grep -E 'error|warn' "$LOG" | grep -v 'does not hold every condition')"
kill_daemon
umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
cache_mount
check "after a kill" all
swept() { [ ! -e "$STATE/blocks/new" ]; }
check "nothing torn is left" poll 60 swept
all_written() { [ "$(figure cache_waiting) $(figure cache_ready)" = "0 yes" ]; }
check "and all is written" poll 60 all_written
remount_fs -o "state_dir=$STATE,cache_size=256M,metadata_ttl=600"
ls -R "$MNT" >/dev/null
no_reads "whole again" "" all
unmount_fs

# ---- a mount that changes nothing keeps what it read, too, and leaves unfinished work to others ----
rm -f "$STATE/unfinished"
cache_mount -o ro
ls -R "$MNT" >/dev/null
no_reads "read only" "" all
check "nothing is noted" test ! -e "$STATE/unfinished"
unmount_fs

# ---- a disk that is full ----
if [ "$(id -u)" = 0 ]; then
    mkdir "$SCRATCH/disk"
    if mount -t tmpfs -o size=8m pailfs-test "$SCRATCH/disk" 2>/dev/null; then
        mount_fs -o "cache_dir=$SCRATCH/disk,cache_size=1G,metadata_ttl=600"
        check "with a full disk" all
        check "and again" all
        some_blocks() { [ "$(figure cache_blocks)" -gt 0 ]; }
        check "blocks are there" poll 60 some_blocks
        check "some room is left" test "$(df --output=avail -k "$SCRATCH/disk" | tail -1)" -ge 256
        # A change that cannot be streamed goes to the same disk: blocks make room for it.
        full() { [ "$(figure cache_used)" -ge $((6 << 20)) ]; }
        [ "$(figure cache_blocks)" -ge 6 ] || check "the disk is full of blocks" poll 60 full
        evicted=$(figure cache_evicted)
        patch() { dd if="$SCRATCH/odd" of="$1" bs=1M seek=3 conv=notrunc status=none; }
        cp "$SCRATCH/20m" "$SCRATCH/patched"
        patch "$SCRATCH/patched"
        check "a change of 3 MB" patch "$MNT/big"
        check "blocks have made room" test "$(figure cache_evicted)" -gt "$evicted"
        check "is right" cmp "$SCRATCH/patched" "$MNT/big"
        mv "$SCRATCH/patched" "$SCRATCH/20m"
        dd if=/dev/zero of="$SCRATCH/disk/other" bs=64k 2>/dev/null
        check "without any room" all
        unmount_fs
        umount "$SCRATCH/disk"
    fi
fi

# ---- a smaller limit, and none ----
mount_fs -o "state_dir=$STATE,cache_size=8M"
smaller() { [ "$(figure cache_ready)" = yes ] && [ "$(figure cache_used)" -le $((8 << 20)) ]; }
check "a smaller limit" poll 60 smaller
check "and on the disk" test "$(find "$STATE/blocks" -type f -printf '%k\n' | awk '{n += $1} END {print n}')" -le 8192
check "reading beside it" all
check "still" smaller
remount_fs -o "state_dir=$STATE"
gone() { [ -z "$(ls "$STATE/blocks")" ]; }
check "without the option nothing is kept" poll 60 gone
unmount_fs

# ---- write-back gives a copy of an object in parts an ETag of its own, for as long as it runs ----
rename_and_read() { # rename_and_read SEED
    random_file "$SCRATCH/6m" $((6 << 20)) "$1"
    cache_mount -o writeback,part_size=5M
    cp "$SCRATCH/6m" "$MNT/disk.tmp" && mv "$MNT/disk.tmp" "$MNT/disk.img" && ls -l "$MNT" >/dev/null &&
        cmp "$SCRATCH/6m" "$MNT/disk.img" || fail "version $1 after its rename"
    check "flush" "$PAILCTL" flush "$MNT"
    check "version $1 when it is stored" cmp "$SCRATCH/6m" "$MNT/disk.img"
    unmount_fs
}
rename_and_read 21
rename_and_read 22
rename_and_read 23
