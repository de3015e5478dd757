#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need (only what is missing), builds, and runs them all.
#   tests/run.sh [--only GROUP[,GROUP]] [--list] [--keep] [--jobs N] [NAME-PART ...]
#   tests/run.sh --rgw20 ...     instead, the tests of a gateway on a newer one (root; see there)
# Groups and how to add a test: tests/README.md. Build folders: $BUILD_DIR (default: build/tests) and
# $BUILD_DIR-asan. The last line is "N passed, N failed, N skipped"; exit status 0 = none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. packaging/deps.sh

deps_install "${DEPS_BUILD[@]}" "${DEPS_RUN[@]}" "${DEPS_S3D[@]}" "${DEPS_TEST[@]}"
export BUILD_DIR=${BUILD_DIR:-$PWD/build/tests}

build() { # build DIR [meson option...]
    local dir=$1
    shift
    if [ ! -e "$dir/build.ninja" ]; then
        meson setup --wipe "$dir" "$@" >/dev/null 2>&1 || meson setup "$dir" "$@" || return 1
    else
        meson configure "$dir" "$@" >/dev/null || return 1 # an option that is new since
    fi
    # Quiet unless it fails.
    ninja -C "$dir" >"$dir/ninja.log" 2>&1 || {
        cat "$dir/ninja.log"
        return 1
    }
}

case " $* " in
*" --list "*) ;;
*)
    build "$BUILD_DIR" -Dwerror=true
    build "$BUILD_DIR-asan" -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false -Dcrash_points=true
    ;;
esac
exec /usr/bin/python3 tests/lib/runner.py "$@"
