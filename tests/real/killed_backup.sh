#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# heavy: yes
# kill -9 of the daemon in the middle of restic backup and borg create, several times: what their manuals say then
# (unlock, break-lock, check) is enough, every backup that had ended is whole, and the next one works.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need restic borg
server_start
tree=$SCRATCH/tree
make_tree "$tree"
touch "$tree/.hidden" # borg knows no time before 1970
export RESTIC_REPOSITORY=$MNT/restic RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$SCRATCH/cache
export BORG_REPO=$MNT/borg BORG_PASSPHRASE=secret BORG_BASE_DIR=$SCRATCH/borgbase BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
mount_fs
check "restic init" restic -q init
check "restic backup" restic -q backup "$tree"
cd "$SCRATCH" || fail "cd"
check "borg init" borg init -e repokey 2>"$SCRATCH/borg.out"
sed -i 's/^max_segment_size = .*/max_segment_size = 6000000/' "$MNT/borg/config"
check "borg create" borg create ::first tree
cp -a "$tree" "$SCRATCH/first"

sizes() { find "$MNT/$1" -type f -newer "$SCRATCH/mark" -printf '%s\n' 2>/dev/null | awk '{n += $1} END {printf "%d", n}'; }
grown() { [ "$(sizes "$1")" -ge "$2" ]; }
later() { [ "$(date +%s)" -gt "$(stat -c %Y "$SCRATCH/mark")" ]; }
# interrupted FOLDER BYTES command...: kills the daemon when so much is new in the folder
interrupted() {
    local prefix=$1 bytes=$2 pid
    shift 2
    touch "$SCRATCH/mark"
    poll 60 later # times of objects are in seconds
    "$@" >"$SCRATCH/interrupted.out" 2>&1 &
    pid=$!
    poll 60 grown "$prefix" $bytes || fail "$1 stores nothing: $(cat "$SCRATCH/interrupted.out")"
    kill_daemon
    kill $pid 2>/dev/null # restic would try again for a quarter of an hour
    # One that was through before the signal has to be whole like any other.
    if ! wait $pid; then cut=$((cut + 1)); fi
    fusermount3 -u "$MNT" || fail "the dead mount cannot be taken away"
    mount_fs
}
touch "$SCRATCH/mark"
cut=0
for round in 1 2 3; do
    random_file "$tree/more$round" 45000000 "$round"
    interrupted restic/data $((6000000 + round * 3000000)) restic backup "$tree"
    check "restic unlock" restic -q unlock
    check "restic check --read-data, round $round" restic check --read-data
    interrupted borg/data $((6000000 + round * 3000000)) borg create "::lost$round" tree
    check "borg break-lock" borg break-lock
    check "borg check --verify-data, round $round" borg check --verify-data
    rm "$tree/more$round"
done
[ $cut -ge 2 ] || fail "only $cut of six were cut short"
random_file "$tree/last" 20000000 9
check "restic backup afterwards" restic -q backup "$tree"
check "restic forget --prune" restic -q forget --keep-last 9 --prune
check "borg create afterwards" borg create ::last tree
check "borg compact" borg compact
remount_fs
check "restic check --read-data" restic -q --no-cache check --read-data
check "borg check --verify-data" borg check --verify-data
check "restic restore of the first" bash -c 'restic -q restore "$(restic snapshots --json | /usr/bin/python3 -c "import json, sys; print(json.load(sys.stdin)[0][\"id\"])")" --target "$SCRATCH/r1"'
same_tree "restic's first" "$SCRATCH/first" "$SCRATCH/r1$tree"
check "restic restore of the last" restic -q restore latest --target "$SCRATCH/r2"
same_tree "restic's last" "$tree" "$SCRATCH/r2$tree"
mkdir "$SCRATCH/b1" "$SCRATCH/b2"
(cd "$SCRATCH/b1" && borg extract ::first) || fail "borg extract of the first"
same_tree "borg's first" "$SCRATCH/first" "$SCRATCH/b1/tree"
(cd "$SCRATCH/b2" && borg extract ::last) || fail "borg extract of the last"
same_tree "borg's last" "$tree" "$SCRATCH/b2/tree"
finish_fs 'does not hold every condition'
