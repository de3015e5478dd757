#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# One file, changed in every way a program can, against the bytes in memory; then with kill -9.
program=$SOURCE_DIR/tests/model/one_file.py
"$program" --seed 5000 --seeds 2 --steps 150 || exit 1
"$program" --seed 5100 --steps 120 --size 12 --kill closed || exit 1
"$program" --seed 5200 --steps 120 --size 12 --kill any
