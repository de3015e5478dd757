#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# asan: no
# The same with kill -9 and another mount in between: what was closed is there, attributes after fsync.
exec "$SOURCE_DIR/tests/model/model.py" --seed 6000 --seeds 4 --steps 300 --profile full --kill synced --shrink 60
