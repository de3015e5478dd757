#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# What cannot work fails within seconds with a sentence that names the thing and the remedy, a
# non-zero status and nothing mounted.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
options=$(pailfs_options)
expect() { # expect TITLE WORDS-IN-MESSAGE command...
    local title=$1 words=$2 out rc begin=$SECONDS
    shift 2
    out=$("$@" 2>&1)
    rc=$?
    [ $rc != 0 ] || fail "$title: exit status 0, output: $out"
    [ $((SECONDS - begin)) -lt 90 ] || fail "$title: took $((SECONDS - begin)) s"
    local w
    for w in $words; do
        grep -qi -- "$w" <<<"$out" || fail "$title: no word '$w' in: $out"
    done
    [ "$(wc -l <<<"$out")" -le 4 ] || fail "$title: too many lines: $out"
    ! mountpoint -q "$MNT" || fail "$title: left something mounted"
    poll 60 no_daemon || fail "$title: left a daemon"
    case $out in *"$AWS_SECRET_ACCESS_KEY"*) fail "$title: the secret is in the message" ;; esac
}
expect "absent bucket" "absent-bucket-0 bucket create_bucket" \
    "$PAILFS" absent-bucket-0 "$MNT" -o "$options"
expect "unknown key" "key" env AWS_ACCESS_KEY_ID=nosuchaccesskey \
    "$PAILFS" "$BUCKET" "$MNT" -o "$options"
expect "wrong secret" "secret" env AWS_SECRET_ACCESS_KEY=notthesecret \
    "$PAILFS" "$BUCKET" "$MNT" -o "$options"
expect "no credentials" "credentials" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY \
    "$PAILFS" "$BUCKET" "$MNT" -o "$options"
expect "nobody listens" "127.0.0.1:9 endpoint" \
    "$PAILFS" "$BUCKET" "$MNT" -o endpoint_url=http://127.0.0.1:9,use_path_request_style
expect "unknown host" "nowhere.invalid" \
    "$PAILFS" "$BUCKET" "$MNT" -o endpoint_url=http://nowhere.invalid,use_path_request_style
expect "endpoint is no URL" "endpoint_url http" \
    "$PAILFS" "$BUCKET" "$MNT" -o endpoint_url=localhost:1234
expect "misspelt option" "regoin region" \
    "$PAILFS" "$BUCKET" "$MNT" -o "$options,regoin=us-east-1"
expect "misspelt long option" "endpoint-ulr endpoint" \
    "$PAILFS" "$BUCKET" "$MNT" --endpoint-ulr http://127.0.0.1:9
expect "bad value" "part_size" "$PAILFS" "$BUCKET" "$MNT" -o "$options,part_size=1"
expect "missing mount point" "$SCRATCH/absent" "$PAILFS" "$BUCKET" "$SCRATCH/absent" -o "$options"
touch "$SCRATCH/file"
expect "mount point is a file" "directory" "$PAILFS" "$BUCKET" "$SCRATCH/file" -o "$options"
expect "no arguments" "BUCKET" "$PAILFS"
expect "no mount point" "mount" "$PAILFS" "$BUCKET"
expect "bucket name that cannot be" "bucket" "$PAILFS" "no/such:bucket?" "$MNT" -o "$options"
expect "absent profile" "nosuchprofile" "$PAILFS" "$BUCKET" "$MNT" -o "$options,profile=nosuchprofile"
printf 'k:s\n' >"$SCRATCH/passwd" && chmod 644 "$SCRATCH/passwd"
expect "loose passwd_file" "passwd chmod" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY \
    "$PAILFS" "$BUCKET" "$MNT" -o "$options,passwd_file=$SCRATCH/passwd"

# ---- a mount point that is in use ----
mount_fs
out=$("$PAILFS" "$BUCKET" "$MNT" -o "$options" 2>&1) && fail "a second mount on one folder: $out"
contains "it is refused with a sentence" "already mounted" "$out"
contains "and the remedy" "nonempty" "$out"
equal "one mount" 1 "$(grep -c " $MNT " /proc/self/mountinfo)"
if [ "$(id -u)" = 0 ]; then # fusermount3 lets nobody else mount over a mount
    "$PAILFS" "$BUCKET" "$MNT" -o "$options,nonempty" || fail "not even with nonempty"
    equal "two mounts" 2 "$(grep -c " $MNT " /proc/self/mountinfo)"
    fusermount3 -u "$MNT" || fail "unmount of the upper one"
fi
unmount_fs

contains "--version" "pailfs" "$("$PAILFS" --version)"
contains "--help names the options" "endpoint_url" "$("$PAILFS" --help)"
