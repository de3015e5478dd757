#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw
# limit: 600
"""kill -9 at every named point, once at its first pass and at some later ones, in the default mode."""
import sys

import points

sys.exit(points.main())
