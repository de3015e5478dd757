#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rsync -aHA into the mount, again without anything to do, after changes, in place, and back out.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need rsync
server_start
tree=$SCRATCH/tree
make_tree "$tree"
transferred() { # names of the files that rsync sent
    grep -E '^[<>c*.][fd]|^\*deleting' "$SCRATCH/rsync.out" | grep -vE '^\.' | sed 's/^[^ ]* *//' | sort | paste -sd ' ' -
}
run() {
    check "rsync $*" rsync -aHA --modify-window=-1 --numeric-ids --itemize-changes "$@" >"$SCRATCH/rsync.out"
}
mount_fs
run "$tree/" "$MNT/t/"
same_manifest "attributes right after" "$tree" "$MNT/t"
remount_fs
same_manifest "attributes after a remount" "$tree" "$MNT/t"
equal "time of a symbolic link" "$(stat -c %y "$tree/link")" "$(stat -c %y "$MNT/t/link")"
check "boto3 compares" s3 tree "$tree" t/
run "$tree/" "$MNT/t/"
equal "nothing to do the second time" "" "$(transferred)"
run --checksum "$tree/" "$MNT/t/"
equal "nothing to do by checksum" "" "$(transferred)"
echo more >>"$tree/name with blanks"
echo new >"$tree/deep/new"
rm "$tree/base/log.c"
chmod 640 "$tree/script"
ln -sfn name "$tree/link"
run --delete "$tree/" "$MNT/t/"
same_manifest "attributes after changes" "$tree" "$MNT/t"
same_tree "diff after changes" "$tree" "$MNT/t"
# In place, with the delta algorithm, in the part of a file that fits memory.
printf changed | dd of="$tree/small.bin" bs=1 seek=33333 conv=notrunc status=none
run --inplace --no-whole-file "$tree/" "$MNT/t/"
equal "one file changed" small.bin "$(transferred)"
remount_fs
same_tree "diff after --inplace" "$tree" "$MNT/t"
same_manifest "attributes after --inplace" "$tree" "$MNT/t"
run --append "$tree/" "$MNT/t/"
equal "nothing to append" "" "$(transferred)"
random_file "$SCRATCH/more" 3000000 9
cat "$SCRATCH/more" >>"$tree/large.bin"
run --append-verify "$tree/" "$MNT/t/"
check "the large file after --append-verify" cmp "$tree/large.bin" "$MNT/t/large.bin"
run "$MNT/t/" "$SCRATCH/back/"
same_manifest "attributes of the way back" "$tree" "$SCRATCH/back"
same_tree "diff of the way back" "$tree" "$SCRATCH/back"
finish_fs
