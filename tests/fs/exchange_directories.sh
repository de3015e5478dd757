#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw
# modes: posix writeback
# Directories exchanged with each other and with files: content, open files and numbers, on this
# mount and on the next one; a request that fails, and a daemon that is killed in the middle.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
STATE=(-o "state_dir=$SCRATCH/state")
mkdir "$SCRATCH/state"
mount_fs "${STATE[@]}"
cat >"$SCRATCH/exchange" <<'P'
#!/usr/bin/python3
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2):
    sys.exit(errno.errorcode[ctypes.get_errno()])
P
exchange() { /usr/bin/python3 "$SCRATCH/exchange" "$MNT/$1" "$MNT/$2"; }
mkdir -p "$SCRATCH/one/sub" "$SCRATCH/two/deep/er" "$SCRATCH/two/none"
for i in $(seq 12); do echo "one $i" >"$SCRATCH/one/$i"; done
echo s >"$SCRATCH/one/sub/s"
for i in 3 4 x y; do echo "two $i" >"$SCRATCH/two/$i"; done
echo d >"$SCRATCH/two/deep/er/d"
mkdir "$MNT/p"
cp -r "$SCRATCH/one" "$MNT/a" && cp -r "$SCRATCH/two" "$MNT/p/b" && echo file >"$MNT/f" || fail "fill"
chmod 750 "$MNT/a"
same() { # DIR DIR: what a and p/b are
    check "$3: a is $1" diff -r "$SCRATCH/$1" "$MNT/a"
    check "$3: p/b is $2" diff -r "$SCRATCH/$2" "$MNT/p/b"
}
numbers="$(stat -c %i "$MNT/p/b" "$MNT/a" "$MNT/p/b/x" "$MNT/a/1" | paste -sd ' ')"
exec 9<>"$MNT/a/7"
check "two directories" exchange a p/b
same two one "at once"
equal "the inodes followed" "$numbers" \
    "$(stat -c %i "$MNT/a" "$MNT/p/b" "$MNT/a/x" "$MNT/p/b/1" | paste -sd ' ')"
echo ONE >&9
exec 9>&-
equal "the open file followed" "ONE" "$(head -n 1 "$MNT/p/b/7")"
cp "$MNT/p/b/7" "$SCRATCH/one/7"
check "a directory and a file" exchange p/b f
equal "the file" file "$(cat "$MNT/p/b")"
check "the directory" diff -r "$SCRATCH/one" "$MNT/f"
check "a file and a directory" exchange p/b f
equal "into itself" EINVAL "$(exchange a a/deep 2>&1)"
equal "into its parent" EINVAL "$(exchange a/deep a 2>&1)"
equal "with nothing" ENOENT "$(exchange a absent 2>&1)"
unmount_fs
mount_fs "${STATE[@]}"
same two one "after a remount"
equal "mode" "755 750" "$(stat -c %a "$MNT/a" "$MNT/p/b" | paste -sd ' ')"
equal "the file again" file "$(cat "$MNT/f")"
equal "nothing hidden is left" "" "$(s3 keys .pailfs-unlinked/)"

# A request that fails undoes it; a kill in the middle is for the next mount. (A journal brings the
# requests to the end by itself.)
if [ "$TEST_SERVER${TEST_MOUNT_OPTIONS:-}" = s3d ]; then
    s3d_reset
    s3d_fault "op=CopyObject after=20 count=1 action=status:403:AccessDenied"
    check "fails" test -n "$(exchange a p/b 2>&1)"
    s3d_faults_clear
    same two one "undone"
    equal "nothing hidden is left by that" "" "$(s3 keys .pailfs-unlinked/)"

    echo AA >"$SCRATCH/x" && echo B >"$SCRATCH/y"
    random_file "$SCRATCH/xparts" 11000000 # the ETags of copies tell nothing
    random_file "$SCRATCH/yparts" 11000000
    for size in "" parts; do
        cp "$SCRATCH/x$size" "$MNT/x" && cp "$SCRATCH/y$size" "$MNT/y" || fail "fill"
        for at in 1 2; do
            s3d_fault "op=CopyObject after=$at count=1 action=lost-answer"
            check "files, with answer $at lost" exchange x y
            s3d_faults_clear
            [ $at = 1 ] && want="y x" || want="x y"
            check "x after answer $at $size" cmp "$SCRATCH/${want% *}$size" "$MNT/x"
            check "y after answer $at $size" cmp "$SCRATCH/${want#* }$size" "$MNT/y"
        done
    done
    equal "nothing hidden is left by them" "" "$(s3 keys .pailfs-unlinked/)"

    s3d_reset
    s3d_fault "op=CopyObject after=25 action=hang"
    exchange a p/b 2>/dev/null &
    copied() { [ "$(s3d_count CopyObject)" -gt 25 ]; }
    check "the exchange is under way" poll 60 copied
    kill_daemon
    wait $! 2>/dev/null
    fusermount3 -u "$MNT" || fail "the dead mount stays"
    check "something hidden is left" test -n "$(s3 keys .pailfs-unlinked/)"
    s3d_faults_clear
    mount_fs "${STATE[@]}"
    none() { [ -z "$(s3 keys .pailfs-unlinked/)" ]; }
    check "the next mount finishes it" poll 60 none
    recovered() { "$PAILCTL" status "$MNT" | grep -q 'recovery: *done'; }
    check "the recovery ends" poll 60 recovered
    same one two "after a crash"
fi
unmount_fs
