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
    check "rsync $*" rsync -aHAX --modify-window=-1 --numeric-ids --itemize-changes "$@" >"$SCRATCH/rsync.out"
}
setfattr -n user.comment -v 'a value' "$tree/small.bin" || fail "setfattr"
mount_fs
run "$tree/" "$MNT/t/"
same_manifest "attributes right after" "$tree" "$MNT/t"
remount_fs
same_manifest "attributes after a remount" "$tree" "$MNT/t"
equal "time of a symbolic link" "$(stat -c %y "$tree/link")" "$(stat -c %y "$MNT/t/link")"
equal "an extended attribute after a remount" "a value" "$(getfattr --only-values -n user.comment "$MNT/t/small.bin")"
check "boto3 compares" s3 tree "$tree" t/
run "$tree/" "$MNT/t/"
equal "nothing to do the second time" "" "$(transferred)"
[ "$TEST_SERVER" != s3d ] || s3d_reset
run "$tree/" "$MNT/t/"
[ "$TEST_SERVER" != s3d ] || equal "requests of a run with nothing to do" "" "$(s3d_requests)"
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
# In place, with the delta algorithm: of a file of many parts too, of which little is sent.
printf changed | dd of="$tree/small.bin" bs=1 seek=33333 conv=notrunc status=none
run --inplace --no-whole-file "$tree/" "$MNT/t/"
equal "one file changed" small.bin "$(transferred)"
printf changed | dd of="$tree/large.bin" bs=1 seek=7654321 conv=notrunc status=none
run --inplace --no-whole-file "$tree/" "$MNT/t/"
equal "one large file changed" large.bin "$(transferred)"
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
# Hard links cannot be: rsync -H says which names are missing and fails; without it each name is a file.
mkdir "$SCRATCH/hard" && echo one >"$SCRATCH/hard/a" && ln "$SCRATCH/hard/a" "$SCRATCH/hard/b" && echo other >"$SCRATCH/hard/other"
rsync -aHAX "$SCRATCH/hard/" "$MNT/hard/" >"$SCRATCH/rsync.out" 2>&1
equal "exit status of rsync -H with hard links" 23 $?
contains "it says why" "Operation not permitted" "$(cat "$SCRATCH/rsync.out")"
equal "the rest is there" other "$(cat "$MNT/hard/other")"
equal "one of the two names is there, whole" one "$(cat "$MNT"/hard/[ab])"
check "rsync without -H" rsync -aAX "$SCRATCH/hard/" "$MNT/hard/"
same_tree "each name is a file" "$SCRATCH/hard" "$MNT/hard"
refuse "cp -a of hard links" cp -a "$SCRATCH/hard" "$MNT/cp"
contains "it says why" "Operation not permitted" "$(cat "$SCRATCH/refuse.out")"
check "cp -a --no-preserve=links" cp -a --no-preserve=links "$SCRATCH/hard/." "$MNT/cp"
same_tree "each name is a file of cp" "$SCRATCH/hard" "$MNT/cp"
check "tar --hard-dereference" bash -c "tar -C '$SCRATCH' --hard-dereference -cf - hard | tar -C '$MNT/cp' -xpf -"
same_tree "each name is a file of tar" "$SCRATCH/hard" "$MNT/cp/hard"
finish_fs
