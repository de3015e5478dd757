#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# Single requests that hang, before their answer, in the middle of it and in the middle of a part, are
# sent once more on another connection long before the timeout (here an hour: who waits for it fails
# this test); bytes are right, and no other request is sent twice.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/big" 20000000
mount_fs -o "timeout=1h,hedge=off"
s3d_fault "op=UploadPart count=1 action=delay:1100"
s3d_reset
check "a file to be read" cp "$SCRATCH/big" "$MNT/big"
equal "UploadPart when told to send nothing twice" 3 "$(s3d_count UploadPart)"
s3d_faults_clear
s3 put other "$SCRATCH/big"
head -c 500000 "$SCRATCH/big" >"$SCRATCH/small"
s3 put refused "$SCRATCH/small"
remount_fs -o "timeout=1h,log_level=debug"
s3d_reset
s3d_fault "op=ListObjectsV2 count=1 action=hang" \
    "op=GetObject key=big after=1 count=1 action=hang" \
    "op=GetObject key=other count=1 action=stall:10000" \
    "op=UploadPart key=hung after=1 count=1 when=after action=hang" \
    "op=GetObject key=refused count=1 action=delay:2000" \
    "op=GetObject key=refused count=1 action=status:400:RequestTimeout" \
    "op=UploadPart key=stalled after=1 count=1 action=stall:1000000"
equal "names" "big other refused" "$(ls "$MNT" | paste -sd ' ' -)"
pids=()
cmp "$SCRATCH/big" "$MNT/big" & pids+=($!)
cmp "$SCRATCH/big" "$MNT/other" & pids+=($!)
cp "$SCRATCH/big" "$MNT/hung" & pids+=($!)
cp "$SCRATCH/big" "$MNT/stalled" & pids+=($!)
# The second try is refused as one that took too long: the first goes on, and no other is sent.
cmp "$SCRATCH/small" "$MNT/refused" & pids+=($!)
for pid in "${pids[@]}"; do check "reads and copies" wait "$pid"; done
curl -sf "$S3_ENDPOINT/_s3d/faults" | tee "$SCRATCH/faults"
equal "GETs of what was refused once" 2 "$(sed -n 's/.*key=refused .*delay.*matched \([0-9]*\),.*/\1/p' "$SCRATCH/faults")"
equal "faults" 7 "$(curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "faults" {print $2}')"
s3d_faults_clear
status() { "$PAILCTL" status "$MNT" | awk -v name="$1:" '$1 == name {print $2}'; }
check "hedges are shown" test "$(status hedges_sent)" -ge 4
check "and what they won" test "$(status hedges_won)" -ge 2
check "and what was broken off" test "$(status answers_broken_off)" -ge 1
# Those that hung; a busy machine may make it more.
repeats() { grep -c "$1: no answer from .* it is sent once more" "$LOG"; }
check "parts sent once more" test "$(repeats PUT)" -ge 2
check "reads and pages sent once more" test "$(repeats GET)" -ge 3
check "the rest of an answer" grep -q 'GetObject: the rest is asked for again' "$LOG"
# 20 MB are three parts of 8 MiB. Nothing else is sent twice; one that is called back may not have come so far.
parts=$(s3d_count UploadPart) most=$((6 + $(repeats PUT)))
[ "$parts" -ge 8 ] && [ "$parts" -le $most ] || fail "UploadPart: $parts, not from 8 to $most"
equal "CompleteMultipartUpload" 2 "$(s3d_count CompleteMultipartUpload)"
remount_fs
for name in hung stalled; do check "$name is stored" cmp "$SCRATCH/big" "$MNT/$name"; done
unmount_fs
