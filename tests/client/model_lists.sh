#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw
# The paginator and collections over the five lists, in pages and portions of every size.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
export AWS_ENDPOINT_URL=$S3_ENDPOINT
"$BUILD_DIR/tests/client/model_lists" || fail "model_lists: exit status $?"
