#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# duplicity and rdiff-backup keep their archives in the mount: full, incremental, verify, restore of both ages.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need duplicity rdiff-backup
server_start
tree=$SCRATCH/tree
make_tree "$tree"
find "$tree" -exec touch -d '2020-02-02 02:02:02 UTC' {} + # duplicity stores no fractions
mount_fs
mkdir "$MNT/dup"
dup() {
    check "duplicity $*" duplicity --no-encryption --archive-dir "$SCRATCH/archive" --volsize 5 -v 2 "$@"
}
dup full "$tree" "file://$MNT/dup"
check "rdiff-backup" rdiff-backup backup "$tree" "$MNT/rdiff"
cp -a "$tree" "$SCRATCH/first"
remount_fs
dup verify --compare-data "file://$MNT/dup" "$tree"
random_file "$tree/second.bin" 3000000 3
echo changed >>"$tree/small.bin"
rm -r "$tree/vfs"
touch -d '2021-02-02 02:02:02 UTC' "$tree" "$tree"/*.bin
later() { [ "$(date +%s)" -gt "$(stat -c %Y "$SCRATCH/archive")" ]; }
check "a later second" poll 60 later # both name by the second
dup incr "$tree" "file://$MNT/dup"
check "rdiff-backup again" rdiff-backup backup "$tree" "$MNT/rdiff"
remount_fs
rm -r "$SCRATCH/archive"
dup restore "file://$MNT/dup" "$SCRATCH/d2"
same_tree "duplicity: the second" "$tree" "$SCRATCH/d2"
same_manifest "duplicity: attributes of the second" "$tree" "$SCRATCH/d2"
dup collection-status "file://$MNT/dup" >"$SCRATCH/status"
contains "two ages" "Incremental" "$(cat "$SCRATCH/status")"
check "rdiff-backup verify" rdiff-backup verify "$MNT/rdiff"
check "rdiff-backup restore" rdiff-backup restore "$MNT/rdiff" "$SCRATCH/r2"
same_tree "rdiff-backup: the second" "$tree" "$SCRATCH/r2"
check "rdiff-backup restore of the first" rdiff-backup restore --at 1B "$MNT/rdiff" "$SCRATCH/r1"
same_tree "rdiff-backup: the first" "$SCRATCH/first" "$SCRATCH/r1"
dup remove-all-but-n-full 1 --force "file://$MNT/dup"
finish_fs
