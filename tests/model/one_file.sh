#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# One file, changed in every way a program can, against the bytes in memory; then with kill -9.
program=$SOURCE_DIR/tests/model/one_file.py
# What this version does not do yet.
without=punch,zero,allocate,truncate_path,rewrite
"$program" --seed 5000 --seeds 3 --steps 250 --size 4 --without $without || exit 1
"$program" --seed 5100 --steps 200 --size 4 --without $without --kill closed || exit 1
"$program" --seed 5200 --steps 200 --size 4 --without $without --kill any
