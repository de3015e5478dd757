#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# mount(8), fstab(5) and umount(8) with the types pailfs and fuse.pailfs, and mount's exit statuses.
. "$SOURCE_DIR/tests/lib/common.sh"
[ "$(id -u)" = 0 ] || skip "mount(8) needs root"
HELPER=$BUILD_DIR/mount-helper/mount.pailfs

# mount(8) looks for helpers in /sbin alone. In a mount namespace of its own this test puts another
# folder there, which has links to all that was in it and ours.
if [ -z "${OWN_NAMESPACE:-}" ]; then
    unshare -m --propagation private true 2>"$SCRATCH/why" || skip "no mount namespace: $(cat "$SCRATCH/why")"
    trap - EXIT
    OWN_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# The namespace began with the mounts of tests that run beside this one: held here, they would
# outlive their unmounts there.
awk '$3 == "fuse.pailfs" {print $2}' /proc/self/mounts | while read -r m; do umount -l "$m"; done
mkdir "$SCRATCH/sbin" "$SCRATCH/sbin.real" "$SCRATCH/bin"
mount --bind /sbin/ "$SCRATCH/sbin.real" || fail "bind mount of /sbin"
cp -sr "$SCRATCH/sbin.real/." "$SCRATCH/sbin/"
ln -sf "$HELPER" "$SCRATCH/sbin/mount.pailfs"
mount --bind "$SCRATCH/sbin" /sbin/ || fail "bind mount onto /sbin"

server_start
options=$(pailfs_options)
unmounted() { ! mountpoint -q "$MNT"; }
detach() { # umount(8) as everybody types it
    check "umount" umount "$MNT"
    check "the daemon ends" poll 60 no_daemon
}
status() { # status TITLE WANTED command...: the exact exit status; the output stays in $out
    local title=$1 want=$2 rc
    shift 2
    out=$("$@" 2>&1)
    rc=$?
    [ "$rc" = "$want" ] || fail "$title: exit status $rc instead of $want: $out"
}

# ---- mount -t pailfs ----
status "mount" 0 mount -t pailfs "$BUCKET" "$MNT" -o "$options,_netdev,nofail,x-systemd.automount"
check "mounted" mountpoint -q "$MNT"
equal "type and source as the kernel lists them" "fuse.pailfs $BUCKET" "$(findmnt -no FSTYPE,SOURCE "$MNT" | tr -s ' ')"
echo hello >"$MNT/file" || fail "write"
equal "boto3 sees it" file "$(s3 keys)"
# mount(8) passes HOME on; at boot there is none and the user database tells it.
detach
equal "the mount point is empty" "" "$(ls -A "$MNT")"
status "without HOME" 0 env -u HOME mount -t pailfs "$BUCKET" "$MNT" -o "$options"
pid=$(daemon_pids)
contains "HOME of the daemon" "HOME=$(getent passwd 0 | cut -d: -f6)" "$(tr '\0' '\n' <"/proc/$pid/environ")"
equal "content" hello "$(cat "$MNT/file")"
detach
status "a prefix, read-only by mount's -r" 0 mount -r -t pailfs "$BUCKET:/pre" "$MNT" -o "$options"
refuse "written although read-only" touch "$MNT/x"
equal "only the prefix" "" "$(ls -A "$MNT")"
detach
status "the words of mount(8)" 0 mount -t pailfs "$BUCKET" "$MNT" \
    -o "$options,defaults,auto,user,nosuid,nodev,noexec,relatime,comment=x,x-gvfs-hide,uid=33"
contains "passed on to the kernel" nosuid "$(findmnt -no OPTIONS "$MNT")"
contains "passed on to the kernel" noexec "$(findmnt -no OPTIONS "$MNT")"
equal "uid" 33 "$(stat -c %u "$MNT")"
detach
mkdir "$SCRATCH/odd dir, 'x'"
MNT="$SCRATCH/odd dir, 'x'"
status "an odd mount point" 0 mount -t pailfs "$BUCKET" "$MNT" -o "$options"
equal "content" hello "$(cat "$MNT/file")"
detach
MNT=$SCRATCH/mnt

# ---- flags ----
status "fake" 0 mount -f -t pailfs "$BUCKET" "$MNT" -o "$options"
check "fake mounts nothing" unmounted
status "fake of a wrong option" 1 "$HELPER" "$BUCKET" "$MNT" -f -o "$options,part_size=1"
contains "fake says what is wrong" part_size "$out"
status "sloppy" 0 mount -s -t pailfs "$BUCKET" "$MNT" -o "$options,no_such_word=3"
check "sloppy mounts" mountpoint -q "$MNT"
detach
status "verbose" 0 "$HELPER" "$BUCKET" "$MNT" -v -o "$options"
contains "what is run" "pailfs $BUCKET" "$out"
detach

# ---- exit statuses, and nothing left ----
none_left() {
    check "$1: nothing is mounted" unmounted
    check "$1: no daemon" poll 60 no_daemon
}
status "unknown option" 1 mount -t pailfs "$BUCKET" "$MNT" -o "$options,no_such_word=3"
contains "its name" no_such_word "$out"
none_left "unknown option"
status "absent bucket" 32 mount -t pailfs absent-bucket-0 "$MNT" -o "$options"
contains "its name" absent-bucket-0 "$out"
none_left "absent bucket"
status "wrong key" 32 env AWS_ACCESS_KEY_ID=nosuchaccesskey mount -t pailfs "$BUCKET" "$MNT" -o "$options"
none_left "wrong key"
status "keys in the options" 1 mount -t pailfs "$BUCKET" "$MNT" -o "$options,access_key_id=AKIDINTHEOPEN"
contains "what to do instead" passwd_file "$out"
status "absent mount point" 32 "$HELPER" "$BUCKET" "$SCRATCH/absent" -o "$options"
status "one operand" 1 "$HELPER" "$BUCKET"
status "another type" 1 "$HELPER" "$BUCKET" "$MNT" -t nfs
status "a namespace that is none" 2 "$HELPER" "$BUCKET" "$MNT" -N /dev/null -o "$options"
mkdir "$SCRATCH/lonely" && cp "$HELPER" "$SCRATCH/lonely/"
if [ ! -e /usr/bin/pailfs ] && [ ! -e /usr/local/bin/pailfs ]; then
    status "no driver" 2 "$SCRATCH/lonely/mount.pailfs" "$BUCKET" "$MNT" -o "$options"
    contains "what is missing" pailfs "$out"
fi

# ---- a mount namespace of its own ----
unshare -m --propagation private sleep 1000 &
sleeper=$!
other_namespace() { [ "$(readlink /proc/$sleeper/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; }
check "the namespace" poll 60 other_namespace
status "into a namespace" 0 "$HELPER" "$BUCKET" "$MNT" -N "/proc/$sleeper/ns/mnt" -o "$options"
check "not in ours" unmounted
equal "there" hello "$(nsenter -t $sleeper -m cat "$MNT/file")"
check "umount there" nsenter -t $sleeper -m umount "$MNT"
check "the daemon ends" poll 60 no_daemon
kill $sleeper

# ---- fstab ----
cat >"$SCRATCH/fstab" <<T
# a comment
$BUCKET $MNT pailfs $options,_netdev,nofail,x-systemd.requires=network-online.target 0 0
T
status "mount -a" 0 mount -T "$SCRATCH/fstab" -a
equal "content" hello "$(cat "$MNT/file")"
status "mount -a again mounts nothing twice" 0 mount -T "$SCRATCH/fstab" -a
equal "mounted once" 1 "$(findmnt -n "$MNT" | wc -l)"
detach
status "by the mount point alone" 0 mount -T "$SCRATCH/fstab" "$MNT"
detach
echo "s3://$BUCKET/pre/ $MNT pailfs $options,noauto 0 0" >"$SCRATCH/fstab"
status "noauto" 0 mount -T "$SCRATCH/fstab" -a
check "noauto is not mounted" unmounted
status "noauto by hand, and a URL as the source" 0 mount -T "$SCRATCH/fstab" "$MNT"
echo n >"$MNT/new" || fail "write"
detach
equal "below the prefix" pre/new "$(s3 keys pre/)"
echo "absent-bucket-0 $MNT pailfs $options 0 0" >"$SCRATCH/fstab"
status "mount -a of what cannot be mounted" 32 mount -T "$SCRATCH/fstab" -a
none_left "mount -a"

# ---- mount -t fuse.pailfs, through mount.fuse3, which finds the driver by the shell's own path ----
ln -s "$PAILFS" "$SCRATCH/bin/pailfs"
mount --bind "$SCRATCH/bin" /usr/local/bin || fail "bind mount onto /usr/local/bin"
status "fuse.pailfs" 0 mount -t fuse.pailfs "$BUCKET" "$MNT" -o "$options"
equal "content" hello "$(cat "$MNT/file")"
equal "type" fuse.pailfs "$(findmnt -no FSTYPE "$MNT")"
detach
echo "$BUCKET $MNT fuse.pailfs $options,_netdev,nofail 0 0" >"$SCRATCH/fstab"
status "fuse.pailfs in fstab" 0 mount -T "$SCRATCH/fstab" -a
equal "content" hello "$(cat "$MNT/file")"
detach
