#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pailctl makes, lists and removes buckets and waits for states, with the words and statuses that
# pailctl(1) names; boto3 sees the same.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
ctl() { "$PAILCTL" --endpoint-url "$S3_ENDPOINT" --path-style "$@"; }
status() { # status WANTED command...: the exact exit status; the output stays in $out
    local want=$1 rc
    shift
    out=$("$@" 2>&1)
    rc=$?
    [ "$rc" = "$want" ] || fail "exit status $rc instead of $want: $* says: $out"
}
made=made-$BUCKET

# ---- buckets ----
status 0 ctl mb "s3://$made"
equal "mb is silent" "" "$out"
BUCKET=$made s3 keys || fail "boto3 does not see the bucket"
# Who owns it may ask for it again: servers say yes or refuse, but nothing is harmed.
ctl mb "$made" >/dev/null 2>&1
status 0 ctl buckets
contains "the new bucket is listed" "$made" "$out"
contains "and the one of boto3" "$BUCKET" "$out"
status 0 ctl buckets --json
python3 -c '
import json, re, sys
rows = json.load(sys.stdin)
names = [r["name"] for r in rows]
assert set(sys.argv[1:]) <= set(names), names
assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", r["created"]) for r in rows), rows
' "$made" "$BUCKET" <<<"$out" || fail "buckets --json: $out"
status 1 ctl mb "s3://$made/key"
contains "mb refuses a key" "key" "$out"
status 1 ctl rb "s3://$made/key"
status 1 ctl mb "s3://"

# ---- ls ----
printf 'twelve bytes' >"$SCRATCH/f"
odd=$'odd\nkey \xc3\xbc'
for key in a dir/b dir/sub/c "$odd"; do BUCKET=$made s3 put "$key" "$SCRATCH/f" || fail "put $key"; done
status 0 ctl ls "s3://$made"
equal "ls stops at '/', one line a row" $'dir/\na\nodd\\x0akey ü' "$out"
status 0 ctl ls "s3://$made/dir/"
equal "below a prefix" $'dir/sub/\ndir/b' "$out"
status 0 ctl ls -r "$made"
equal "recursive" $'a\ndir/b\ndir/sub/c\nodd\\x0akey ü' "$out"
status 0 ctl ls "s3://$made/nothing"
equal "nothing" "" "$out"
status 0 ctl ls -l "s3://$made/a"
[[ $out =~ ^20[0-9-]+T[0-9:.]+Z\ \ 12\ \ .*\ \ a$ ]] || fail "ls -l: $out"
status 0 ctl ls -r --json "s3://$made"
python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert [r["key"] for r in rows] == ["a", "dir/b", "dir/sub/c", "odd\nkey \u00fc"], rows
assert all(r["size"] == 12 for r in rows), rows
' <<<"$out" || fail "ls --json: $out"
s3 fill 1005 many/
equal "more than a page" 1005 "$(ctl ls -r "s3://$BUCKET/many/" | grep -c '^many/f')"

# ---- versions, uploads ----
/usr/bin/python3 - "$made" <<'P' || fail "boto3"
import os, sys, boto3, botocore.config
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"],
                  config=botocore.config.Config(s3={"addressing_style": "path"}))
b = sys.argv[1]
s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
s3.put_object(Bucket=b, Key="v", Body=b"1")
s3.put_object(Bucket=b, Key="v", Body=b"22")
s3.delete_object(Bucket=b, Key="v")
s3.create_multipart_upload(Bucket=b, Key="unfinished")
P
status 0 ctl versions "s3://$made/v"
equal "states" "deleted older older" "$(awk '{print $4}' <<<"$out" | paste -sd ' ' -)"
status 0 ctl versions --json "s3://$made/v"
python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert [(r["state"], r["size"]) for r in rows] == [("deleted", None), ("older", 2), ("older", 1)], rows
assert len({r["version_id"] for r in rows}) == 3, rows
' <<<"$out" || fail "versions --json: $out"
status 0 ctl uploads "s3://$made"
[[ $out =~ ^20[0-9-]+T[0-9:.]+Z\ \ [^\ ]+\ \ unfinished$ ]] || fail "uploads: $out"
status 0 ctl uploads --json "s3://$made/x"
equal "no uploads below another prefix" "[]" "$(tr -d '[:space:]' <<<"$out")"

# ---- wait ----
status 0 ctl wait bucket-exists "s3://$made"
status 0 ctl wait object-exists "s3://$made/dir/b"
status 0 ctl wait object-not-exists "s3://$made/absent"
status 0 ctl wait bucket-not-exists "s3://absent-$made"
status 3 ctl wait object-exists "s3://$made/absent" --delay 0.05 --attempts 3
contains "how often" "3 attempts" "$out"
BUCKET=$made s3 put late "$SCRATCH/f" &
late=$!
status 0 ctl wait object_exists "s3://$made/late" --delay 0.1 --attempts 600
wait $late
status 1 ctl wait object-exists "s3://$made"
status 1 ctl wait bucket-exists "s3://$made/key"
status 1 ctl wait full-moon "s3://$made"
status 1 ctl wait object-exists "s3://$made/x" --attempts 0

# ---- rb ----
status 2 ctl rb "s3://$made"
contains "what hinders" "NotEmpty" "$out"
status 0 ctl rb --force "s3://$made"
status 2 ctl ls "s3://$made"
contains "the bucket is gone" "NoSuchBucket" "$out"
status 0 ctl wait bucket-not-exists "s3://$made"

# ---- what cannot work ----
status 1 ctl
status 1 ctl frobnicate
contains "the unknown word" "frobnicate" "$out"
status 1 ctl ls
status 1 ctl ls a b
status 1 ctl ls --no-such-option a
status 1 ctl ls --region
status 2 env AWS_SECRET_ACCESS_KEY=wrong "$PAILCTL" --endpoint-url "$S3_ENDPOINT" --path-style ls "$BUCKET"
contains "the server's word" "SignatureDoesNotMatch" "$out"
status 2 "$PAILCTL" --endpoint-url http://127.0.0.1:9 --path-style ls "$BUCKET"
status 2 "$PAILCTL" --profile nosuchprofile buckets
contains "the profile" "nosuchprofile" "$out"
status 0 "$PAILCTL" --version
contains "version" "pailctl " "$out"
status 0 "$PAILCTL" --help
[ ! -e /dev/full ] || { "$PAILCTL" --help >/dev/full 2>/dev/null; ctl buckets >/dev/full 2>"$SCRATCH/err"; equal "a full disk is told" 2 $?; }
