#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 200
# Random operations of all kinds: the mount and a local folder stay equal.
exec "$SOURCE_DIR/tests/model/model.py" --seed 1000 --seeds 4 --steps 400 --profile full --shrink 60
