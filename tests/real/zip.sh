#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# Packers: zip (which seeks back to fill in headers), unzip, gzip, xz, cpio, Python's zipfile.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need zip unzip gzip xz cpio
server_start
tree=$SCRATCH/tree
make_tree "$tree"
touch "$tree/.hidden" # zip knows no time before 1980,
rm "$tree/100%+&=?#;"  # and unzip takes a ; for the version of a VMS file
mount_fs
cd "$SCRATCH" || fail "cd"
check "zip into the mount" zip -qry "$MNT/t.zip" tree
check "unzip -t" unzip -tq "$MNT/t.zip"
echo added >"$tree/added"
check "zip updates an archive" zip -qry "$MNT/t.zip" tree
check "zip -d" zip -qd "$MNT/t.zip" tree/empty
mkdir "$MNT/u" && check "unzip in the mount" unzip -q "$MNT/t.zip" -d "$MNT/u"
same_tree "diff" "$tree" "$MNT/u/tree" -x empty
check "Python's zipfile" /usr/bin/python3 -m zipfile -c "$MNT/p.zip" "$tree"
check "Python's zipfile reads it" /usr/bin/python3 -m zipfile -t "$MNT/p.zip"
cp -r "$tree" "$MNT/z"
check "gzip in place" gzip -r "$MNT/z/base"
check "xz in place" xz "$MNT/z/small.bin"
(cd "$MNT/u" && find tree -depth -print0 | cpio -0 --quiet -o >"$MNT/t.cpio") || fail "cpio -o"
remount_fs
check "gunzip in place" gunzip -r "$MNT/z/base"
check "unxz in place" unxz "$MNT/z/small.bin.xz"
same_tree "diff after gunzip and unxz" "$tree" "$MNT/z"
mkdir "$MNT/c" && (cd "$MNT/c" && cpio --quiet -idm <"$MNT/t.cpio") || fail "cpio -i"
same_tree "diff after cpio" "$tree" "$MNT/c/tree" -x empty
check "boto3 compares" s3 tree "$tree" z/
finish_fs
