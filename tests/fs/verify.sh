#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# A large object that was changed on its way in some of its ranges: what nobody has read yet is fetched again; if that does
# not help the read of its end fails, the log names it, and the next open reads it right. What is right, and what has no
# checksum, is read.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/r" 21000000
s3 put plain "$SCRATCH/r"
mount_fs -o verify=on,part_size=5M
dd if="$SCRATCH/r" of="$MNT/parts" bs=1M status=none
for name in plain parts; do
    check "$name as it is" cmp "$SCRATCH/r" "$MNT/$name"
done
if [ "$TEST_SERVER" != s3d ]; then
    unmount_fs
    exit 0
fi
s3 put crc32 "$SCRATCH/r" CRC32
remount_fs -o checksum=crc32c,part_size=32M
dd if="$SCRATCH/r" of="$MNT/crc32c" bs=1M status=none
# Composite ones: of equal parts, and of others, of which it cannot be told.
remount_fs -o checksum=crc32c,part_size=5M
dd if="$SCRATCH/r" of="$MNT/crc32c_parts" bs=1M status=none
s3 put crc32_parts "$SCRATCH/r" CRC32 7340032
s3 put crc32_odd "$SCRATCH/r" CRC32 6291456 8388608
# names_range NAME: the log's line names a part of composite ones, else the whole
names_range() {
    local from until part=21000000
    read -r from until < <(grep "'$1' .* checksum" "$LOG" | tail -n 1 | sed 's/.*bytes \([0-9]*\) to \([0-9]*\) .*/\1 \2/')
    [ "$1" != crc32_parts ] || part=7340032
    [ "$1" != crc32c_parts ] || part=5242880
    [ $((from % part)) = 0 ] && { [ $((until + 1 - from)) = $part ] || [ "$until" = 20999999 ]; }
}
remount_fs -o verify=on,part_size=5M
for name in parts crc32 crc32c crc32_parts crc32c_parts crc32_odd; do
    s3d_reset
    check "$name as it is" cmp "$SCRATCH/r" "$MNT/$name"
    heads=1
    [[ $name != crc*_* ]] || heads=2 # the checksum, and the size of a part
    equal "HEADs for $name" $heads "$(s3d_count HeadObject)"
done
remount_fs -o verify=on,part_size=5M,cache_size=200M
for name in plain parts crc32 crc32c crc32_parts crc32c_parts; do
    algo=CRC64NVME
    [[ $name != crc* ]] || algo=${name%_parts} algo=${algo^^}
    s3d_reset
    s3d_fault "op=GetObject key=$name after=2 action=corrupt-body"
    refuse "$name with a wrong byte" cat "$MNT/$name"
    [[ $name = crc*_* ]] || equal "HEADs for $name" 1 "$(s3d_count HeadObject)"
    contains "the error" "Input/output error" "$(tail -n 1 "$SCRATCH/refuse.out" | tr -d '\0')"
    # A line follows its answer.
    check "the log" poll 60 grep -q "'$name' .* checksum $algo " "$LOG"
    check "the range" poll 60 names_range "$name"
    s3d_faults_clear
    check "$name is read anew" cmp "$SCRATCH/r" "$MNT/$name"
done
figure() { "$PAILCTL" status "$MNT" | awk -v name="$1:" '$1 == name {print $2}'; }
# Bytes that the read of a part has put into the disk cache.
s3 put part "$SCRATCH/r"
remount_fs -o verify=on,part_size=5M,cache_size=200M
s3d_fault "op=GetObject key=part action=corrupt-body"
tail -c 6000000 "$MNT/part" >/dev/null || fail "a part is not checked"
cached() { [ "$(figure cache_waiting)" = 0 ] && [ "$(figure cache_blocks)" -gt 0 ]; }
check "the cache has it" poll 60 cached
s3d_faults_clear
remount_fs -o verify=on,part_size=5M,cache_size=200M
refuse "what the cache has of it" cat "$MNT/part"
check "the log" poll 60 grep -q "'part' .* checksum CRC64NVME " "$LOG"
check "and then anew" cmp "$SCRATCH/r" "$MNT/part"
s3d_fault "op=HeadObject key=part action=status:403"
remount_fs -o verify=on,part_size=5M
check "without a HEAD" cmp "$SCRATCH/r" "$MNT/part"
check "it is told" poll 60 grep -q "'part' is read without being held against its checksum" "$LOG"
s3d_faults_clear
# A small one is fetched again, once and over another connection, before anybody sees a byte of it.
random_file "$SCRATCH/s" 300000
s3 put small "$SCRATCH/s"
s3 put small2 "$SCRATCH/s"
remount_fs -o cache_size=200M
equal "nothing was checked" 0 "$(figure verified_bytes)"
s3d_reset
s3d_fault "op=GetObject key=small count=1 action=corrupt-body"
check "damaged once" cmp "$SCRATCH/s" "$MNT/small"
equal "GETs" 2 "$(s3d_count GetObject)"
equal "on so many connections" 2 "$(curl -sf "$S3_ENDPOINT/_s3d/log?n=50" | grep op=GetObject | cut -d" " -f2 | sort -u | wc -l)"
equal "figures" "300000 1 1" "$(figure verified_bytes) $(figure verify_mismatches) $(figure verify_refetched)"
s3d_faults_clear
s3d_fault "op=GetObject key=small2 action=corrupt-body"
refuse "damaged always" cat "$MNT/small2"
contains "the error" "Input/output error" "$(tail -n 1 "$SCRATCH/refuse.out" | tr -d '\0')"
told() { grep -q "'small2'.*300000 from the start have CRC64NVME .*, stored is " "$LOG"; }
check "the log" poll 60 told
equal "what was right" 300000 "$(figure verified_bytes)"
check "mismatches" test "$(figure verify_mismatches)" -ge 3
check "fetched again" test "$(figure verify_refetched)" -ge 2
check "nothing of it is kept" test "$(figure cache_blocks)" -le 1
s3d_faults_clear
check "and then anew" cmp "$SCRATCH/s" "$MNT/small2"
unmount_fs
mount_fs -o verify=off
s3d_reset
cat "$MNT/parts" >/dev/null || fail "read"
equal "HEADs with verify=off" 0 "$(s3d_count HeadObject)"
unmount_fs
