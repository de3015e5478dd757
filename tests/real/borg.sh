#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# borg keeps a repository in the mount: init, create, check, prune, compact, extract; a second client
# waits for the lock of the first, through the same mount and through another as on another host.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need borg
server_start
tree=$SCRATCH/tree
make_tree "$tree"
touch "$tree/.hidden" # borg knows no time before 1970
mount_fs
export BORG_REPO=$MNT/repo BORG_PASSPHRASE=secret BORG_BASE_DIR=$SCRATCH/borg BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
check "borg init" borg init -e repokey
cd "$SCRATCH" || fail "cd"
check "borg create" borg create ::one tree
check "borg check" borg check
remount_fs
check "borg check --verify-data after a remount" borg check --verify-data
cp -a "$tree" "$SCRATCH/first"
random_file "$tree/second.bin" 9000000 3
rm -r "$tree/vfs"
check "borg create again" borg create ::two tree
check "borg diff" borg diff ::one two
mkdir "$SCRATCH/x1" && cd "$SCRATCH/x1" && check "borg extract" borg extract ::one
same_manifest "the first is whole" "$SCRATCH/first" "$SCRATCH/x1/tree"
same_tree "its content" "$SCRATCH/first" "$SCRATCH/x1/tree"
check "borg prune" borg prune --keep-last 1
check "borg compact" borg compact --threshold 0
remount_fs
check "borg check after compact" borg check --verify-data
mkdir "$SCRATCH/x2" && cd "$SCRATCH/x2" && check "borg extract again" borg extract ::two
same_tree "the second is whole" "$tree" "$SCRATCH/x2/tree"
# One client holds the lock, another has to fail, and to get on with it when it is free.
cd "$SCRATCH" || fail "cd"
borg with-lock "$BORG_REPO" bash -c ': >"$SCRATCH/held"; while [ ! -e "$SCRATCH/free" ]; do sleep 0.05; done' &
holder=$!
poll 60 test -e "$SCRATCH/held" || fail "with-lock did not start"
refuse "borg create while locked" borg create --lock-wait 1 ::three tree
contains "it says why" "lock" "$(cat "$SCRATCH/refuse.out")"
borg create --lock-wait 60 ::three tree &
waiting=$!
: >"$SCRATCH/free"
check "the waiting one gets on" wait $waiting
check "the holder ends" wait $holder
equal "archives" "two three" "$(borg list --short | paste -sd ' ' -)"
refuse "no lock is left" test -e "$MNT/repo/lock.exclusive"
unmount_fs
# Two hosts: nothing is believed for any time, so that who has the lock sees what the one before has stored.
LOG=$SCRATCH/other.log
OTHER=$SCRATCH/other
mkdir "$OTHER"
"$PAILFS" "$BUCKET" "$OTHER" -o "$(pailfs_options),metadata_ttl=0,negative_ttl=0" || fail "the other mount"
LOG=$SCRATCH/pailfs.log
mount_fs -o metadata_ttl=0,negative_ttl=0
at_exit_two() {
    local rc=$?
    umount -l "$OTHER" 2>/dev/null
    (exit $rc)
    at_exit
}
trap at_exit_two EXIT
client() { # client NAME MOUNT COUNT: with a cache of its own, as another machine has
    local i
    for i in $(seq "$3"); do
        random_file "$SCRATCH/in$1/f" 3000000 "$1$i"
        BORG_BASE_DIR=$SCRATCH/base$1 borg create --lock-wait 120 "$2/repo::$1-$i" "$SCRATCH/in$1" || return 1
    done
}
rm -f "$SCRATCH/held" "$SCRATCH/free"
borg with-lock "$BORG_REPO" bash -c ': >"$SCRATCH/held"; while [ ! -e "$SCRATCH/free" ]; do sleep 0.05; done' &
holder=$!
poll 60 test -e "$SCRATCH/held" || fail "with-lock did not start"
refuse "borg create on the other host while locked" borg create --lock-wait 1 "$OTHER/repo::other" "$tree"
contains "it says why" "lock" "$(cat "$SCRATCH/refuse.out")"
: >"$SCRATCH/free"
check "the holder ends" wait $holder
mkdir "$SCRATCH/inleft" "$SCRATCH/inright"
# RGW 16 ignores the conditions of copies and deletes (the mount says so): there one client at a time.
if [ "$TEST_SERVER" != rgw ]; then
    client left "$MNT" 3 &
    left=$!
    client right "$OTHER" 3 || fail "the right client"
    check "the left client" wait $left
    equal "archives of both" "left-1 left-2 left-3 right-1 right-2 right-3 three two" "$(borg list --short | sort | paste -sd ' ' -)"
    check "borg check --verify-data of what both have stored" borg check --verify-data
fi
check "unmount" fusermount3 -u "$OTHER" || fail "fusermount3 -u $OTHER"
poll 60 no_daemon "$OTHER" || fail "the daemon of $OTHER did not end"
finish_fs 'does not hold every condition'
