#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# git works in the mount: init, commits, branches, merge, gc, fsck, clone in and out, push to a bare one.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need git
server_start
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
git config --global init.defaultBranch main
git config --global advice.detachedHead false
tree=$SCRATCH/tree
make_tree "$tree"
mount_fs
repo=$MNT/repo
check "git init" git init -q "$repo"
check "cp" cp -r "$tree/." "$repo"
check "git add" git -C "$repo" add -A
check "git commit" git -C "$repo" commit -q -m one
equal "status is clean" "" "$(git -C "$repo" status --porcelain)"
check "git checkout -b" git -C "$repo" checkout -q -b topic
echo topic >"$repo/deep/topic"
git -C "$repo" rm -q -r vfs
git -C "$repo" mv script renamed
check "git add on the branch" git -C "$repo" add -A
check "git commit on the branch" git -C "$repo" commit -q -m two
check "git checkout main" git -C "$repo" checkout -q main
same_tree "the removed files are back" "$tree/vfs" "$repo/vfs"
echo main >>"$repo/name with blanks"
check "git commit -a" git -C "$repo" commit -q -a -m three
check "git merge" git -C "$repo" merge -q -m merged topic
check "git fsck" git -C "$repo" fsck --full --strict
check "git gc" git -C "$repo" gc -q --aggressive --prune=now
check "git fsck after gc" git -C "$repo" fsck --full
head=$(git -C "$repo" rev-parse HEAD)
remount_fs
equal "HEAD after a remount" "$head" "$(git -C "$repo" rev-parse HEAD)"
equal "status after a remount" "" "$(git -C "$repo" status --porcelain)"
check "git fsck after a remount" git -C "$repo" fsck --full
check "clone out" git clone -q --no-hardlinks "$repo" "$SCRATCH/out"
same_tree "the clone's files" "$repo" "$SCRATCH/out" -x .git -x "empty dir"
check "clone a bare one into the mount" git clone -q --bare "$SCRATCH/out" "$MNT/bare.git"
echo pushed >"$SCRATCH/out/pushed"
git -C "$SCRATCH/out" add -A && git -C "$SCRATCH/out" commit -q -m four
check "git push into the mount" git -C "$SCRATCH/out" push -q "$MNT/bare.git" HEAD:refs/heads/main
check "git fsck of the bare one" git -C "$MNT/bare.git" fsck --full
check "git pull from it" git -C "$repo" pull -q --ff-only "$MNT/bare.git" main
equal "the pulled file" pushed "$(cat "$repo/pushed")"
# Packs of many parts, written, indexed, repacked and fetched from.
random_file "$repo/large.bin" 21000000 5
random_file "$repo/other.bin" 9500000 6
check "git add of large files" git -C "$repo" add large.bin other.bin
check "git commit of large files" git -C "$repo" commit -q -m large
printf changed | dd of="$repo/large.bin" bs=1 seek=12345678 conv=notrunc status=none || fail "dd"
check "git commit of a change in the middle" git -C "$repo" commit -q -a -m changed
check "git gc of large files" git -C "$repo" gc -q --prune=now
[ "$(find "$repo/.git/objects/pack" -name '*.pack' -size +24M | wc -l)" = 1 ] || fail "no large pack: $(ls -l "$repo/.git/objects/pack")"
check "git clone of large files inside the mount" git clone -q --no-hardlinks "$repo" "$MNT/large"
check "the clone's large file" cmp "$repo/large.bin" "$MNT/large/large.bin"
check "git clone over the protocol" git clone -q "file://$repo" "$MNT/wire"
check "git fsck of it" git -C "$MNT/wire" fsck --full
check "git worktree" git -C "$repo" worktree add -q "$MNT/wt" topic
check "git stash" bash -c "echo x >>'$MNT/wt/deep/topic' && git -C '$MNT/wt' stash -q && git -C '$MNT/wt' stash pop -q"
remount_fs
check "git fsck at the end" git -C "$repo" fsck --full
finish_fs
