#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# What the client puts right by itself: every operation (client_ops.c) against a server whose clock is off, in
# another region, over TLS, and with keys that come with a session token; then the funnel under
# faults (client_faults.c).
. "$SOURCE_DIR/tests/lib/common.sh"

ops() { # ops TEXT: prints what client_ops says
    local out
    out=$("$BUILD_DIR/tests/client/client_ops" 2>&1) || fail "$1: $out"
}

server_start
s3d_stop
s3d_start --clock-offset 5400
ops "a clock that is 90 minutes off"
check "some requests were refused for it" test "$(s3d_count status_403)" -gt 0
s3d_stop

s3d_start --region eu-west-1
S3_LOCATION=eu-west-1 ops "another region"
check "some requests were refused for it" test "$(s3d_count status_400)" -gt 0
s3d_stop

s3d_start --session-token the-token
if "$BUILD_DIR/tests/client/client_ops" >"$SCRATCH/out" 2>&1; then fail "no token, but a success"; fi
AWS_SESSION_TOKEN=the-token ops "a session token"
s3d_stop

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" 2>/dev/null || fail "openssl req"
s3d_start --tls "$SCRATCH/cert.pem" "$SCRATCH/key.pem"
export S3_ENDPOINT=https://127.0.0.1:$S3D_PORT
if "$BUILD_DIR/tests/client/client_ops" >"$SCRATCH/out" 2>&1; then fail "an unknown certificate was believed"; fi
AWS_CA_BUNDLE=$SCRATCH/cert.pem ops "TLS"
s3d_stop

s3d_start
"$BUILD_DIR/tests/client/client_faults" || fail "client_faults: exit status $?"
