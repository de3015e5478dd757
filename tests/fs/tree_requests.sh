#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# What operations on whole trees cost: nothing is asked or written for each file beyond its own change.
# A directory that is there by its files alone gets a marker when the last of them goes, so that it stays: one PUT.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
FILES=200 DIRS=11 # of which one holds the others
/usr/bin/python3 - <<'P' || fail "fill"
import concurrent.futures, os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
keys = [f"{tree}/d{d}/f{f}" for tree in ("foreign", "gone") for d in range(10) for f in range(20)]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda key: s3.S3.put_object(Bucket=s3.BUCKET, Key=key, Body=b"content"), keys))
P
mount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
# cost TITLE "OP=N OP<=N ..." command...: nothing else is sent. On a machine that stood still for a second in between
# twice as much may be, as what was fetched or looked at ahead has become too old.
cost() {
    local title=$1 want=$2 op got n slow=1
    shift 2
    s3d_reset
    check "$title" "$@" >/dev/null
    check "flush" "$PAILCTL" flush "$MNT" >/dev/null # attributes that wait for more of them
    [ $((${EPOCHREALTIME/./} - s3d_reset_at)) -lt 900000 ] || slow=2
    got=$(s3d_requests)
    printf '%-40s %s\n' "$title" "$got"
    for op in $got; do
        n=${op#*=} op=${op%%=*}
        case " $want " in
        *" $op=$n "*) ;;
        *" $op<="*)
            limit=${want#*"$op<="}
            [ "$n" -le $((${limit%% *} * slow)) ] || fail "$title: $op=$n, more than ${limit%% *}"
            ;;
        *" $op="*)
            limit=${want#*"$op="}
            [ $slow = 2 ] && [ "$n" -ge "${limit%% *}" ] && [ "$n" -le $((${limit%% *} * 2)) ] || fail "$title: $op=$n, not ${limit%% *}"
            ;;
        *) fail "$title: $op=$n, expected: $want" ;;
        esac
    done
}
# Each on a mount that knows nothing yet.
cold() {
    remount_fs -o metadata_ttl=600,hedge=off
    cost "$@"
}
cold "find" "ListObjectsV2<=6 HeadObject<=1" find "$MNT/foreign"
cold "du -s" "ListObjectsV2<=6 HeadObject<=1" du -s "$MNT/foreign"
cold "ls -lR" "ListObjectsV2<=6 HeadObject<=2" ls -lR "$MNT/foreign"
cold "tar" "ListObjectsV2<=6 HeadObject<=2 GetObject=$FILES" sh -c "tar cf - '$MNT/foreign' | cat"
cold "grep -r" "ListObjectsV2<=6 HeadObject<=2 GetObject=$FILES" sh -c "! grep -r nothing '$MNT/foreign'"
(cd "$MNT" && find foreign -type f | sort) >"$SCRATCH/names"
cold "stat of each in order" "ListObjectsV2<=8 HeadObject<=6" sh -c "cd '$MNT' && xargs stat <'$SCRATCH/names'"
(cd "$MNT" && rsync -a foreign "$SCRATCH/local") || fail "rsync"
cold "rsync to it, nothing to do" "ListObjectsV2<=8 HeadObject<=6" rsync -an "$SCRATCH/local/foreign" "$MNT"
(cd "$SCRATCH/local/foreign" && git init -q && git add -A && git -c user.name=a -c user.email=a@localhost commit -qm a) || fail "git"
mv "$SCRATCH/local/foreign/.git" "$SCRATCH/git"
export GIT_DIR=$SCRATCH/git
git --work-tree="$MNT/foreign" status >/dev/null
cold "git status" "ListObjectsV2<=9 HeadObject<=6" git --work-tree="$MNT/foreign" status
remount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
cost "mv of a tree" "CopyObject=$FILES PutObject=1 DeleteObjects=1 ListObjectsV2<=4" mv "$MNT/foreign" "$MNT/moved"
cost "cp -r" "CopyObject=$FILES PutObject=$DIRS ListObjectsV2<=$DIRS HeadObject<=1" cp -r "$MNT/moved" "$MNT/copy"
cost "rm -r of what others stored" "DeleteObject=$((FILES + DIRS)) PutObject<=$((DIRS - 1)) ListObjectsV2<=$((2 * DIRS))" rm -r "$MNT/moved"
cost "rm -r of what was made here" "DeleteObject=$((FILES + DIRS)) ListObjectsV2<=$DIRS" rm -r "$MNT/copy"
cost "find -delete" "DeleteObject=$((FILES + DIRS)) PutObject<=$DIRS ListObjectsV2<=$((2 * DIRS + 1)) HeadObject<=1" find "$MNT/gone" -delete
unmount_fs
equal "nothing is left" "" "$(s3 keys)"
