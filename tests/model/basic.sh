#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 200
# Random operations, what this version promises: the mount and a local folder stay equal.
exec "$SOURCE_DIR/tests/model/model.py" --seed 1000 --seeds 6 --steps 500 --shrink 60
