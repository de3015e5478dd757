#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A newer Ceph than the machine's own, unpacked into a folder: the gateway of Debian testing.

    rgw_root.py [DIR]      makes DIR (or completes it) and prints it; a ready one costs nothing

The packages are chosen by apt with an empty state of its own (nothing of this machine's package state
is read or changed; its package sources say where Debian is), then unpacked without running any of
their scripts. Signatures are checked; the age of the list is not, for a mirror may be frozen.
About 160 MB to download, 0.6 GB on disk. Needs root, since rgw.py runs it by chroot.
Default: $XDG_CACHE_HOME/pailfs-tests/rgw20, for root /var/cache/pailfs-tests/rgw20.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

SUITE = "forky"
PACKAGES = ["ceph-mon", "ceph-osd", "radosgw", "ceph-common", "python3-rados", "libc-bin"]
DEVICES = (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9))


def default_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or "/var/cache"
    return os.path.join(cache, "pailfs-tests", "rgw20")


def mirror():
    """Whatever this machine uses for Debian itself."""
    found = []
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*") + ["/etc/apt/sources.list"]):
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except OSError:
            continue
        if path.endswith(".sources"):
            found += re.findall(r"^URIs:\s*(\S+)", text, re.M)
        else:
            found += re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)", text, re.M)
    found = [u for u in found if u.startswith(("http://", "https://", "file:")) and
             re.search(r"/debian/?$", u)]
    return found[0] if found else "http://deb.debian.org/debian"


def apt_state(folder):
    """An apt of its own below 'folder': no installed packages, one suite."""
    for sub in ("lists/partial", "archives/partial", "etc", "dpkg"):
        os.makedirs(f"{folder}/{sub}", exist_ok=True)
    open(f"{folder}/dpkg/status", "w", encoding="utf-8").close()
    with open(f"{folder}/etc/sources.list", "w", encoding="utf-8") as f:
        f.write(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} {SUITE} main\n")
    return ["-q", "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache::archives={folder}/archives",
            "-o", f"Dir::State::status={folder}/dpkg/status", "-o", f"Dir::Etc::sourcelist={folder}/etc/sources.list",
            "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::Etc::preferences=-", "-o", "Dir::Etc::preferencesparts=-",
            "-o", f"Dir::Cache::pkgcache={folder}/pkg.bin", "-o", f"Dir::Cache::srcpkgcache={folder}/src.bin",
            "-o", f"Dir::State::extended_states={folder}/extended",
            "-o", "APT::Sandbox::User=root", "-o", "APT::Install-Recommends=false", "-o", "Acquire::Retries=3",
            "-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Languages=none",
            "-o", "Debug::NoLocking=1", "-o", "Dpkg::Use-Pty=0"]


def run(*command):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       stdin=subprocess.DEVNULL, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    if p.returncode:
        sys.exit(f"rgw_root.py: {' '.join(command[:1] + command[-3:])}: {p.stdout.strip()[-1500:]}")


def unpack(root, archives):
    # /usr is merged there; the links come from a package's script, which does not run.
    for link in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(f"{root}/usr/{link}", exist_ok=True)
        os.symlink(f"usr/{link}", f"{root}/{link}")
    for deb in sorted(glob.glob(f"{archives}/*.deb")):
        data = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        rc = subprocess.call(["tar", "-x", "-C", root, "--keep-directory-symlink",
                              "--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*",
                              "--exclude=./usr/share/locale/*"], stdin=data.stdout)
        data.stdout.close()
        if data.wait() or rc:
            sys.exit(f"rgw_root.py: {os.path.basename(deb)} does not unpack")


def furnish(root):
    """What scripts of packages would have made, as far as the daemons need it."""
    for sub in ("dev", "proc", "tmp", "run", "etc", "var/lib/ceph/crash"):
        os.makedirs(f"{root}/{sub}", exist_ok=True)
    for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n"),
                       ("hosts", "127.0.0.1 localhost\n"),
                       ("os-release", f"ID=debian\nVERSION_CODENAME={SUITE}\n")):
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as f:
            f.write(text)
    for name, minor in DEVICES:
        if not os.path.exists(f"{root}/dev/{name}"):
            os.mknod(f"{root}/dev/{name}", 0o20666, os.makedev(1, minor))
            os.chmod(f"{root}/dev/{name}", 0o666)
    run("chroot", root, "/sbin/ldconfig")
    run("chroot", root, "/usr/bin/radosgw", "--version")


def ensure(folder):
    ready = folder + "/.ready"
    if os.path.exists(ready):
        return
    if os.geteuid() != 0:
        sys.exit("rgw_root.py: needs root (chroot)")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second finds it ready
        if os.path.exists(ready):
            return
        work = folder + ".work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(work + "/root", ignore_errors=True)
        os.makedirs(work + "/root")
        apt = apt_state(work)
        run("apt-get", *apt, "update")
        run("apt-get", *apt, "install", "-y", "--download-only", *PACKAGES)
        unpack(work + "/root", work + "/archives")
        furnish(work + "/root")
        open(work + "/root/.ready", "w", encoding="utf-8").close()
        os.rename(work + "/root", folder)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1].startswith("-")):
        sys.exit(__doc__)
    FOLDER = os.path.abspath(sys.argv[1] if len(sys.argv) == 2 else default_folder())
    ensure(FOLDER)
    print(FOLDER)
