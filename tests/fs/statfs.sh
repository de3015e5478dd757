#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# S3 tells no limit: df shows a petabyte that is free, and programs that look for space find it.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
equal "bytes in all and free" "$((1 << 50)) $((1 << 50))" "$(df -B1 --output=size,avail "$MNT" | tail -n 1 | tr -s ' ')"
equal "longest name" 255 "$(stat -f -c %l "$MNT")"
head -c 5000 /dev/zero >"$MNT/f"
equal "blocks of a file, in 512 bytes" 10 "$(stat -c %b "$MNT/f")"
equal "du" 5000 "$(du -b "$MNT/f" | cut -f1)"
unmount_fs
