#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# pailctl lost: what lost to another host is listed, put back and forgotten, with the mount and without.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
if [ "$(id -u)" != 0 ]; then
    XDG_RUNTIME_DIR=$SCRATCH/run
    export XDG_RUNTIME_DIR && mkdir -m 700 "$XDG_RUNTIME_DIR"
fi
STATE=$SCRATCH/state
SOURCE=$BUCKET:/team
lost() { "$PAILCTL" lost "$@"; }
# lose KEY TEXT: writes TEXT over KEY while boto3 replaces it
lose() {
    /usr/bin/python3 - "$MNT/$1" "team/$1" "$2" <<'P' || fail "no conflict"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
path, key, text = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, b"1")
os.fsync(fd)
os.pwrite(fd, text.encode(), 0)
s3.S3.put_object(Bucket=s3.BUCKET, Key=key, Body=b"theirs")
try:
    os.close(fd)
except OSError as e:
    sys.exit(e.errno != 116)
sys.exit(1)
P
}
items() { lost list "$1" | sed 's/  .*//' | paste -sd ' ' -; }

mount_fs -o "state_dir=$STATE,metadata_ttl=0"
equal "nothing yet" "" "$(lost list "$MNT")"
mkdir "$MNT/dir"
lose "dir/a report" "mine"
item=$(items "$MNT")
case $item in 2*Z-a_report) ;; *) fail "name: $item" ;; esac
line=$(lost list "$MNT")
contains "reason" "  replaced  " "$line"
contains "key" "team/dir/a report" "$line"
equal "in the status" 1 "$("$PAILCTL" status "$MNT" | sed -n 's/^  lost_and_found: //p')"
/usr/bin/python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert len(rows) == 1 and rows[0]["key"] == "team/dir/a report" and rows[0]["size"] == 4, rows
assert rows[0]["name"] == sys.argv[1] and rows[0]["missing"] == 0, rows
' "$item" <<<"$(lost list --json "$MNT")" || fail "JSON"

# ---- restore ----
refuse "over the other's file" lost restore "$MNT" "$item"
contains "says how" "--overwrite" "$(cat "$SCRATCH/refuse.out")"
equal "theirs stays" theirs "$(cat "$MNT/dir/a report")"
equal "the item too" "$item" "$(items "$MNT")"
check "elsewhere" lost restore "$MNT" "$item" --to "$MNT/dir/mine"
equal "content" mine "$(cat "$MNT/dir/mine")"
equal "it is gone then" "" "$(items "$MNT")"
lose "dir/a report" "again"
item=$(items "$MNT")
refuse "onto a file" lost restore "$MNT" "$item" --to "$MNT/dir/mine"
check "over it" lost restore --overwrite "$MNT" "$item"
equal "content" again "$(cat "$MNT/dir/a report")"
refuse "a second time" lost restore "$MNT" "$item"
# Where nothing is any more, nothing needs to be said.
lose "dir/b" "third"
item=$(items "$MNT")
rm -r "$MNT/dir"
check "back to its place" lost restore "$MNT" "$item"
equal "content" third "$(cat "$MNT/dir/b")"

# ---- drop ----
lose x one && lose y two && lose z three
equal "three" 3 "$(lost list "$MNT" | wc -l)"
refuse "not an item" lost drop "$MNT" ../state.db
x=$(lost list "$MNT" | sed -n 's/  .*team\/x$//p') y=$(lost list "$MNT" | sed -n 's/  .*team\/y$//p')
check "two" lost drop "$MNT" "$x" "$y"
z=$(items "$MNT")

# ---- without the mount ----
unmount_fs
equal "listed" "$z" "$(items "$STATE")"
refuse "where to" lost restore "$STATE" "$z"
check "into a local file" lost restore "$STATE" "$z" --to "$SCRATCH/z"
equal "content" three "$(cat "$SCRATCH/z")"
equal "empty" "" "$(items "$STATE")"
refuse "no state directory" lost list "$SCRATCH/cache"
refuse "no such command" lost find "$STATE"

# ---- a stream whose beginning left memory ----
mount_fs -o "state_dir=$STATE,metadata_ttl=0,memory_limit=64M"
random_file "$SCRATCH/big" 60000000
stream() {
    /usr/bin/python3 - "$MNT/$1" "team/$1" "$SCRATCH/big" <<'P' || fail "no conflict"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
path, key, source = sys.argv[1:]
fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
for piece in iter(lambda f=open(source, "rb"): f.read(1 << 20), b""):
    os.write(fd, piece)
s3.S3.put_object(Bucket=s3.BUCKET, Key=key, Body=b"theirs")
try:
    os.close(fd)
except OSError as e:
    sys.exit(e.errno != 17)
sys.exit(1)
P
}
stream big
item=$(items "$MNT")
if ! grep -q "^missing_length: [1-9]" "$STATE/lost+found/$item.info"; then
    fail "the stream did not leave memory: this tests nothing"
fi
equal "its upload is kept" 1 "$(s3 uploads | wc -l)"
# Kept also by the mount that comes after.
unmount_fs
mount_fs -o "state_dir=$STATE,metadata_ttl=0,memory_limit=64M"
recovered() { "$PAILCTL" status "$MNT" | grep -q "recovery: done"; }
check "the next mount looked at what was left" poll 60 recovered
equal "its upload is kept" 1 "$(s3 uploads | wc -l)"
refuse "elsewhere" lost restore "$MNT" "$item" --to "$SCRATCH/elsewhere"
refuse "over the other's file" lost restore "$MNT" "$item"
equal "theirs stays" theirs "$(cat "$MNT/big")"
check "over it" lost restore "$MNT" "$item" --overwrite
equal "content" "$(sha "$SCRATCH/big")" "$(sha "$MNT/big")"
equal "empty" "" "$(items "$MNT")"
equal "no upload" "" "$(s3 uploads)"
stream other
check "forgotten" lost drop "$MNT" "$(items "$MNT")"
equal "no upload" "" "$(s3 uploads)"
unmount_fs
