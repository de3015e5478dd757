#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# asan: no
# The model of itself: two local folders are always equal, and what is broken on purpose is found
# and made short.
model=$SOURCE_DIR/tests/model/model.py
for profile in basic full; do
    "$model" --dirs "$SCRATCH/a" "$SCRATCH/b" --seed 4000 --seeds 2 --steps 400 --profile $profile || exit 1
done
for broken in mtime truncate unlink hole; do
    if "$model" --dirs "$SCRATCH/a" "$SCRATCH/b" --seed 4000 --steps 1500 --shrink 20 \
        --break $broken >"$SCRATCH/$broken.out"; then
        echo "FAIL: '$broken' was not found"
        exit 1
    fi
    steps=$(awk '/^shortened/ {s = 1} s && / operations:$/ {print $1; exit}' "$SCRATCH/$broken.out")
    [ "$steps" -le 8 ] || {
        echo "FAIL: '$broken' took $steps operations"
        cat "$SCRATCH/$broken.out"
        exit 1
    }
done
