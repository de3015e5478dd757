#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every operation of the client against the server, with exact checks (client_ops.c).
# servers: s3d rgw
. "$SOURCE_DIR/tests/lib/common.sh"

server_start
"$BUILD_DIR/tests/client/client_ops" || fail "client_ops: exit status $?"
