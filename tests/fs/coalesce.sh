#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# What attributes cost in the order in which programs set them: at most one copy, and none when the
# upload or a rename takes them along.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o metadata_ttl=600,hedge=off
root=$([ "$(id -u)" = 0 ] && echo yes)
mkdir "$MNT/d" "$SCRATCH/in"
for i in 1 2 3; do
    random_file "$SCRATCH/in/$i" 5000 "$i"
    touch -d "2001-02-03 04:05:0$i.123456789 UTC" "$SCRATCH/in/$i"
    chmod 640 "$SCRATCH/in/$i"
    [ -z "$root" ] || chown 1234:2345 "$SCRATCH/in/$i"
done
show() { stat -c '%a %u:%g %.9Y' "$1"; }
settled() { # no request for a while, and nothing is pending: sync of each file stores what is
    find "$MNT/$1" -print0 | xargs -0 sync || fail "sync"
}
cost() { # cost TITLE EXPECTED FOLDER command...
    local title=$1 want=$2 folder=$3
    shift 3
    s3d_reset
    check "$title" "$@"
    settled "$folder"
    equal_requests "$title" "$want"
}
# The first attributes in a directory mark it: made here, so it is not looked at before.
cp -p "$SCRATCH/in/1" "$MNT/d/first"
settled d
cost "cp -p" "PutObject=1" d cp -p "$SCRATCH/in/1" "$MNT/d/cp"
equal "cp -p" "$(show "$SCRATCH/in/1")" "$(show "$MNT/d/cp")"
cost "cp -a" "PutObject=1" d cp -a "$SCRATCH/in/1" "$MNT/d/cpa"
echo x >"$MNT/d/f"
one_by_one() {
    chmod 600 "$MNT/d/f" && touch -d 2001-01-01 "$MNT/d/f" && chmod 604 "$MNT/d/f" && touch -a -d 2002-02-02 "$MNT/d/f"
}
# touch opens the file for writing, which asks for the newest version.
cost "chmod, utimens, chmod, utimens of a closed file" "CopyObject=1 HeadObject=2" d one_by_one
equal "and the last of each counts" "604 2001" "$(stat -c %a "$MNT/d/f") $(date -d "@$(stat -c %Y "$MNT/d/f")" +%Y)"
cost "the same again" "HeadObject=1" d touch -d 2001-01-01 -m "$MNT/d/f"
cost "install -m" "CopyObject=1 PutObject=1" d install -m 755 "$SCRATCH/in/2" "$MNT/d/installed"
cost "install -p" "CopyObject=1 PutObject=1" d install -p -m 750 "$SCRATCH/in/2" "$MNT/d/installed2"
cost "an editor's way: write beside, chmod, rename" "CopyObject=1 DeleteObject=1 PutObject=1" d \
    /usr/bin/python3 -c 'import os, sys
d = sys.argv[1]
with open(d + "/.f.tmp", "w") as f: f.write("new")
os.utime(d + "/.f.tmp", (5, 5))
os.chmod(d + "/.f.tmp", 0o604)
os.rename(d + "/.f.tmp", d + "/f")' "$MNT/d"
if command -v rsync >/dev/null; then
    cost "rsync -a of three files" "CopyObject=3 DeleteObject=3 PutObject=3" d \
        rsync -a --modify-window=-1 "$SCRATCH/in/1" "$SCRATCH/in/2" "$SCRATCH/in/3" "$MNT/d"
    for i in 1 2 3; do equal "rsync -a, file $i" "$(show "$SCRATCH/in/$i")" "$(show "$MNT/d/$i")"; done
fi
tar -C "$SCRATCH/in" -cf "$SCRATCH/t.tar" 1 2 3
mkdir "$MNT/x" && echo x >"$MNT/x/mark" && chmod 600 "$MNT/x/mark"
settled x
cost "tar -x of three files" "PutObject=3" x tar -C "$MNT/x" -xpf "$SCRATCH/t.tar"
for i in 1 2 3; do equal "tar -x, file $i" "$(stat -c '%a %u:%g %Y' "$SCRATCH/in/$i")" "$(stat -c '%a %u:%g %Y' "$MNT/x/$i")"; done
unmount_fs
