#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# A small C project is built in the mount with gcc, ar and ninja, incrementally, and its program runs there.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need gcc ninja ar
server_start
mount_fs
cd "$MNT" && mkdir p && cd p || fail "cd"
echo 'exit 0' >configure && chmod 755 configure || fail "configure"
for i in 1 2 3 4 5 6; do echo "int f$i(void) { return $i; }" >f$i.c; done
cat >main.c <<'C'
#include <stdio.h>
int f1(void), f2(void), f3(void), f4(void), f5(void), f6(void);
int main(void)
{
    printf("%d\n", f1() + f2() + f3() + f4() + f5() + f6());
}
C
cat >build.ninja <<'N'
rule cc
  command = gcc -g -O1 -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule ar
  command = rm -f $out && ar rcs $out $in
rule link
  command = gcc $in -o $out
N
for i in 1 2 3 4 5 6; do echo "build f$i.o: cc f$i.c" >>build.ninja; done
cat >>build.ninja <<'N'
build libf.a: ar f1.o f2.o f3.o f4.o f5.o f6.o
build main.o: cc main.c
build prog: link main.o libf.a
N
check "the first build" ninja -j 3 >"$SCRATCH/ninja.out"
equal "the program runs" 21 "$(./prog)"
equal "nothing to do" "ninja: no work to do." "$(ninja)"
echo "int f3(void) { return 30; }" >f3.c
check "the second build" ninja -v >"$SCRATCH/ninja.out"
equal "one file compiled" 1 "$(grep -c -- '-MD' "$SCRATCH/ninja.out")"
equal "the new program runs" 48 "$(./prog)"
cd "$SCRATCH" || fail "cd"
remount_fs
equal "nothing to do after a remount" "ninja: no work to do." "$(ninja -C "$MNT/p" | tail -n 1)"
check "strip in place" strip "$MNT/p/prog"
check "ar adds a member in place" ar rs "$MNT/p/libf.a" "$MNT/p/main.o"
remount_fs
equal "the program after a remount" 48 "$("$MNT/p/prog")"
equal "the library after a remount" 7 "$(ar t "$MNT/p/libf.a" | wc -l)"
s3 get p/prog "$SCRATCH/prog" && chmod +x "$SCRATCH/prog"
equal "the program by boto3" 48 "$("$SCRATCH/prog")"
finish_fs
