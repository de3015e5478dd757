#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Proves that no install step is hidden: both commands of the README in a minimal Debian 12 made by
# debootstrap, with nothing of this machine but its kernel and its package sources.
#   tests/fresh-root.sh [--keep] [--only quickstart|tests]
# Needs root and debootstrap. Takes what is committed (HEAD), not the work tree. The base system is
# kept as an archive in ${XDG_CACHE_HOME:-/var/cache}/pailfs-tests and used again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
keep=0 only=all
while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=1 ;;
    --only) only=$2; shift ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || { echo "fresh-root.sh: needs root (debootstrap and chroot)"; exit 2; }
. packaging/deps.sh
deps_install debootstrap git
cache=${XDG_CACHE_HOME:-/var/cache}/pailfs-tests
mkdir -p "$cache"
root=$(mktemp -d /var/tmp/pailfs-root.XXXXXX)

holder=""
cleanup() {
    local rc=$? p ns
    trap - EXIT
    # Only processes of the root's own mount namespace, which ends with them, and its mounts.
    if [ -n "$holder" ]; then
        ns=$(readlink "/proc/$holder/ns/mnt")
        for p in /proc/[0-9]*; do
            [ -n "$ns" ] && [ "$(readlink "$p/ns/mnt" 2>/dev/null)" = "$ns" ] && kill -9 "${p#/proc/}" 2>/dev/null
        done
        while kill -0 "$holder" 2>/dev/null; do sleep 0.1; done
    fi
    if [ $keep = 1 ]; then
        echo "kept: $root"
    else
        rm -rf --one-file-system "$root"
    fi
    exit $rc
}
trap cleanup EXIT INT TERM

if [ ! -e "$cache/bookworm.tar" ]; then
    # The mirror is whatever this machine uses.
    mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
        sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' | sed -n 1p)
    debootstrap --variant=minbase bookworm "$root" "$mirror" >"$cache/debootstrap.log" 2>&1 || {
        tail -n 5 "$cache/debootstrap.log"
        exit 1
    }
    tar -C "$root" -cf "$cache/bookworm.tar.new" . && mv "$cache/bookworm.tar.new" "$cache/bookworm.tar"
else
    tar -C "$root" -xf "$cache/bookworm.tar"
fi
# The same package sources as here, so that what works here for apt works there.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d"/*proxy*
cp -a /etc/apt/sources.list.d "$root/etc/apt/"
[ ! -e /etc/apt/sources.list ] || cp -a /etc/apt/sources.list "$root/etc/apt/"
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
[ ! -d /etc/apt/keyrings ] || cp -a /etc/apt/keyrings "$root/etc/apt/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
[ ! -d /usr/local/share/ca-certificates ] || { mkdir -p "$root/usr/local/share/ca-certificates" && cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"; }
# mktemp made the root folder private; to every user but root nothing would be reachable below it.
chmod 755 "$root"
# As the first boot of a machine does, and any container's start.
ln -sf ../proc/self/mounts "$root/etc/mtab"
git clone -q --no-hardlinks . "$root/root/pailfs"

# A mount namespace with that as its root, as a machine has it. In a chroot alone, tests that enter
# a namespace would come out at the root of this machine.
# shellcheck disable=SC2016
unshare -m --propagation private bash -c 'set -e
    mount --bind "$1" "$1" && cd "$1"
    mount -t proc proc proc
    mount -t sysfs -o ro sys sys
    mount --rbind /dev dev && mount --make-rslave dev
    mkdir -p .outside && pivot_root . .outside
    umount -l /.outside && rmdir /.outside
    exec chroot / sleep infinity' enter "$root" &
holder=$!
disown "$holder"
for _ in $(seq 100); do
    [ "$(cat /proc/$holder/comm)" != sleep ] || break
    sleep 0.1
done
[ "$(cat /proc/$holder/comm)" = sleep ] || { echo "fresh-root.sh: no mount namespace for the root"; exit 1; }

inside() { # with the bare environment that a first login has
    nsenter -t "$holder" -m -r -w /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        sh -c "cd /root/pailfs && $1"
}
if [ "$only" != tests ]; then
    echo "== quickstart, first run"
    inside "packaging/quickstart.sh /root/try"
    echo "== quickstart, second run"
    begin=$SECONDS
    inside "packaging/quickstart.sh /root/try"
    seconds=$((SECONDS - begin))
    [ $seconds -lt 10 ] || { echo "the second run took $seconds s, more than 10"; exit 1; }
    inside "grep -q ' /root/try/mnt fuse.pailfs ' /proc/mounts" || { echo "not mounted after quickstart"; exit 1; }
    inside "/root/try/stop.sh"
fi
if [ "$only" != quickstart ]; then
    echo "== tests"
    inside "tests/run.sh"
fi
echo "fresh root: passed"
