#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# Files that are read in the order of their listings are fetched ahead of their opens: each byte is the right one,
# also when files change in between, and little comes that nobody reads.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
FILES=14 SIZE=3200000
random_file "$SCRATCH/random" $((FILES * SIZE + 100000))
/usr/bin/python3 - "$SCRATCH" "$FILES" "$SIZE" <<'P' || fail "fill"
import concurrent.futures, os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
scratch, files, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = open(scratch + "/random", "rb").read()
def put(i):
    for key, body in ([(f"large/f{i:02}", data[i * size:(i + 1) * size])] +
                      [(f"tree/d{i:02}/f{k}", data[i * 5000 + k * 100:][:20000 + i]) for k in range(3)]):
        s3.S3.put_object(Bucket=s3.BUCKET, Key=key, Body=body)
        path = f"{scratch}/want/{key}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").write(body)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(put, range(files)))
P
counter() { curl -sf "$S3_ENDPOINT/_s3d/counters" | awk -v op="$1" '$1 == op {print $2}'; }
# at_most TITLE BYTES command...: so many come from the store; each on a mount that knows nothing yet
at_most() {
    local title=$1 limit=$2 got
    shift 2
    remount_fs -o metadata_ttl=600,hedge=off
    ls -R "$MNT" >/dev/null
    [ "$TEST_SERVER" = s3d ] && s3d_reset
    check "$title" "$@" >/dev/null
    [ "$TEST_SERVER" = s3d ] || return 0
    got=$(counter bytes_out)
    printf '%-40s %s bytes, %s GETs\n' "$title" "$got" "$(counter GetObject)"
    # On a machine that stood still in between what was fetched more than a second before its open is fetched again.
    [ $((${EPOCHREALTIME/./} - s3d_reset_at)) -lt 900000 ] || limit=$((2 * limit))
    [ "$got" -le "$limit" ] || fail "$title: $got bytes came, more than $limit"
}
mount_fs -o metadata_ttl=600,hedge=off
whole() { cmp "$SCRATCH/want/large/$1" "$MNT/large/$1"; }
all() { for f in "$SCRATCH"/want/large/*; do whole "${f##*/}" || return 1; done; }
at_most "all of them" $((FILES * SIZE * 3 / 2)) all
at_most "the tree" $((FILES * 3 * 20100 * 3 / 2)) diff -r "$SCRATCH/want/tree" "$MNT/tree"
check "tar" sh -c "tar cf - -C '$MNT' tree large | tar xf - -C '$SCRATCH' && diff -r '$SCRATCH/want/tree' '$SCRATCH/tree' && diff -r '$SCRATCH/want/large' '$SCRATCH/large'"
# By inode number.
at_most "cp -r" $((FILES * 3 * 20100 * 3 / 2)) cp -r "$MNT/tree" "$SCRATCH/copied"
check "what cp copied" diff -r "$SCRATCH/want/tree" "$SCRATCH/copied"
# The first request is of 1 MiB, whoever reads.
at_most "the first bytes of each" $((FILES * 1100000)) sh -c "for f in '$MNT'/large/*; do head -c 100 \$f; done"
some() { whole f00 && whole f01 && whole f02 && head -c 100 "$MNT/large/f03" | cmp - <(head -c 100 "$SCRATCH/want/large/f03"); }
at_most "three of them, and a beginning" $((9 * SIZE + 1100000)) some
# What is changed here after it was fetched.
remount_fs -o metadata_ttl=600,hedge=off
ls "$MNT/large" >/dev/null
for f in f00 f01 f02 f03; do whole $f || fail "$f"; done
echo ours >"$MNT/large/f04" && truncate -s 1000 "$MNT/large/f05" && mv "$MNT/large/f07" "$MNT/large/f06" && rm "$MNT/large/f08"
equal "written here" ours "$(cat "$MNT/large/f04")"
check "cut here" cmp <(head -c 1000 "$SCRATCH/want/large/f05") "$MNT/large/f05"
check "renamed here" cmp "$SCRATCH/want/large/f07" "$MNT/large/f06"
refuse "removed here" cat "$MNT/large/f08"
for f in f09 f10 f11; do whole $f || fail "$f"; done
# By another host: what the listing does not tell yet.
s3 put large/f12 "$SCRATCH/want/large/f00"
s3 put large/f13 "$SCRATCH/want/tree/d00/f0"
cat "$MNT/large/f12" >"$SCRATCH/got"
cmp -s "$SCRATCH/got" "$SCRATCH/want/large/f00" || check "one version of it" cmp "$SCRATCH/got" "$SCRATCH/want/large/f12"
remount_fs
check "the new one" cmp "$SCRATCH/want/large/f00" "$MNT/large/f12"
check "and the small one" cmp "$SCRATCH/want/tree/d00/f0" "$MNT/large/f13"
