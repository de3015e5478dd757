#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# The same with -o writeback, where the store is behind: also with faults, and with kill -9.
model=$SOURCE_DIR/tests/model/model.py
"$model" --seed 7000 --seeds 2 --steps 300 --profile full -o writeback --shrink 40 || exit 1
"$model" --seed 7100 --seeds 2 --steps 250 --profile full -o writeback --faults --shrink 40 || exit 1
"$model" --seed 7200 --seeds 2 --steps 250 --profile full -o writeback --kill any --shrink 40 || exit 1
"$SOURCE_DIR/tests/model/one_file.py" --seed 7300 --steps 100 --size 12 -o writeback || exit 1
"$SOURCE_DIR/tests/model/one_file.py" --seed 7400 --steps 80 --size 12 -o writeback --kill closed
