#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times pailfs, other filesystems for S3 and plain libcurl side by side; needs root (page cache, mounts).
#   tests/bench/run.sh [--peers s3fs,rclone] [--rtt 0,2,20] [--only NAME,NAME* | --readme] [--quick | --full]
#                      [--rounds N] [--minutes N] [--cut SECONDS] [--endpoint URL | --rgw] [--proxy] [--tls] [--out FOLDER] [--list]
# Installs what is missing, builds without sanitizers, then runs bench.py, which explains the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. packaging/deps.sh

case " $* " in
*" --list "* | *" --help "* | *" -h "*) ;;
*)
    deps_install "${DEPS_BUILD[@]}" "${DEPS_RUN[@]}" "${DEPS_S3D[@]}" "${DEPS_BENCH[@]}"
    BUILD_DIR=${BUILD_DIR:-$PWD/build/bench}
    [ -e "$BUILD_DIR/build.ninja" ] || meson setup "$BUILD_DIR" --buildtype=release >/dev/null
    ninja -C "$BUILD_DIR" >"$BUILD_DIR/ninja.log" 2>&1 || { cat "$BUILD_DIR/ninja.log"; exit 1; }
    export BUILD_DIR
    ;;
esac
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/bench/bench.py "$@"
