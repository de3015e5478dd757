#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 200
# asan: no
# The same with kill -9 and another mount in between: what was closed or answered before is there.
exec "$SOURCE_DIR/tests/model/model.py" --seed 6000 --seeds 4 --steps 300 --profile full --kill any --shrink 60
