#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Try pailfs on this machine: installs what it needs, builds, starts a local S3 server (s3d), mounts
# a bucket and shows files going in and out.
#   packaging/quickstart.sh DIR
# Everything is kept below DIR: build/ s3/ (the server's data) mnt/ (the mounted bucket) and logs.
# The mount stays; DIR/stop.sh ends it. A second run builds and starts only what is not there.
set -euo pipefail

[ $# = 1 ] && [ "${1#-}" = "$1" ] || {
    sed -n '3,7s/^# \{0,1\}//p' "$0"
    exit 2
}
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1" || { echo "quickstart: cannot make the folder '$1'"; exit 1; }
dir=$(cd "$1" && pwd)
mnt=$dir/mnt

say() { printf '\n== %s\n' "$*"; }
die() {
    echo "quickstart: $*" >&2
    exit 1
}
show() { # a command and what it prints, as a person would type it
    printf '$ %s\n' "$*"
    "$@"
}

# shellcheck source=packaging/deps.sh
. "$source_dir/packaging/deps.sh"
deps_install "${DEPS_BUILD[@]}" "${DEPS_RUN[@]}" "${DEPS_S3D[@]}"
[ -e /dev/fuse ] || die "this machine has no /dev/fuse: load the kernel module (modprobe fuse), or give the container the device (--device /dev/fuse --cap-add SYS_ADMIN)"

say "Building in $dir/build"
if [ ! -e "$dir/build/build.ninja" ]; then
    meson setup "$dir/build" "$source_dir" --buildtype=release -Dtests=false -Ds3d=true >"$dir/build.log" 2>&1 ||
        { tail -n 20 "$dir/build.log"; die "meson failed, see $dir/build.log"; }
fi
ninja -C "$dir/build" >"$dir/build.log" 2>&1 || { tail -n 20 "$dir/build.log"; die "the build failed, see $dir/build.log"; }
bin=$dir/build

# Keys for the local server only, in the place where the AWS tools keep theirs.
mkdir -p "$dir/aws"
export AWS_SHARED_CREDENTIALS_FILE=$dir/aws/credentials AWS_CONFIG_FILE=$dir/aws/config
if [ ! -e "$AWS_SHARED_CREDENTIALS_FILE" ]; then
    (umask 077 && printf '[default]\naws_access_key_id = quickstartkey\naws_secret_access_key = %s\n' \
        "$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')" >"$AWS_SHARED_CREDENTIALS_FILE")
    printf '[default]\nregion = us-east-1\n' >"$AWS_CONFIG_FILE"
fi
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
secret=$(sed -n 's/^aws_secret_access_key = //p' "$AWS_SHARED_CREDENTIALS_FILE")

server_runs() {
    [ -s "$dir/s3d.pid" ] && [ -s "$dir/s3d.port" ] && grep -qa s3d "/proc/$(cat "$dir/s3d.pid")/cmdline" 2>/dev/null
}
start_server() { # start_server PORT
    local n
    rm -f "$dir/s3d.port"
    # The secret goes by the environment: an argument would show in ps.
    S3D_ACCESS_KEY=quickstartkey S3D_SECRET_KEY=$secret setsid "$bin/tests/s3d/s3d" --dir "$dir/s3" \
        --port "$1" --port-file "$dir/s3d.port" >>"$dir/s3d.log" 2>&1 </dev/null &
    echo $! >"$dir/s3d.pid"
    for n in $(seq 200); do
        [ ! -s "$dir/s3d.port" ] || return 0
        kill -0 $! 2>/dev/null || break
        sleep 0.05
    done
    return 1
}
if ! server_runs; then
    say "Starting s3d, a small S3 server for try-outs, with its data in $dir/s3"
    mkdir -p "$dir/s3"
    # On the port that it had before, if there was one: a mount may still expect it there.
    start_server "$(cat "$dir/s3d.port" 2>/dev/null || echo 0)" || start_server 0 ||
        { tail -n 5 "$dir/s3d.log"; die "s3d did not start, see $dir/s3d.log"; }
fi
endpoint=http://127.0.0.1:$(cat "$dir/s3d.port")

cat >"$dir/stop.sh" <<STOP
#!/bin/sh
# Unmounts when everything is in S3, and ends the local server. The files here stay.
if findmnt -n -t fuse.pailfs --mountpoint "$mnt" >/dev/null; then
    if ls "$mnt" >/dev/null 2>&1; then
        "$bin/src/pailctl" unmount "$mnt" || exit 1
    else # a daemon that was killed
        fusermount3 -uz "$mnt" || exit 1
    fi
fi
if [ -s "$dir/s3d.pid" ]; then kill "\$(cat "$dir/s3d.pid")" 2>/dev/null; rm -f "$dir/s3d.pid" "$dir/s3d.port"; fi
echo "stopped; remove $dir when you no longer need it"
STOP
chmod 755 "$dir/stop.sh"

mkdir -p "$mnt" 2>/dev/null || true
is_mounted() { findmnt -n -t fuse.pailfs --mountpoint "$mnt" >/dev/null; }
if is_mounted && ! ls "$mnt" >/dev/null 2>&1; then
    fusermount3 -uz "$mnt" || die "a dead mount is on $mnt: unmount it (fusermount3 -u $mnt)"
fi
if ! is_mounted; then
    say "Mounting the bucket 'demo' (made now if it is not there)"
    show "$bin/src/pailfs" demo "$mnt" -o "endpoint_url=$endpoint,use_path_request_style,create_bucket,log_file=$dir/pailfs.log" ||
        die "the mount failed, see above and $dir/pailfs.log"
fi

say "Files go in"
show cp -rT "$source_dir/packaging/man" "$mnt/manuals"
date >"$mnt/hello.txt"
show ls -lR "$mnt"

say "The same, asked of the S3 server without the mount"
show "$bin/src/pailctl" ls -r --endpoint-url "$endpoint" --path-style s3://demo/

say "Files come out"
show cat "$mnt/hello.txt"
show diff -r "$source_dir/packaging/man" "$mnt/manuals" || die "what came out differs from what went in"
echo "no difference"

cat <<TEXT

The bucket stays mounted at $mnt. To stop: $dir/stop.sh

Your own bucket, with the keys that 'aws configure' wrote, AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY in the environment, or s3fs' password file:
  $bin/src/pailfs BUCKET MOUNTPOINT -o region=REGION
A server that is not AWS (Ceph, MinIO and their like):
  $bin/src/pailfs BUCKET MOUNTPOINT -o endpoint_url=https://HOST,use_path_request_style
All options: $bin/src/pailfs --help. Unmount: fusermount3 -u MOUNTPOINT
TEXT
