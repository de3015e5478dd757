#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# restic keeps a repository in the mount: init, backups, check of all data, forget and prune, restore.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need restic
server_start
tree=$SCRATCH/tree
make_tree "$tree"
mount_fs
export RESTIC_REPOSITORY=$MNT/repo RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$SCRATCH/cache
snapshots() {
    restic snapshots --json | /usr/bin/python3 -c 'import json, sys; [print(s["id"]) for s in json.load(sys.stdin)]'
}
check "restic init" restic -q init
check "restic backup" restic -q backup "$tree"
cp -r "$tree" "$SCRATCH/first" && touch -r "$tree" "$SCRATCH/first"
remount_fs
check "restic check --read-data" restic -q check --read-data
echo changed >"$tree/empty dir/changed"
rm -r "$tree/vfs"
random_file "$tree/second.bin" 9000000 3
check "the second backup" restic -q backup "$tree"
equal "snapshots" 2 "$(snapshots | wc -l)"
mapfile -t ids < <(snapshots)
contains "restic diff" "second.bin" "$(restic diff "${ids[0]}" "${ids[1]}")"
check "restore of the first" restic -q restore "${ids[0]}" --target "$SCRATCH/r1"
same_tree "the first is whole" "$SCRATCH/first" "$SCRATCH/r1$tree"
check "forget --prune" restic -q forget --keep-last 1 --prune
equal "snapshots after forget" 1 "$(snapshots | wc -l)"
remount_fs
check "check after prune" restic -q check --read-data
check "restore without a cache" restic -q --no-cache restore latest --target "$SCRATCH/r2"
same_tree "the second is whole" "$tree" "$SCRATCH/r2$tree"
same_manifest "attributes of the second" "$tree" "$SCRATCH/r2$tree"
check "restore into the mount" restic -q restore latest --target "$MNT/restored"
same_tree "what was restored there" "$tree" "$MNT/restored$tree"
equal "no lock is left" "" "$(ls -A "$MNT/repo/locks")"
remount_fs
same_manifest "attributes of what was restored there" "$tree" "$MNT/restored$tree"
finish_fs
