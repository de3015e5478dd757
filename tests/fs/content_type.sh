#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Content types are made from names, also by a rename; one that was set by hand stays.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 put theirs.tmp /etc/hostname
mount_fs
type_of() { s3 head "$1" | sed -n 's/^type //p'; }
echo x >"$MNT/page.html"
echo x >"$MNT/none"
echo x >"$MNT/data.tmp"
head -c 20000000 /dev/zero >"$MNT/large.json"
equal "html" text/html "$(type_of page.html)"
equal "no extension" application/octet-stream "$(type_of none)"
equal "a multipart upload" application/json "$(type_of large.json)"
check "mv" mv "$MNT/data.tmp" "$MNT/data.json"
equal "renamed" application/json "$(type_of data.json)"
check "append" bash -c "echo y >>$MNT/data.json"
equal "appended" application/json "$(type_of data.json)"
check "mv of another's" mv "$MNT/theirs.tmp" "$MNT/theirs.css"
equal "another's" text/css "$(type_of theirs.css)"
/usr/bin/python3 - "$MNT/page.html" <<'P' || fail "see above"
import os, sys
assert os.getxattr(sys.argv[1], "user.s3.content-type") == b"text/html"
os.setxattr(sys.argv[1], "user.s3.content-type", b"application/xhtml+xml")
P
check "mv" mv "$MNT/page.html" "$MNT/page.txt"
check "rewrite" bash -c "echo anew >$MNT/page.txt"
equal "set by hand" application/xhtml+xml "$(type_of page.txt)"
unmount_fs
