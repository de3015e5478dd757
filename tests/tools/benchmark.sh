#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benchmark runs, reports, finds wrong content and leaves nothing behind. Times decide nothing here.
# servers: s3d
. "$SOURCE_DIR/tests/lib/common.sh"
[ "$(id -u)" = 0 ] || skip "the benchmark drops the page cache, which needs root"

run() {
    TMPDIR=$SCRATCH /usr/bin/python3 "$SOURCE_DIR/tests/bench/bench.py" --quick --rounds 1 --peers none \
        --rtt 2 --out "$SCRATCH/out" "$@" >"$SCRATCH/bench.out" 2>&1
}
check "the benchmark" run --only create1,ls1k
for name in create1 ls1k; do
    contains "a row of $name" "| $name | 2 |" "$(cat "$SCRATCH/out/table.md")"
done
check "the same over TLS, through the proxy" run --tls --proxy --only ramp64m
contains "handshakes" "TLS handshakes" "$(cat "$SCRATCH/out/table.md")"
if grep -q " $SCRATCH/" /proc/mounts; then fail "mounts are left"; fi

# What it compares with can tell: another file's bytes, one byte, one byte less.
load=$BUILD_DIR/tests/bench/load
mkdir "$SCRATCH/d" && cd "$SCRATCH/d" || fail "no folder"
check "write" "$load" write a 3000000 b 3000000
check "read" "$load" read a 3000000 b 3000000
cp a c
refuse "another file's content" "$load" read c 3000000
printf 'x' | dd of=a bs=1 seek=2999999 conv=notrunc status=none
refuse "a wrong byte" "$load" read a 3000000
refuse "a short file" "$load" read b 3000001
cd / || exit 1
exit 0
