#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pailctl doctor names what is wrong and what to do about it; its exit status says whether a mount
# would work. And the short ways: pailctl help, pailctl lost.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
doctor() { "$PAILCTL" --endpoint-url "$S3_ENDPOINT" --path-style doctor "$@" 2>&1; }
says() { # says TITLE STATUS WORDS command...: each word of WORDS is in one line of what it prints
    local title=$1 want=$2 words=$3 rc w
    shift 3
    out=$("$@")
    rc=$?
    equal "$title: exit status" "$want" "$rc"
    local lines=$out
    for w in $words; do lines=$(grep -e "$w" <<<"$lines"); done
    [ -n "$lines" ] || fail "$title: no line with '$words' in: $out"
}
mkdir -p "$XDG_CACHE_HOME"
says "all is well" 0 "ok bucket" doctor "s3://$BUCKET"
for check in fuse state credentials bucket clock writing uploads; do
    grep -q "^ok  $check  " <<<"$out" || fail "'$check' is not said to be ok: $out"
done
grep -q "^[a-z]*  conditions  " <<<"$out" || fail "nothing of conditions: $out"
equal "nothing is left in the bucket" "" "$(s3 keys)"
says "without a bucket" 0 "ok credentials" doctor
says "as JSON" 0 '"check"' doctor --json "$BUCKET"
python3 -c 'import json, sys; rows = json.load(sys.stdin); assert all(set(r) == {"result", "check", "finding", "remedy"} for r in rows), rows' <<<"$out" || fail "$out"
says "absent bucket" 2 "^problem bucket mb" doctor s3://absent-bucket-0
says "no credentials" 2 "^problem credentials AWS_ACCESS_KEY_ID" \
    env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$PAILCTL" --endpoint-url "$S3_ENDPOINT" doctor "$BUCKET"
AWS_SECRET_ACCESS_KEY=wrong says "wrong secret" 2 "^problem bucket secret" doctor "$BUCKET"
says "nobody listens" 2 "^problem endpoint --endpoint-url" \
    "$PAILCTL" --endpoint-url http://127.0.0.1:9 --path-style doctor "$BUCKET"

# ---- what a mount that was killed has left ----
mount_fs
kill_daemon
fusermount3 -uz "$MNT"
folder=$(echo "$XDG_CACHE_HOME"/pailfs/*)
says "killed" 0 "^warning left killed" doctor "$BUCKET"
printf 'content' >"$folder/lost+found/20261122T184501Z-f"
says "lost+found" 0 "^warning lost+found lost.list" doctor "$BUCKET"
contains "a bare lost is lost list" "20261122T184501Z-f" "$("$PAILCTL" lost "$folder")"
contains "help" "doctor" "$("$PAILCTL" help)"
says "a word too many" 1 "usage" sh -c "'$PAILCTL' lost 2>&1"
says "no such command" 1 "unknown.command" sh -c "'$PAILCTL' lost-and-found x 2>&1"
