#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# as_user.sh COMMAND...: runs a test as the user $TEST_USER, who needs no right on the machine's
# /dev/fuse nor on the folders of the sources and the build: in a mount namespace of the test's own
# stand a node that everybody may open, and the folders at places that everybody reaches.
set -eu
if [ "${1:-}" != --inside ]; then
    exec unshare --mount --propagation private -- "$0" --inside "$@"
fi
shift
# The namespace began with the mounts of tests that run beside this one: held here, they would
# outlive their unmounts there.
awk '$3 == "fuse.pailfs" {print $2}' /proc/self/mounts | while read -r m; do umount -l "$m"; done
mkdir "$SCRATCH/.dev" "$SCRATCH/.source" "$SCRATCH/.build"
chown -R "$TEST_USER:$TEST_USER" "$SCRATCH"
mount -t tmpfs -o mode=755 none "$SCRATCH/.dev"
mknod -m 666 "$SCRATCH/.dev/fuse" c 10 229
mount --bind "$SCRATCH/.dev/fuse" /dev/fuse
mount --bind "$SOURCE_DIR" "$SCRATCH/.source"
mount --bind "$BUILD_DIR" "$SCRATCH/.build"
test=$SCRATCH/.source${1#"$SOURCE_DIR"}
shift
export SOURCE_DIR="$SCRATCH/.source" BUILD_DIR="$SCRATCH/.build"
export PATH=/usr/local/bin:/usr/bin:/bin USER="user$TEST_USER"
cd "$SCRATCH"
# Not no-new-privs: fusermount3 is set-user-ID.
exec setpriv --reuid "$TEST_USER" --regid "$TEST_USER" --clear-groups "$test" "$@"
