#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# servers: s3d
# Secrets appear neither in the log at its most talkative, nor in argv, nor in mount's output.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o log_level=debug
echo x >"$MNT/f" && cat "$MNT/f" >/dev/null && mkdir "$MNT/d" && ls "$MNT" >/dev/null
pid=$(daemon_pids)
refuse "secret in argv" grep -aqF "$AWS_SECRET_ACCESS_KEY" "/proc/$pid/cmdline"
refuse "secret in the mount table" grep -qF "$AWS_SECRET_ACCESS_KEY" /proc/self/mounts
unmount_fs
check "the log is talkative" test "$(wc -l <"$LOG")" -gt 5
refuse "secret in the log" grep -qF "$AWS_SECRET_ACCESS_KEY" "$LOG"
refuse "a signature in the log" grep -qE 'Signature=[0-9a-f]{10}' "$LOG"
