#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# flock(2) and fcntl(2) locks hold between the processes of this host.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
echo x >"$MNT/f"
/usr/bin/python3 - "$MNT/f" <<'P' || fail "see above"
import errno, fcntl, os, sys
path = sys.argv[1]
def in_child(fn):
    pid = os.fork()
    if pid == 0:
        with open(path, "r+") as f:
            try:
                fn(f)
            except OSError as e:
                os._exit(e.errno)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
busy = (errno.EAGAIN, errno.EACCES)
mine = open(path, "r+")
exclusive = lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
shared = lambda f: fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
assert in_child(exclusive) == 0
fcntl.flock(mine, fcntl.LOCK_SH)
assert in_child(shared) == 0 and in_child(exclusive) in busy
fcntl.flock(mine, fcntl.LOCK_EX)
assert in_child(shared) in busy
fcntl.flock(mine, fcntl.LOCK_UN)
assert in_child(exclusive) == 0
first = lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
second = lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)
fcntl.lockf(mine, fcntl.LOCK_EX, 10, 0)
assert in_child(first) in busy and in_child(second) == 0
fcntl.lockf(mine, fcntl.LOCK_UN, 10, 0)
assert in_child(first) == 0
P
unmount_fs
