#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# asan: no
# The same while the server refuses, resets, cuts and loses answers: nobody notices.
exec "$SOURCE_DIR/tests/model/model.py" --seed 2000 --seeds 4 --steps 300 --profile full --faults --shrink 60
