#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: writeback
# servers: s3d
# Many programs that are killed while they wait for reads that the server does not answer are gone soon, and leave no
# worker and no connection occupied: others read, list and write, and the mount ends, long before the timeout. What a
# thread has asked for that ended is answered, as long as its process lives.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/r" 3000000
s3 fill 60 hang/
for i in 1 2 3 4 5 6 7 8; do s3 put "hang/large$i" "$SCRATCH/r"; done
for i in 1 2; do s3 put "ok/f$i" "$SCRATCH/r"; done
mount_fs -o timeout=900s,metadata_ttl=900s,log_level=debug
ls -l "$MNT/hang" "$MNT/ok" >/dev/null
s3d_fault "op=GetObject key=hang action=hang"
names=("$MNT"/hang/*)
equal "files" 68 ${#names[@]}
all_wait() { [ "$(grep -o "read 'hang/[^']*'" "$LOG" | sort -u | wc -l)" = 68 ]; }
gone() {
    local pid
    for pid in "${pids[@]}"; do [ ! -e "/proc/$pid" ] || grep -q "^State:.Z" "/proc/$pid/status" 2>/dev/null || return 1; done
}
pids=()
for name in "${names[@]}"; do
    cat "$name" >/dev/null 2>&1 &
    pids+=($!)
done
check "all wait" poll 60 all_wait
kill -KILL "${pids[@]}"
check "all are gone" poll 60 gone
wait "${pids[@]}" 2>/dev/null
check "a read" timeout 100 cmp "$SCRATCH/r" "$MNT/ok/f1"
check "ls" timeout 100 ls "$MNT" >/dev/null
check "a write" timeout 100 cp "$SCRATCH/r" "$MNT/new"
open_connections() { curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "open_connections" {print $2}'; }
few_connections() { [ "$(open_connections)" -lt 20 ]; }
check "connections are free" poll 60 few_connections
s3d_faults_clear
check "the same files, when they are answered" cmp "$SCRATCH/r" "$MNT/hang/large1"
# A thread that has submitted a read and ended is not a process that was killed.
s3d_fault "op=GetObject key=ok/f2 action=delay:2500"
"$SOURCE_DIR/tests/lib/aio_of_a_thread.py" "$MNT/ok/f2" "$SCRATCH/r"
case $? in 0 | 77) ;; *) fail "asynchronous read of a thread that has ended" ;; esac
s3d_faults_clear
unmount_fs
if grep -w ERROR "$LOG"; then fail "errors in the log"; fi
