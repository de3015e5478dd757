#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# Broken pages, cut bodies, 503s, resets: never a wrong or short listing or file, always an errno or
# a retry that succeeds.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 fill 2500 dir/
random_file "$SCRATCH/big" 30000000
s3 put big "$SCRATCH/big"
options="retries=3,timeout=5,metadata_ttl=0,negative_ttl=0"
mount_fs -o "$options"
whole_or_error() { # whole_or_error TITLE: the listing is complete, or ls fails; likewise the file
    local n
    if n=$(ls -f "$MNT/dir" 2>"$SCRATCH/err" | grep -c '^f'; exit "${PIPESTATUS[0]}"); then
        equal "$1: names of a successful listing" 2500 "$n"
    else
        check "$1: ls says why" test -s "$SCRATCH/err"
    fi
    if cat "$MNT/big" >"$SCRATCH/got" 2>"$SCRATCH/err"; then
        check "$1: a successful read is the whole file" cmp "$SCRATCH/big" "$SCRATCH/got"
    else
        check "$1: cat says why" test -s "$SCRATCH/err"
        cmp -n "$(stat -c %s "$SCRATCH/got")" "$SCRATCH/big" "$SCRATCH/got" ||
            fail "$1: wrong bytes before the error"
    fi
}
always_error() { # always_error TITLE
    if ls "$MNT/dir" >"$SCRATCH/got" 2>&1; then fail "$1: ls succeeded"; fi
}
for action in broken-xml truncated-xml empty-body 200-error:InternalError repeat-token \
    status:503:SlowDown status:500:InternalError status:403:AccessDenied reset cut:300; do
    s3d_fault "op=ListObjectsV2 action=$action"
    always_error "ListObjectsV2 always $action"
    s3d_faults_clear
    whole_or_error "after $action"
done
for action in broken-xml truncated-xml cut:300 status:503:SlowDown reset; do
    s3d_fault "op=ListObjectsV2 after=1 count=1 action=$action"
    whole_or_error "second page once $action"
    s3d_faults_clear
done
for action in cut:100000 reset status:503:SlowDown status:500:InternalError cut:0 wrong-length; do
    s3d_fault "op=GetObject every=3 action=$action"
    whole_or_error "every third GetObject $action"
    s3d_faults_clear
    s3d_fault "op=GetObject action=$action"
    whole_or_error "each GetObject $action"
    s3d_faults_clear
done
whole_or_error "at the end without faults"
equal "names at the end" 2500 "$(ls "$MNT/dir" | wc -l)"
check "file at the end" cmp "$SCRATCH/big" "$MNT/big"
unmount_fs
