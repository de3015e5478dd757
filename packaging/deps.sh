# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Which Debian packages each purpose needs, and how missing ones are installed. Sourced by
# packaging/quickstart.sh and tests/run.sh; the one list of them.

DEPS_BUILD=(gcc libc6-dev meson ninja-build pkg-config libfuse3-dev libcurl4-openssl-dev libssl-dev
    libxml2-dev libjansson-dev libsqlite3-dev zlib1g-dev uthash-dev scdoc)
DEPS_RUN=(fuse3 ca-certificates)
DEPS_S3D=(libmicrohttpd-dev)
DEPS_TEST=(libcmocka-dev openssl python3 python3-boto3 ceph-mon ceph-osd radosgw ceph-common python3-rados
    clang-format shellcheck codespell git curl procps rsync attr file fio libasan8 libubsan1
    build-essential debhelper dpkg-dev lintian
    # the programs that tests/real/ runs on a mount
    restic borgbackup duplicity rdiff-backup sqlite3 vim-tiny patch zip unzip cpio xz-utils logrotate
    postgresql)

# What tests/bench/run.sh compares with, and draws with.
# shellcheck disable=SC2034
DEPS_BENCH=(s3fs rclone rsync restic git openssl python3-boto3 python3-matplotlib libcmocka-dev)

# deps_install PACKAGE...: installs those that are missing; nothing to do costs milliseconds.
deps_install() {
    local missing=() package status
    for package in "$@"; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=
        [ "$status" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "Missing packages: ${missing[*]}. Install them as root (apt-get install), or run this as root or as a user with sudo." >&2
            return 1
        }
        sudo=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    # No service of a package may start here; removed again below if it was not there before.
    local policy=/usr/sbin/policy-rc.d made=0 rc=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null && "${sudo[@]}" chmod 755 $policy
        made=1
    fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
        # The package lists may be old or absent: read them anew, then say what happens.
        "${sudo[@]}" apt-get -q -o Acquire::Retries=3 update >/dev/null || rc=1
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
            install -y --no-install-recommends "${missing[@]}" >/tmp/pailfs-apt.$$ 2>&1 || {
            rc=1
            tail -n 20 /tmp/pailfs-apt.$$ >&2
            echo "apt-get could not install: ${missing[*]} (see above)" >&2
        }
        rm -f /tmp/pailfs-apt.$$
    }
    [ $made = 0 ] || "${sudo[@]}" rm -f $policy
    return $rc
}
