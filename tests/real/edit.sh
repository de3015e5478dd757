#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# What edits files: sed -i, perl -i, vim with swap file and each way of backup, patch, sort -o, tee -a, install.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need vim.tiny perl patch
server_start
mount_fs
seq 1 20000 >"$SCRATCH/numbers"
cp "$SCRATCH/numbers" "$MNT/sed"
cp "$SCRATCH/numbers" "$MNT/perl"
cp "$SCRATCH/numbers" "$MNT/vim"
chmod 640 "$MNT/sed" "$MNT/vim"
check "sed -i" sed -i 's/^7$/seven/' "$MNT/sed"
check "sed -i.bak" sed -i.bak 's/^8$/eight/' "$MNT/sed"
check "perl -pi" perl -pi -e 's/^9$/nine/' "$MNT/perl"
edit() { # edit FILE ex-command...: what a person does, with a swap file and a backup
    local file=$1 c args=()
    shift
    for c in "$@"; do args+=(-c "$c"); done
    TERM=dumb timeout 60 vim.tiny -u NONE -N -i NONE -es "${args[@]}" -c wq "$file"
}
check "vim" edit "$MNT/vim" "set swapfile backup writebackup backupcopy=auto" "%s/^6\$/six/"
check "vim, backupcopy=yes" edit "$MNT/vim" "set swapfile backup backupcopy=yes" "%s/^5\$/five/"
check "vim, backupcopy=no" edit "$MNT/vim" "set swapfile nobackup backupcopy=no" "%s/^4\$/four/"
check "vim, a new file with fsync" edit "$MNT/new" "set fsync" "normal ifresh"
check "vim, no backup" edit "$MNT/vim" "set nowritebackup nobackup" "%s/^3\$/three/"
{ sed 's/^2$/two/' "$MNT/sed" | diff -u "$MNT/sed" - ; } >"$SCRATCH/p"
check "patch" patch -s "$MNT/sed" "$SCRATCH/p"
check "sort -o on itself" sort -rn -o "$MNT/perl" "$MNT/perl"
echo tail | tee -a "$MNT/new" >/dev/null || fail "tee -a"
check "truncate -s" truncate -s 10 "$MNT/sed.bak"
check "install" install -m 711 "$MNT/new" "$MNT/installed"
check "touch -d" touch -d '2010-10-10 10:10:10 UTC' "$MNT/installed"
check "mktemp and mv" bash -c "t=\$(mktemp '$MNT/tmp.XXXXXX') && echo moved >\$t && mv \$t '$MNT/moved'"
remount_fs
equal "sed" "$(sed -e 's/^7$/seven/' -e 's/^8$/eight/' -e 's/^2$/two/' "$SCRATCH/numbers" | sha256sum)" "$(sha256sum <"$MNT/sed")"
equal "perl" "$(sed 's/^9$/nine/' "$SCRATCH/numbers" | sort -rn | sha256sum)" "$(sha256sum <"$MNT/perl")"
equal "vim" "$(sed -e 's/^6$/six/' -e 's/^5$/five/' -e 's/^4$/four/' -e 's/^3$/three/' "$SCRATCH/numbers" | sha256sum)" "$(sha256sum <"$MNT/vim")"
equal "modes" "640 640 711" "$(stat -c %a "$MNT/sed" "$MNT/vim" "$MNT/installed" | paste -sd ' ' -)"
equal "time" 1286705410 "$(stat -c %Y "$MNT/installed")"
equal "new" "fresh tail" "$(paste -sd ' ' "$MNT/new")"
equal "moved" moved "$(cat "$MNT/moved")"
equal "sed.bak" "$(head -c 10 "$SCRATCH/numbers" | od -c)" "$(od -c <"$MNT/sed.bak")"
equal "keys" "installed moved new perl sed sed.bak vim" "$(s3 keys | paste -sd ' ' -)"
finish_fs
