#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tar unpacks a source tree into the mount and packs it again; cp -a, mv, du and find -delete of it.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
server_start
tree=$SCRATCH/tree
make_tree "$tree"
tar --format=pax -C "$tree" -cf "$SCRATCH/in.tar" .
mount_fs
mkdir "$MNT/t"
check "tar -x" tar -C "$MNT/t" -xpf "$SCRATCH/in.tar"
same_tree "diff right after" "$tree" "$MNT/t"
same_manifest "attributes right after" "$tree" "$MNT/t"
remount_fs
same_tree "diff after a remount" "$tree" "$MNT/t"
same_manifest "attributes after a remount" "$tree" "$MNT/t"
equal "time of a symbolic link" "$(stat -c %y "$tree/link")" "$(stat -c %y "$MNT/t/link")"
check "boto3 compares" s3 tree "$tree" t/
check "a script runs" "$MNT/t/script"
check "tar --compare" tar -C "$MNT/t" -df "$SCRATCH/in.tar"
check "tar -cz inside the mount" tar -C "$MNT" --format=pax -czf "$MNT/t.tgz" t
check "tar -t of it" tar -tzf "$MNT/t.tgz"
check "cp -a inside the mount" cp -a "$MNT/t" "$MNT/copy"
same_manifest "attributes of the copy" "$tree" "$MNT/copy"
equal "time of a copied link" "$(stat -c %y "$tree/link")" "$(stat -c %y "$MNT/copy/link")"
check "mv of a tree" mv "$MNT/copy" "$MNT/t/empty dir/moved"
equal "du --apparent-size" "$(find "$tree" -type f -printf '%s\n' | awk '{n += $1} END {printf "%d", n}')" \
    "$(cd "$MNT/t/empty dir/moved" && find . -type f -print0 | du -bc --files0-from=- | tail -n 1 | cut -f 1)"
remount_fs
same_tree "diff of the moved copy" "$tree" "$MNT/t/empty dir/moved"
same_manifest "attributes of the moved copy" "$tree" "$MNT/t/empty dir/moved"
mkdir "$SCRATCH/out"
check "tar -x of what the mount packed" tar -C "$SCRATCH/out" -xpzf "$MNT/t.tgz"
same_manifest "its attributes" "$tree" "$SCRATCH/out/t"
check "find -delete" find "$MNT/t" -delete
refuse "it is gone" test -e "$MNT/t"
equal "what is left" t.tgz "$(ls -A "$MNT")"
finish_fs
