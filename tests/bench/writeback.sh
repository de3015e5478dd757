#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 1,000 files of 4 KiB by one writer, then rm -r of them, with 20 ms to the first byte of each
# answer: the default mode against -o writeback. Prints seconds and requests.
#   SOURCE_DIR=$PWD BUILD_DIR=build SCRATCH=$(mktemp -d) HOME=$SCRATCH tests/bench/writeback.sh [FILES] [MS]
. "$SOURCE_DIR/tests/lib/common.sh"
FILES=${1:-1000} MS=${2:-20}
server_start --first-byte-delay "$MS"
seconds() { # seconds TEXT command...
    local begin=$EPOCHREALTIME text=$1
    shift
    "$@" || fail "$text"
    awk -v a="$begin" -v b="$EPOCHREALTIME" -v t="$text" 'BEGIN {printf "  %-28s %8.3f s", t, b - a}'
    echo "   $(s3d_requests)"
    s3d_reset
}
create() {
    /usr/bin/python3 - "$MNT/d" "$FILES" <<'P'
import os, sys
folder, n = sys.argv[1], int(sys.argv[2])
os.mkdir(folder)
body = os.urandom(4096)
for i in range(n):
    fd = os.open(f"{folder}/f{i:06}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(fd, body)
    os.close(fd)
P
}
for mode in default writeback; do
    echo "$mode"
    options=()
    [ $mode = default ] || options=(-o writeback)
    mount_fs "${options[@]}"
    ls "$MNT" >/dev/null
    s3d_reset
    seconds "create $FILES x 4 KiB" create
    [ $mode = default ] || seconds "until they are in S3" "$PAILCTL" flush "$MNT"
    seconds "rm -r" rm -r "$MNT/d"
    [ $mode = default ] || seconds "until they are gone" "$PAILCTL" flush "$MNT"
    unmount_fs
done
