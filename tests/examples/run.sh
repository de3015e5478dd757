#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# Runs the example programs against s3d, or against the RADOS Gateway (TEST_SERVER=rgw).
#   tests/run.sh --only examples-s3d,examples-rgw
#   BUILD_DIR=build/tests tests/examples/run.sh [NAME...]      by hand, after a build, with s3d
# The last line is "N passed, N failed"; exit status 0 = none failed.
export SOURCE_DIR=${SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
export BUILD_DIR=${BUILD_DIR:-$SOURCE_DIR/build/tests}
own_scratch=
[ -n "${SCRATCH:-}" ] || own_scratch=$(mktemp -d "${TMPDIR:-/tmp}/examples.XXXXXX")
export SCRATCH=${SCRATCH:-$own_scratch}
export HOME=$SCRATCH
# shellcheck source=tests/lib/common.sh
. "$SOURCE_DIR/tests/lib/common.sh"

server_start
export AWS_ENDPOINT_URL=$S3_ENDPOINT

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for source in "$SOURCE_DIR"/tests/examples/*.c; do
        name=$(basename "$source" .c)
        [ "$name" = example ] || names+=("$name")
    done
fi

passed=0 failed=0
for name in "${names[@]}"; do
    if timeout 120 "$BUILD_DIR/tests/examples/example_$name" >"$SCRATCH/$name.out" 2>&1; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name (exit status $?)"
        tail -n 30 "$SCRATCH/$name.out"
        failed=$((failed + 1))
    fi
done
if [ -n "$own_scratch" ]; then
    s3d_stop
    rm -rf "$own_scratch"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
