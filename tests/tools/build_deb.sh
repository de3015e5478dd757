#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 600
# heavy: yes
# packaging/build-deb.sh builds a package with all that it should have, without lintian's errors and
# warnings; its programs run from where they are unpacked and know each other.
. "$SOURCE_DIR/tests/lib/common.sh"
"$SOURCE_DIR/packaging/build-deb.sh" "$SCRATCH/out" >"$SCRATCH/build.out" 2>&1 || fail "build: $(cat "$SCRATCH/build.out")"
deb=$(echo "$SCRATCH"/out/pailfs_*.deb)
[ -f "$deb" ] || fail "no package: $(ls "$SCRATCH/out")"
files=$(dpkg -c "$deb" | awk '{print $6}')
for file in usr/bin/pailfs usr/bin/pailctl usr/sbin/mount.pailfs usr/lib/systemd/system/pailfs@.service \
    usr/share/man/man1/pailfs.1.gz usr/share/man/man1/pailctl.1.gz usr/share/man/man7/pailfs.7.gz \
    usr/share/man/man8/mount.pailfs.8.gz usr/share/doc/pailfs/README.md.gz usr/share/doc/pailfs/copyright; do
    grep -qxF "./$file" <<<"$files" || fail "the package lacks $file: $files"
done
if grep -E 's3d|/test' <<<"$files"; then fail "the package has parts of the tests"; fi
said=$(lintian --allow-root --fail-on error,warning "$deb" 2>&1) || fail "lintian: $said"
root=$SCRATCH/root
dpkg -x "$deb" "$root" || fail "dpkg -x"
equal "version" "pailfs $(dpkg-deb -f "$deb" Version)" "$("$root/usr/bin/pailfs" --version)"
equal "version" "pailctl $(dpkg-deb -f "$deb" Version)" "$("$root/usr/bin/pailctl" --version)"
# Stripped programs without paths of the build in them.
if grep -l "$SCRATCH" "$root"/usr/bin/* "$root"/usr/sbin/*; then fail "paths of the build folder"; fi
for program in $(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$root/usr/lib/systemd/system/pailfs@.service"); do
    check "the unit's $program is in the package" test -x "$root$program"
done
# The helper runs the driver that was installed with it.
server_start
out=$("$root/usr/sbin/mount.pailfs" "$BUCKET" "$MNT" -v -o "$(pailfs_options)" 2>&1) || fail "mount: $out"
contains "the driver" "$root/usr/" "$out"
echo x >"$MNT/f" || fail "write"
check "unmount" "$root/usr/bin/pailctl" unmount "$MNT"
equal "in the bucket" f "$(s3 keys)"
