#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw
# limit: 600
"""The same with write-back: what close, rename, unlink and mkdir acknowledged was in the journal only,
and must be there after the next mount."""
import sys

import points

sys.exit(points.main("writeback", ["writeback"]))
