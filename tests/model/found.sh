#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# asan: no
# What the model has found once: every list in found/ runs again.
failed=0 n=0
for list in "$SOURCE_DIR"/tests/model/found/*.list; do
    n=$((n + 1))
    "$SOURCE_DIR/tests/model/model.py" --replay "$list" || {
        echo "FAIL: $list"
        failed=1
    }
    rm -rf "$SCRATCH"/s3d*
done
[ $n -gt 0 ] && exit $failed
