#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# Descriptors that are duplicated and inherited are closed many times, and the file goes on to be written; no
# object stands for a file that nobody has closed or synced, none of zero bytes before the real one, and the old one
# stays until then; what a shell's redirections cost.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
check "dup, fork, and closes in every order" /usr/bin/python3 - "$MNT" <<'P'
import os, subprocess, sys, urllib.request
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3, objects
os.chdir(sys.argv[1])
def keys():
    return [o["Key"] for o in objects() if o["Key"] != ".pailfs-root"]
def put(fd, text):
    assert os.write(fd, text) == len(text)
# Nothing stands in the bucket for a file that was only opened.
fd = os.open("new", os.O_CREAT | os.O_WRONLY)
assert keys() == [], keys()
put(fd, b"one ")
assert keys() == [], keys()
with open("old", "w") as f:
    f.write("old")
old = os.open("old", os.O_WRONLY | os.O_TRUNC)
assert S3.get_object(Bucket=BUCKET, Key="old")["Body"].read() == b"old"
put(old, b"new")
assert S3.get_object(Bucket=BUCKET, Key="old")["Body"].read() == b"old"
os.close(old)
assert S3.get_object(Bucket=BUCKET, Key="old")["Body"].read() == b"new"
copy = os.dup(fd)
os.close(copy)                       # a flush, and by no means the last
put(fd, b"two ")
if os.fork() == 0:
    put(fd, b"child ")
    os.close(fd)
    os._exit(0)
os.wait()
put(fd, b"three ")
subprocess.check_call(["/bin/echo", "-n", "echo "], stdout=fd)
put(fd, b"four")
os.close(fd)
assert open("new").read() == "one two child three echo four", open("new").read()
# A child that only inherits what the parent has written ends: the parent's work goes on, and costs one PUT at its end.
def puts():
    with urllib.request.urlopen(os.environ["S3_ENDPOINT"] + "/_s3d/counters") as f:
        return int(next(l.split()[1] for l in f.read().decode().splitlines() if l.startswith("PutObject ")))
before = puts()
fd = os.open("children", os.O_CREAT | os.O_WRONLY)
for i in range(3):
    put(fd, b"%d " % i)
    subprocess.check_call(["/bin/true"], pass_fds=[fd])
assert puts() == before, puts() - before
os.close(fd)
assert puts() == before + 1, puts() - before
# The parent closes first, the child writes on.
r, w = os.pipe()
fd = os.open("inherited", os.O_CREAT | os.O_WRONLY)
put(fd, b"parent ")
pid = os.fork()
if pid == 0:
    os.close(w)
    os.read(r, 1)
    put(fd, b"child")
    os.close(fd)
    os._exit(0)
os.close(fd)
os.close(w)
os.waitpid(pid, 0)
assert open("inherited").read() == "parent child"
# Two opens, one truncates: POSIX' content, one object.
a = os.open("two", os.O_CREAT | os.O_RDWR); put(a, b"aaaa")
b = os.open("two", os.O_WRONLY | os.O_TRUNC)
put(a, b"AA"); put(b, b"b")
os.close(a); os.close(b)
assert open("two", "rb").read() == b"b\0\0\0AA", open("two", "rb").read()
P
cost() { # cost TITLE EXPECTED SHELL-CODE
    s3d_reset
    bash -c "cd '$MNT' && $3" || fail "$1"
    equal_requests "$1" "$2"
}
mkdir "$MNT/d"
cost "cmd >file" "PutObject=1" "echo x >d/echo"
cost "program >file" "PutObject=1" "/bin/echo x >d/program"
cost "touch of a new file" "PutObject=1" "touch d/touched"
cost ": >file" "PutObject=1" ": >d/colon"
cost "a group of commands >file" "PutObject=1" "{ echo a; /bin/echo b; } >d/group"
cost "dd" "PutObject=1" "dd if=/dev/zero of=d/dd bs=1k count=100 status=none"
cost "a pipe >file" "PutObject=1" "seq 1 1000 | sort >d/sorted"
# The old object is there until the command has something to say.
s3d_reset
bash -c "cd '$MNT' && { /usr/bin/python3 '$SOURCE_DIR/tests/lib/s3.py' get d/sorted '$SCRATCH/then' && echo new; } >d/sorted" || fail "a command >file"
equal "the old object while the command ran" 1000 "$(wc -l <"$SCRATCH/then")"
equal "and then the new one" new "$(cat "$MNT/d/sorted")"
unmount_fs
