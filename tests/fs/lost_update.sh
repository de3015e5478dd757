#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# Two hosts change one file: the second to close gets ESTALE and the first one's object stays. Two
# make one file with O_EXCL: the second gets EEXIST. What the losers wrote is in lost+found, once each.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_two
head -c 20000000 /dev/zero >"$SCRATCH/big"
TEST_SERVER=$TEST_SERVER /usr/bin/python3 - "$A" "$B" "$SCRATCH/big" <<'P' || fail "see above"
import errno, os, subprocess, sys, time
a, b, big_file = sys.argv[1:]
big = open(big_file, "rb").read()
def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
def put(path, data, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags)
    write_all(fd, data)
    os.close(fd)
def fails(code, fd):
    try:
        os.close(fd)
    except OSError as e:
        assert e.errno == code, errno.errorcode[e.errno]
    else:
        raise AssertionError(f"close succeeded instead of {errno.errorcode[code]}")
def get(name):
    out = f"{a}.got"
    subprocess.check_call(["/usr/bin/python3", os.environ["SOURCE_DIR"] + "/tests/lib/s3.py", "get", name, out])
    return open(out, "rb").read()
# Rewritten and truncated, small and in parts. RGW ignores conditions on the completion of uploads.
cases = [("small", b"new" * 100)] + ([("large", big)] if os.environ["TEST_SERVER"] == "s3d" else [])
for name, data in cases:
    put(f"{a}/{name}", b"base")
    assert open(f"{b}/{name}", "rb").read() == b"base"
    loser = os.open(f"{a}/{name}", os.O_RDWR)
    os.write(loser, b"A" * 10)
    put(f"{b}/{name}", b"winner")
    if len(data) > 1000:
        write_all(loser, data)
    fails(errno.ESTALE, loser)
    assert get(name) == b"winner", name
    # The mount of the loser goes on, with the winner's version.
    deadline = time.monotonic() + 60
    while True:
        try:
            if open(f"{a}/{name}", "rb").read() == b"winner":
                break
        except OSError as e:
            assert e.errno == errno.ESTALE, e
        assert time.monotonic() < deadline, "the loser's mount never shows the winner's version"
        time.sleep(0.1)
    put(f"{a}/{name}", b"after")
    assert get(name) == b"after"
for name, data in cases:
    fd = os.open(f"{a}/x{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    put(f"{b}/x{name}", b"first", os.O_CREAT | os.O_EXCL)
    write_all(fd, data)
    fails(errno.EEXIST, fd)
    assert get("x" + name) == b"first", name
P
unmount_fs "$A"
unmount_fs "$B"
cd "$SCRATCH/cache/pailfs/$BUCKET"-????????????????/lost+found || fail "no lost+found"
small="small $([ "$TEST_SERVER" != s3d ] || echo large) xsmall $([ "$TEST_SERVER" != s3d ] || echo xlarge)"
for name in $small; do
    equal "items of $name" 1 "$(find . -name "*Z-$name" | wc -l)"
    info=$(cat ./*Z-"$name".info)
    contains "key" "key: $name
" "$info"
    contains "bucket" "bucket: $BUCKET" "$info"
    contains "reason" "reason: $(case $name in x*) echo exists ;; *) echo replaced ;; esac)" "$info"
    contains "log" "lost+found/$(echo ./*Z-"$name" | cut -c3-)" "$(cat "$A.log")"
done
contains "base version" "base: \"593616de15330c0fb2d55e55410bf994\"" "$(cat ./*Z-small.info)"
equal "what the loser wrote" "AAAAAAAAAA" "$(cat ./*Z-small)"
# What is in S3 alone is named, and nothing else stays there.
equal "unfinished uploads" "$(sed -n 's/^upload_id: //p' ./*.info | sort)" "$(s3 uploads | cut -d' ' -f2 | sort)"
