#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# Many readers and writers at once: every file is whole.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o memory_limit=128M
random_file "$SCRATCH/r" 12000000
writer() { head -c "$2" "$SCRATCH/r" >"$MNT/w$1" && cmp -n "$2" "$SCRATCH/r" "$MNT/w$1"; }
pids=()
for i in $(seq 16); do
    writer "$i" $((i * 700001)) &
    pids+=($!)
done
for p in "${pids[@]}"; do wait "$p" || fail "a writer failed"; done
pids=()
for i in $(seq 16); do
    cmp -n $((i * 700001)) "$SCRATCH/r" "$MNT/w$i" &
    pids+=($!)
done
for p in "${pids[@]}"; do wait "$p" || fail "a reader failed"; done
equal "files" 16 "$(ls "$MNT" | wc -l)"
# The same directory from many processes.
pids=()
mkdir "$MNT/d"
for i in $(seq 8); do (for j in $(seq 20); do echo "$i.$j" >"$MNT/d/$i.$j" || exit 1; done) & pids+=($!); done
for p in "${pids[@]}"; do wait "$p" || fail "a creator failed"; done
equal "small files" 160 "$(ls "$MNT/d" | wc -l)"
unmount_fs
equal "keys" 177 "$(s3 keys | wc -l)"
