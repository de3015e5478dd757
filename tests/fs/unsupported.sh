#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is not there says so with the errno that POSIX or Linux has for it, and alters nothing.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
echo x >"$MNT/f"
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import ctypes, errno, os, stat, sys
os.chdir(sys.argv[1])
def refuses(codes, fn, *a):
    try:
        fn(*a)
    except OSError as e:
        assert e.errno in codes, (fn, a, "got", errno.errorcode[e.errno])
    else:
        raise AssertionError((fn, a, "succeeded"))
refuses((errno.EPERM,), os.link, "f", "hard")
refuses((errno.EPERM,), os.mknod, "dev", stat.S_IFCHR | 0o600, os.makedev(1, 3))
refuses((errno.EPERM,), os.mknod, "dev", stat.S_IFBLK | 0o600, os.makedev(7, 0))
refuses((errno.EOPNOTSUPP,), os.setxattr, "f", "system.posix_acl_access", b"value")
refuses((errno.EOPNOTSUPP, errno.EPERM), os.setxattr, "f", "security.name", b"value")  # EPERM: the kernel, to users
refuses((errno.EPERM, errno.EOPNOTSUPP), os.setxattr, "f", "trusted.name", b"value")
refuses((errno.ENODATA,), os.getxattr, "f", "user.name")
refuses((errno.ENAMETOOLONG,), os.mkdir, "n" * 256)
libc = ctypes.CDLL(None, use_errno=True)
def rename(flags):
    if libc.renameat2(-100, b"f", -100, b"g", flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")
refuses((errno.EINVAL,), rename, 1 << 10)
refuses((errno.ENOTDIR,), os.mkdir, "f/d")
refuses((errno.EEXIST,), os.mkdir, "f")
refuses((errno.ENOENT,), os.rmdir, "absent")
refuses((errno.ENOTDIR,), os.rmdir, "f")
refuses((errno.ENOENT,), os.unlink, "absent")
os.mkdir("d"); open("d/x", "w").close()
refuses((errno.ENOTEMPTY,), os.rmdir, "d")
refuses((errno.EISDIR,), os.unlink, "d")
refuses((errno.EISDIR,), os.open, "d", os.O_WRONLY)
refuses((errno.ENOENT,), os.open, "absent", os.O_RDONLY)
refuses((errno.ENOTDIR,), os.open, "f", os.O_RDONLY | os.O_DIRECTORY)
assert open("f").read() == "x\n" and sorted(os.listdir(".")) == ["d", "f"]
P
unmount_fs
equal "keys" "d/ d/x f" "$(s3 keys | paste -sd ' ' -)"
