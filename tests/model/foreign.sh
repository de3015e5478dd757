#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 200
# asan: no
# The same while somebody else changes the bucket in between: without caches it is seen at once.
exec "$SOURCE_DIR/tests/model/model.py" --seed 3000 --seeds 4 --steps 400 --profile full --foreign --shrink 60
