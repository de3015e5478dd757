#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix writeback
# limit: 300
# kill -9 in the middle of renames: the next mount finishes them, and nothing is lost, doubled, or
# written over.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
STATE=(-o "state_dir=$SCRATCH/state")
N=150
mkdir -p "$SCRATCH/tree/sub" "$SCRATCH/state"
for i in $(seq $N); do echo "file $i" >"$SCRATCH/tree/$i"; done
for i in $(seq 20); do echo "sub $i" >"$SCRATCH/tree/sub/$i"; done
TOTAL=$((N + 20))
under() { s3 keys "$1" | grep -vc '/$'; } # objects below a prefix
die() { # the daemon, at once, and what waits for it
    kill_daemon
    wait "$1" 2>/dev/null
    fusermount3 -u "$MNT" || fail "the dead mount stays"
}
recovered() { "$PAILCTL" status "$MNT" | grep -q 'recovery: *done'; }
settled() { [ "$(under "$1")" = 0 ] && [ "$(under "$2")" = $TOTAL ]; }

from=d to=e
mount_fs "${STATE[@]}"
cp -r "$SCRATCH/tree" "$MNT/$from" || fail "fill"
# With writeback what is renamed before it is stored needs no copy.
"$PAILCTL" flush "$MNT" >/dev/null || fail "flush"
# The requests that never get an answer tell where it stops.
if [ "$TEST_SERVER" = s3d ]; then
    stops=("op=CopyObject after=0" "op=CopyObject after=90" "op=DeleteObjects after=0" "op=DeleteObjects after=0 when=after")
else
    stops=("" "")
fi
for stop in "${stops[@]}"; do
    if [ -n "$stop" ]; then
        s3d_reset # of what the recovery before sent
        s3d_fault "$stop action=hang"
    fi
    mv "$MNT/$from" "$MNT/$to" 2>/dev/null &
    mover=$!
    if [ -n "$stop" ]; then
        case $stop in
        *CopyObject*90*) done_enough() { [ "$(s3d_count CopyObject)" -gt 90 ]; } ;;
        *CopyObject*) done_enough() { [ "$(s3d_count CopyObject)" -gt 0 ]; } ;;
        *) done_enough() { [ "$(s3d_count DeleteObjects)" -gt 0 ]; } ;;
        esac
        check "the rename is under way: $stop" poll 60 done_enough
    else
        some_copied() { [ "$(under $to)" -gt 10 ] || ! kill -0 $mover 2>/dev/null; }
        check "the rename is under way" poll 60 some_copied
    fi
    die $mover
    [ -z "$stop" ] || s3d_faults_clear
    mount_fs "${STATE[@]}"
    check "the recovery ends" poll 60 recovered
    check "the next mount finishes it: ${stop:-any time}" poll 60 settled $from $to
    check "content under the new name" diff -r "$SCRATCH/tree" "$MNT/$to"
    swap=$from from=$to to=$swap
done

# A file: the copy is there, the old name not yet gone. (A journal brings both to the end by itself.)
if [ "$TEST_SERVER${TEST_MOUNT_OPTIONS:-}" = s3d ]; then
    echo one >"$SCRATCH/one"
    random_file "$SCRATCH/parts" 11000000 # its copy has another ETag
    for one in one parts; do
        cp "$SCRATCH/$one" "$MNT/a" && echo two >"$MNT/b" || fail "files"
        s3d_reset
        s3d_fault "op=DeleteObject key=a action=hang"
        mv -T "$MNT/a" "$MNT/b" 2>/dev/null &
        mover=$!
        deleting() { [ "$(s3d_count DeleteObject)" -gt 0 ]; }
        check "the old name is about to go" poll 60 deleting
        die $mover
        s3d_faults_clear
        for name in a b; do
            s3 get $name "$SCRATCH/got"
            check "both names: $name" cmp "$SCRATCH/$one" "$SCRATCH/got"
        done
        s3d_reset
        mount_fs "${STATE[@]}"
        gone() { [ -z "$(s3 keys a)" ]; }
        check "the old name goes" poll 60 gone
        equal "checksums tell that it may" 0 "$(s3d_count GetObject)"
        check "the new one" cmp "$SCRATCH/$one" "$MNT/b"
    done

    # The hidden content of a removed file goes too.
    random_file "$SCRATCH/big" 9000000
    cp "$SCRATCH/big" "$MNT/big" || fail "big"
    exec 9<"$MNT/big"
    rm "$MNT/big"
    equal "hidden" 1 "$(under .pailfs-unlinked/)"
    exec 8<"$MNT/b"
    kill_daemon
    exec 9<&- 8<&-
    fusermount3 -u "$MNT" || fusermount3 -uz "$MNT" || fail "the dead mount stays"
    mount_fs "${STATE[@]}"
    none() { [ "$(under .pailfs-unlinked/)" = 0 ]; }
    check "nothing hidden is left" poll 60 none
fi
unmount_fs
