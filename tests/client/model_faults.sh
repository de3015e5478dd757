#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# Lists, batch deletes and transfers against a server that misbehaves: the result is whole or an
# error, never something shorter; a transient fault is got over; nothing is left lying about.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
export AWS_ENDPOINT_URL=$S3_ENDPOINT
step() { # step EXPECTED ARG...: EXPECTED is "ok", "error" or an error's kind
    local want=$1 got
    shift
    got=$("$BUILD_DIR/tests/client/model_faults" "$@" 2>"$SCRATCH/err") ||
        fail "$fault: model_faults $*: exit status $?: $(cat "$SCRATCH/err")"
    case $want in
    error) [ "$got" != ok ] || fail "$fault: $* succeeded" ;;
    *) equal "$fault: $* ($(cat "$SCRATCH/err"))" "$want" "$got" ;;
    esac
}
with() { # with RULE EXPECTED ARG...
    fault=$1
    s3d_fault "$1"
    shift
    step "$@"
    s3d_faults_clear
}
fault=none
s3 fill 2500
step ok list 2500

L=op=ListObjectsV2
for action in broken-xml truncated-xml empty-body 200-error:InternalError status:503:SlowDown \
    status:500:InternalError reset cut:300 cut:0 wrong-length:-1 wrong-length:+1 repeat-token; do
    with "$L action=$action" error list 2500
    # From the second page on, for ever: what came before does not make it a shorter list.
    with "$L after=1 action=$action" error list 2500
    # Once: retried by the client, or by who iterates.
    with "$L after=1 count=1 action=$action" ok list-retry 2500
done
for action in broken-xml truncated-xml status:503:SlowDown status:500:InternalError reset cut:300; do
    with "$L after=1 count=1 action=$action" ok list 2500
done
with "$L after=2 action=status:403:AccessDenied" access-denied list 2500

# Batch delete: of 1,500, so that the first request's failure must not go under in the second's
# success.
D=op=DeleteObjects
s3 fill 1500 del/
with "$D action=status:403:AccessDenied" access-denied delete 1500 del/
equal "a refused request deletes nothing" 1500 "$(s3 keys del/ | wc -l)"
with "$D count=1 action=status:503:SlowDown" ok delete 1500 del/
equal "all deleted" 0 "$(s3 keys del/ | wc -l)"
for action in broken-xml truncated-xml empty-body 200-error:InternalError reset cut:100; do
    s3 fill 20 del/
    with "$D action=$action" error delete 20 del/
done
# The last of them were carried out, only the answers were cut.
equal "all deleted in the end" 0 "$(s3 keys del/ | wc -l)"

# Transfers: 12 MiB in three parts.
random_file "$SCRATCH/big" 12582912
step ok upload "$SCRATCH/big" kept
for action in status:500:InternalError status:403:AccessDenied reset; do
    with "op=UploadPart key=new action=$action" error upload "$SCRATCH/big" new
    with "op=CompleteMultipartUpload key=new action=$action" error upload "$SCRATCH/big" new
    with "op=UploadPartCopy key=new action=$action" error copy kept new
done
with "op=CompleteMultipartUpload key=new action=200-error:InternalError" error upload "$SCRATCH/big" new
with "op=UploadPartCopy key=new action=200-error:InternalError" error copy kept new
equal "no object of a failed upload" "" "$(s3 keys new)"
step ok uploads 0
for action in status:503:SlowDown reset 200-error:SlowDown; do
    with "op=CompleteMultipartUpload key=new count=1 action=$action" ok upload "$SCRATCH/big" new
done
with "op=CompleteMultipartUpload key=new count=1 action=lost-answer" ok upload "$SCRATCH/big" new
with "op=UploadPart key=new every=2 action=status:500:InternalError" ok upload "$SCRATCH/big" new
with "op=UploadPartCopy every=2 action=status:500:InternalError" ok copy new new2
for key in new new2; do
    check "$key is the file" s3 get "$key" "$SCRATCH/got"
    check "$key has the file's bytes" cmp "$SCRATCH/big" "$SCRATCH/got"
done
step ok uploads 0

G="op=GetObject key=kept"
for action in cut:100000 reset:100000 status:503:SlowDown; do
    rm -f "$SCRATCH/down"
    with "$G every=2 action=$action" ok download kept "$SCRATCH/down"
    check "every second $action: bytes" cmp "$SCRATCH/big" "$SCRATCH/down"
done
for action in status:500:InternalError status:403:AccessDenied status:412:PreconditionFailed cut:0 \
    wrong-length:+1; do
    rm -f "$SCRATCH/down"
    with "$G action=$action" error download kept "$SCRATCH/down"
    with "$G after=1 action=$action" error download kept "$SCRATCH/down"
    check "$action: no file" test ! -e "$SCRATCH/down"
done
leftovers=("$SCRATCH"/down*)
equal "temporary files" "$SCRATCH/down*" "${leftovers[0]}"
