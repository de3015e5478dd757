#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules of the store's port, and files through the data layer, over a bucket (store_rules.c).
# servers: s3d rgw
. "$SOURCE_DIR/tests/lib/common.sh"

server_start
export AWS_ENDPOINT_URL=$S3_ENDPOINT
"$BUILD_DIR/tests/client/store_rules" s3 || fail "store_rules: exit status $?"
