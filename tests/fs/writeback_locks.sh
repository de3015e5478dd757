#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# Two hosts with -o writeback: what is a lock has one winner at the call, and who gets it next sees
# all that was written under it; other directories that both have made are one in the end.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_two writeback,metadata_ttl=1,negative_ttl=0,state_dir=@.state

/usr/bin/python3 - "$A" "$B" "$SOURCE_DIR/tests/lib" <<'P' || fail "see above"
import errno, os, sys, threading
sys.path.insert(0, sys.argv[3])
from errnos import error_name, renameat2
a, b = sys.argv[1], sys.argv[2]
NOREPLACE = 1

def race(what, want, *calls):
    answers, ready = [], threading.Barrier(len(calls))
    def run(call):
        ready.wait()
        try:
            call()
            answers.append("ok")
        except OSError as e:
            answers.append(error_name(e.errno))
    threads = [threading.Thread(target=run, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if sorted(answers) != sorted(["ok", want]):
        sys.exit(f"{what}: {answers}")

def exclusive(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))

for m in a, b:
    for i in range(8):
        with open(f"{m}/file{os.path.basename(m)}{i}", "w") as f:
            f.write(m)
        os.mkdir(f"{m}/tree{os.path.basename(m)}{i}")
        exclusive(f"{m}/tree{os.path.basename(m)}{i}/x")
for i in range(8):
    race("mkdir", "EEXIST", lambda: os.mkdir(f"{a}/{i}.lock"), lambda: os.mkdir(f"{b}/{i}.lock"))
    race("open", "EEXIST", lambda: exclusive(f"{a}/lock{i}"), lambda: exclusive(f"{b}/lock{i}"))
    race("symlink", "EEXIST", lambda: os.symlink("a", f"{a}/{i}.pid"), lambda: os.symlink("b", f"{b}/{i}.pid"))
    race("RENAME_NOREPLACE", "EEXIST", lambda: renameat2(f"{a}/filea{i}", f"{a}/one{i}", NOREPLACE),
         lambda: renameat2(f"{b}/fileb{i}", f"{b}/one{i}", NOREPLACE))
    race("rename of a directory", "ENOTEMPTY", lambda: os.rename(f"{a}/treea{i}", f"{a}/{i}.lck"),
         lambda: os.rename(f"{b}/treeb{i}", f"{b}/{i}.lck"))
P

# The content cannot be stored for now; the lock goes after it.
s3d_fault "op=PutObject key=data count=100000 action=status:403"
(set -C && : >"$A/guard.lock") && echo content >"$A/data" && rm "$A/guard.lock" || fail "write under a lock"
equal "the lock is there while its data is not" "guard.lock" "$(s3 keys | grep -e guard -e data)"
refuse "nobody else gets it" sh -C -c ": >'$B/guard.lock'"
s3d_faults_clear
check "flush" "$PAILCTL" flush "$A"
free_again() { (set -C && : >"$B/guard.lock") 2>/dev/null; }
check "the next one" poll 60 free_again
equal "sees what was written" content "$(cat "$B/data")"

# Files in a directory of locks are there for others when they are closed, or have their name.
mkdir "$A/locks" && echo one >"$A/locks/1" && echo two >"$A/tmp" && mv "$A/tmp" "$A/locks/2" || fail "locks"
equal "in S3 at once" "locks/ locks/1 locks/2" "$(s3 keys | grep ^locks | paste -sd ' ' -)"

# Not locks: nobody waits for the store, which takes none of them before both are made.
s3d_fault "op=PutObject key=plain count=100000 action=status:403"
mkdir "$A/plain" && mkdir "$B/plain" && echo a >"$A/plain/a" && echo b >"$B/plain/b" || fail "two mkdirs"
s3d_faults_clear
check "flush" "$PAILCTL" flush "$A"
check "flush" "$PAILCTL" flush "$B"
equal "one directory" "plain/ plain/a plain/b" "$(s3 keys | grep plain | paste -sd ' ' -)"
unmount_fs "$A"
unmount_fs "$B"
if grep conflict "$A.log" "$B.log"; then fail "conflicts"; fi
