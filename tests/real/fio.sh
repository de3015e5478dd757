#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# heavy: yes
# asan: no
# fio writes and verifies: large files in sequence, several at once, and random blocks in small and large ones, with
# write and with mmap, syncing in between.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need fio
server_start
mount_fs
run() { # run NAME OPTIONS...
    local name=$1
    shift
    fio --name="$name" --directory="$MNT" --ioengine=psync --verify=crc32c --verify_fatal=1 --fallocate=none \
        --randseed=1 --output="$SCRATCH/fio.out" "$@" || fail "fio $name: $(cat "$SCRATCH/fio.out")"
}
run seq --rw=write --bs=256k --size=96m --do_verify=1
run many --rw=write --bs=64k --size=12m --numjobs=4 --do_verify=1
run odd --rw=write --bs=12345 --size=20986500 --fsync_on_close=1 --do_verify=1
run rand --rw=randwrite --bs=4k --size=7m --fsync=300 --do_verify=1
run mixed --rw=randrw --bs=2k-16k --size=4m --do_verify=1
run synced --rw=randwrite --bs=4k --size=512k --fdatasync=1 --do_verify=1
run mapped --rw=randwrite --bs=4k --size=2m --ioengine=mmap --do_verify=1
# Files of many parts, changed anywhere.
run far --rw=randwrite --overwrite=1 --bs=4k --size=48m --io_size=6m --do_verify=1
run extend --rw=randwrite --bs=8k --size=24m --do_verify=1
run both --rw=randrw --bs=4k-64k --size=32m --io_size=12m --do_verify=1
run bigmap --rw=randwrite --overwrite=1 --bs=4k --size=24m --io_size=4m --ioengine=mmap --do_verify=1
run bigsync --rw=randwrite --overwrite=1 --bs=16k --size=20m --io_size=640k --fsync=16 --do_verify=1
remount_fs
for f in seq many odd rand far extend bigmap bigsync; do
    case $f in
    seq) set -- --rw=write --bs=256k --size=96m ;;
    many) set -- --rw=write --bs=64k --size=12m --numjobs=4 ;;
    odd) set -- --rw=write --bs=12345 --size=20986500 ;;
    far) set -- --rw=randwrite --overwrite=1 --bs=4k --size=48m --io_size=6m ;;
    extend) set -- --rw=randwrite --bs=8k --size=24m ;;
    bigmap) set -- --rw=randwrite --overwrite=1 --bs=4k --size=24m --io_size=4m ;;
    bigsync) set -- --rw=randwrite --overwrite=1 --bs=16k --size=20m --io_size=640k ;;
    rand) set -- --rw=randwrite --bs=4k --size=7m ;;
    esac
    run $f "$@" --verify_only
done
finish_fs
