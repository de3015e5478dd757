#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 300
# heavy: yes
# asan: no
# Programs that write here and there in files of many parts: a disk image with a filesystem in it, zip and Python's
# zipfile, the linker, dd conv=notrunc, cp --sparse, sort -o, split, truncate, formats with an index at their start. Each
# is compared with the same on a local disk, after a remount.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need zip unzip mkfs.ext4 e2fsck debugfs gcc perl
server_start
mount_fs
L=$SCRATCH/local
mkdir "$L"
both() { # both TITLE SHELL-CODE: in a local folder and in the mount
    local d
    for d in "$L" "$MNT"; do
        (cd "$d" && bash -ec "$2" >"$SCRATCH/both.out" 2>&1) || fail "$1 in $d: $(tail -n 20 "$SCRATCH/both.out")"
    done
}
random_file "$SCRATCH/r" 30000000
export R=$SCRATCH/r

both "dd conv=notrunc" 'cp $R dd; for at in 0 7777 1200 3; do dd if=$R of=dd bs=1000 skip=5 seek=$at count=3 conv=notrunc status=none; done
    dd if=/dev/zero of=dd bs=1M seek=20 count=1 conv=notrunc status=none; dd if=$R of=dd bs=1M oflag=append count=1 conv=notrunc status=none'
both "cp --sparse" 'truncate -s 40M holes; dd if=$R of=holes bs=64k seek=100 count=3 conv=notrunc status=none; dd if=$R of=holes bs=64k seek=500 count=1 conv=notrunc status=none
    cp --sparse=always holes sparse; cp --sparse=never holes solid; cmp holes sparse; cmp holes solid'
both "a file that is made large and filled from its end" 'truncate -s 24M back; for i in 23 22 15 7 1 0; do dd if=$R of=back bs=1M skip=$i seek=$i count=1 conv=notrunc status=none; done'
both "fallocate" 'fallocate -l 12M fall; dd if=$R of=fall bs=1M seek=3 count=2 conv=notrunc status=none; fallocate -p -o 4M -l 1M fall; fallocate -z -o 1M -l 3500k fall'
both "truncate" 'cp $R cut; truncate -s 19999999 cut; truncate -s 25M cut; truncate -s -3M cut; echo more >>cut'
both "sort -o on itself" 'perl -e "srand(1); print int(rand(1e9)), qq(\n) for 1..1200000" >sorted; sort -n -o sorted sorted'
both "split and cat" 'mkdir pieces; split -b 9m $R pieces/x; cat pieces/x* >joined; cmp joined $R'
both "tac, shuf and tee" 'seq 1 2000000 | tee teed | tac >tac; tail -n +1000000 teed | head -n 5 >middle'
both "sed -i and perl -pi" 'cp sorted sed; sed -i "s/^1/one/" sed; cp sorted perl; perl -pi -e "s/^2/two/" perl'
both "a format with its index at the start" 'python3() { /usr/bin/python3 "$@"; }; python3 - <<P
import os, random, struct
random.seed(3)
with open("indexed", "w+b") as f:
    f.write(bytes(4096))
    index = []
    for i in range(900):
        data = random.randbytes(random.randrange(1, 40000))
        f.seek(0, os.SEEK_END)
        index.append((f.tell(), len(data)))
        f.write(data)
        if i % 100 == 99:
            f.seek(0)
            f.write(struct.pack("<2I", 0x1dec5, len(index)))
            f.seek(8 + 4 * (i // 100))
            f.write(struct.pack("<I", index[-1][0]))
            at, n = index[random.randrange(len(index))]
            f.seek(at)
            f.write(bytes(n))
            f.seek(at)
            assert f.read(n) == bytes(n)
P'
both "zipfile in append mode" '/usr/bin/python3 - <<P
import zipfile
r = open("$R", "rb").read()
for mode, names in (("w", "ab"), ("a", "cd")):
    with zipfile.ZipFile("py.zip", mode) as z:
        for n in names:
            i = zipfile.ZipInfo(n, (2020, 1, 1, 0, 0, 0))
            z.writestr(i, r[ord(n):ord(n) + 6000000])
P'
# What differs from run to run by itself is judged by its own tools.
cd "$MNT" || fail "cd"
check "zip" zip -q "$MNT/z.zip" dd back cut
check "zip adds" zip -q "$MNT/z.zip" fall
check "zip deletes" zip -qd "$MNT/z.zip" dd
check "mkfs.ext4" mkfs.ext4 -q -F -b 4096 -O ^has_journal "$MNT/ext4.img" 64M
check "debugfs writes into the image" debugfs -w -R "write $SCRATCH/r inside" "$MNT/ext4.img" 2>"$SCRATCH/debugfs.out"
check "tune2fs" tune2fs -j "$MNT/ext4.img" >"$SCRATCH/tune2fs.out"
{
    echo 'int table[] = {'
    seq -s , 1 20000
    echo '};'
    echo 'char space[20 << 20] = {1};'
    echo 'int main(void) { return table[41] == 42 && space[0] == 1 ? 0 : 1; }'
} >"$MNT/p.c"
check "gcc with 20 MiB of data" gcc -O0 -g -o "$MNT/p" "$MNT/p.c"
check "the program runs" "$MNT/p"
check "strip in place" strip "$MNT/p"
cd / || fail "cd"
remount_fs
check "everything is equal after a remount" diff -r -x z.zip -x ext4.img -x 'p*' "$L" "$MNT"
check "py.zip" cmp "$L/py.zip" "$MNT/py.zip"
check "unzip -t" unzip -tq "$MNT/z.zip"
check "unzip of one" bash -c "unzip -p '$MNT/z.zip' fall | cmp - '$L/fall'"
equal "e2fsck" 0 "$(e2fsck -fn "$MNT/ext4.img" >"$SCRATCH/e2fsck.out" 2>&1; echo $?)"
check "the file in the image" bash -c "debugfs -R 'cat inside' '$MNT/ext4.img' 2>/dev/null | cmp - '$SCRATCH/r'"
check "the program after a remount" "$MNT/p"
rm -r "$L/pieces" "$MNT/pieces"
for f in dd holes fall back indexed py.zip; do
    s3 get $f "$SCRATCH/got" && check "boto3: $f" cmp "$L/$f" "$SCRATCH/got"
done
finish_fs
