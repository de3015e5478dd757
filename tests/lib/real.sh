# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced after common.sh by the tests that run real programs on a mount (tests/real/).
#
#   need PROGRAM...        skips the test where one is not installed
#   make_tree DIR          a source tree with odd names, modes, owners and times
#   manifest DIR           type, mode, owner, size, time and path of everything below, sorted; of
#                          symbolic links the target, as few programs restore their times
#   same_tree TEXT A B     content and symbolic links
#   same_manifest TEXT A B
#   log_clean [REGEX]      the daemon had nothing to complain of (beside lines that match)
#   finish_fs [REGEX]      unmounts; clean log, no unfinished uploads

need() {
    local p
    for p in "$@"; do
        command -v "$p" >/dev/null || skip "$p is not installed"
    done
}

make_tree() {
    local t=$1
    mkdir -p "$t/empty dir" "$t/deep/er/and/deeper"
    cp -r "$SOURCE_DIR/src/base" "$SOURCE_DIR/src/vfs" "$SOURCE_DIR/src/conf" "$t"
    chmod -R u=rwX,go=rX "$t"
    : >"$t/empty"
    echo blanks >"$t/name with blanks"
    echo utf8 >"$t/größe ☃"
    echo percent >"$t/100%+&=?#;"
    echo hidden >"$t/.hidden"
    echo deep >"$t/deep/er/and/deeper/f"
    random_file "$t/small.bin" 70001 1
    random_file "$t/large.bin" 12345678 2
    printf '#!/bin/sh\necho runs\n' >"$t/script"
    chmod 755 "$t/script"
    chmod 600 "$t/.hidden"
    chmod 444 "$t/empty"
    chmod 2750 "$t/deep"
    ln -s small.bin "$t/link"
    ln -s deep/er "$t/link to a directory"
    ln -s /nowhere/to/be/found "$t/deep/dangling"
    if [ "$(id -u)" = 0 ]; then chown 1234:4321 "$t/small.bin" "$t/deep/er"; fi
    touch -d '2001-02-03 04:05:06.789012345 UTC' "$t/small.bin" "$t/deep/er/and"
    touch -h -d '2003-04-05 06:07:08.25 UTC' "$t/link"
    touch -d '1969-12-31 23:59:58.5 UTC' "$t/.hidden"
}

manifest() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 -type d -printf 'd %m %U:%G - %T@ %P\n' -o -type l -printf 'l - %U:%G %l - %P\n' \
            -o -printf '%y %m %U:%G %s %T@ %P\n'
    ) | sort
}

same_manifest() {
    manifest "$2" >"$SCRATCH/manifest.want"
    manifest "$3" >"$SCRATCH/manifest.got"
    [ -s "$SCRATCH/manifest.want" ] || fail "$1: nothing below $2"
    diff "$SCRATCH/manifest.want" "$SCRATCH/manifest.got" || fail "$1"
}

same_tree() { # same_tree TEXT A B [diff option...]
    diff -r --no-dereference "${@:4}" "$2" "$3" || fail "$1"
}

log_clean() {
    local bad known='^$'
    # Ceph ignores some conditions, and the mount says so.
    case $TEST_SERVER in rgw*) known='the server .*does not hold every condition' ;; esac
    bad=$(grep -vE ' (info|debug): ' "$LOG" | grep -vE "$known" | grep -vE "${1:-^$}")
    [ -z "$bad" ] || fail "lines in the log: $bad"
}

finish_fs() {
    unmount_fs
    log_clean "$@"
    equal "no unfinished uploads" "" "$(s3 uploads)"
}
