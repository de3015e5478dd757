#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package.
#   packaging/build-deb.sh [OUTPUT-DIR]     (default: the current folder)
# Works on a copy, because the top of the tree has no debian/ folder.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "${1:-.}" && cd "${1:-.}" && pwd)
# shellcheck source=packaging/deps.sh
. "$source_dir/packaging/deps.sh"
deps_install "${DEPS_BUILD[@]}" debhelper dpkg-dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/pailfs"
(cd "$source_dir" && git ls-files -z 2>/dev/null || find . -type f -not -path './.git/*' -not -path './build*' -printf '%P\0') |
    (cd "$source_dir" && tar --null -T - -cf -) | tar -C "$work/pailfs" -xf -
cp -r "$work/pailfs/packaging/debian" "$work/pailfs/debian"
cd "$work/pailfs"
dpkg-buildpackage -b -us -uc >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log"
    exit 1
}
cp "$work"/pailfs_*.deb "$out/"
ls "$out"/pailfs_*.deb
