#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Ceph RADOS Gateway on loopback for tests: one monitor, one OSD in memory, one gateway.

    rgw.py start DIR     makes DIR, starts everything, writes DIR/env (shell exports), prints DIR
    rgw.py stop DIR      ends exactly the processes that start recorded, removes DIR
    rgw.py gateway DIR kill|start|freeze|thaw     the gateway alone: outages with the data kept

Authentication between the daemons is off, nothing listens beyond 127.0.0.1, no systemd and no
manager daemon are involved, and the data live in memory: about one second to start.
Options by environment: RGW_DEBUG=LEVEL (gateway log in DIR/log/rgw.out), RGW_STORE_GB (8),
CEPH_ROOT=FOLDER (run the Ceph that rgw_root.py unpacked there, by chroot; root only).
"""
import os
import random
import signal
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

ACCESS_KEY = "pailfs0test0access00"
SECRET_KEY = "pailfs0test0secret0000000000000000000000"
POOLS = [".rgw.root"] + ["default.rgw." + p for p in (
    "log", "control", "meta", "buckets.index", "buckets.data", "buckets.non-ec")]
QUIET = ("none ms auth monc mon paxos osd optracker objecter objclass filestore bluestore bluefs "
         "bdev rocksdb rados tp throttle perfcounter asok").split()

CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
# The gateway insists on encryption towards the monitor, which needs the authentication above.
ms mon client mode = crc
ms bind ipv6 = false
ms bind msgr1 = false
ms crc data = false
ms crc header = false
ms async op threads = 1
ms dispatch throttle bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
# The default makes the creation of several small pools fail now and then.
mon max pg per osd = 10000
run dir = {dir}/run
admin socket = {dir}/run/$name.asok
crash dir = {dir}/run
log file = {dir}/log/$name.log
keyring = {dir}/keyring
{quiet}
debug rgw = {rgw_debug}
[mon]
mon data = {dir}/mon/$id
mon data avail warn = 1
mon data avail crit = 0
mon osd min down reporters = 1
mon cluster log to file = false
mon warn on insecure global id reclaim allowed = false
mon tick interval = 1
paxos propose interval = 0.05
paxos min wait = 0.01
[osd]
osd data = {dir}/osd/$id
osd objectstore = memstore
memstore device bytes = {store_bytes}
osd class load list = *
osd class default list = *
osd op num shards = 2
osd op num threads per shard = 1
osd enable op tracker = false
osd op queue = wpq
osd client message size cap = 1073741824
[client]
# An operation sent before the OSD is up waits for this tick; 5 s by default.
objecter tick interval = 0.25
rgw frontends = beast endpoint=127.0.0.1:{s3_port} tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 8
rgw max concurrent requests = 1024
rgw enable usage log = false
rgw enable ops log = false
rgw gc obj min wait = 1
rgw gc processor period = 10
rgw enable lc threads = false
rgw enable quota threads = false
rgw run sync thread = false
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw num control oids = 1
rgw data log num shards = 1
rgw md log max shards = 1
rgw gc max objs = 1
rgw objexp hints num shards = 1
rgw lc max objs = 1
rgw crypt require ssl = false
rgw relaxed s3 bucket names = false
"""


def die(text, folder=None):
    print("rgw.py: " + text, file=sys.stderr)
    if folder:
        for name in sorted(os.listdir(folder + "/log")):
            if name.endswith(".out"):
                with open(f"{folder}/log/{name}", errors="replace") as f:
                    for line in f.readlines()[-8:]:
                        print(f"  {name}: {line.rstrip()}", file=sys.stderr)
        stop(folder)
    sys.exit(1)


def free_ports(n):
    """Below those that the kernel gives to connections: nobody takes them before the daemons do."""
    held = []
    while len(held) < n:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(10000, 32768)))
            held.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


# The namespace begins with a copy of every mount of the machine, and would keep those of other tests
# busy for as long as it lives: it gives them all up, by making the new root its only one.
ENTER = """
import ctypes, os, sys
root, folder = sys.argv[1:3]
program = sys.argv[3] if "/" in sys.argv[3] else "/usr/bin/" + sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *args):
    if getattr(libc, name)(*args):
        sys.exit("%s: %s" % (name, os.strerror(ctypes.get_errno())))

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH, PIVOT_ROOT = 0x20000, 4096, 16384, 1 << 18, 2, 155
if os.uname().machine == "aarch64":
    PIVOT_ROOT = 41
call("unshare", CLONE_NEWNS)
call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
call("mount", root.encode(), root.encode(), None, ctypes.c_ulong(MS_BIND), None)
call("mount", folder.encode(), (root + folder).encode(), None, ctypes.c_ulong(MS_BIND), None)
os.chdir(root)
call("syscall", ctypes.c_long(PIVOT_ROOT), b".", b".")
call("umount2", b".", MNT_DETACH)
os.chdir("/")
os.execv(program, sys.argv[3:])  # nothing may be imported any more: this Python's files are gone
"""


def in_root(folder, command):
    """The command inside the other root, where the cluster's folder is to be seen under its own
    path. The bind mounts live in a mount namespace of the process: nothing is left to be undone."""
    try:
        with open(folder + "/root", encoding="utf-8") as f:
            root = f.read()
    except FileNotFoundError:
        return command
    return ("/usr/bin/python3", "-c", ENTER, root, folder) + tuple(command)


def run(folder, name, *command):
    command = in_root(folder, command)
    with open(f"{folder}/log/{name}.out", "ab") as out:
        return subprocess.call(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def spawn(folder, name, *command):
    command = in_root(folder, command)
    with open(f"{folder}/log/{name}.out", "ab") as out:
        p = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                             start_new_session=True)
    with open(folder + "/pids", "a") as f:
        f.write(f"{name} {p.pid}\n")
    return p


def recorded(folder):
    try:
        with open(folder + "/pids") as f:
            return [(line.split()[0], int(line.split()[1])) for line in f]
    except FileNotFoundError:
        return []


def ours(folder, pid):
    """A recorded number may belong to somebody else by now: its command line must name us."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return (folder + "/ceph.conf").encode() in f.read()
    except OSError:
        return False


def stop(folder):
    pids = [pid for _, pid in recorded(folder)]
    for pid in reversed(pids):
        if ours(folder, pid):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(ours(folder, pid) for pid in pids), 60)
    try:
        with open(folder + "/root", encoding="utf-8") as f:
            os.removedirs(f.read() + folder)  # as far up as it is empty
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)


def until(fn, seconds, pause=0.02):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as r:
            return r.status == 200
    except (urllib.error.URLError, OSError):
        return False


# Everything that must be asked of the monitor, over one connection, by a Python of the cluster's own
# release. Says "new" when the OSD may start, and "up" when it has and the pools are made.
MONITOR = """
import json, rados, sys, threading, time
conf, osd_uuid, pools = sys.argv[1], sys.argv[2], sys.argv[3:]
cluster = rados.Rados(conffile=conf, rados_id="admin")
cluster.connect(timeout=100)

def command(**kw):
    rc, out, err = cluster.mon_command(json.dumps(dict(kw, format="json")), b"", timeout=100)
    if rc:
        sys.exit("%s: %s %s" % (kw, rc, err))
    return json.loads(out) if out.strip() else {}

if command(prefix="osd new", uuid=osd_uuid)["osdid"] != 0:
    sys.exit("the first OSD did not get number 0")
print("new", flush=True)
end = time.monotonic() + 100
while command(prefix="osd stat").get("num_up_osds") != 1:
    if time.monotonic() > end:
        sys.exit("the OSD did not come up")
    time.sleep(0.02)
failed = []

def make(pool):
    try:
        cluster.create_pool(pool)
    except Exception as e:
        failed.append("%s: %r" % (pool, e))

threads = [threading.Thread(target=make, args=(p,)) for p in pools]
for t in threads:
    t.start()
for t in threads:
    t.join()
if failed:
    sys.exit("; ".join(failed))
print("up", flush=True)
"""


def osd_and_pools(folder, osd_uuid, start_osd):
    command = in_root(folder, ("/usr/bin/python3", "-c", MONITOR, folder + "/ceph.conf", osd_uuid) +
                      tuple(POOLS))
    with open(folder + "/log/monitor.out", "ab") as out:
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, stdin=subprocess.DEVNULL,
                             text=True)
        guard = threading.Timer(300, p.kill)  # a monitor that does not answer must not hang us
        guard.start()
        ok = p.stdout.readline() == "new\n"
        if ok:
            start_osd()
            ok = p.stdout.readline() == "up\n"
        rc = p.wait()
        guard.cancel()
    if rc or not ok:
        raise RuntimeError("the OSD or its pools could not be made")


def start(folder):
    folder = os.path.abspath(folder)
    if os.path.exists(folder + "/pids"):
        die(f"'{folder}' already holds a cluster: stop it first")
    for sub in ("mon", "osd/0", "log", "run"):
        os.makedirs(f"{folder}/{sub}", mode=0o700, exist_ok=True)
    root = os.environ.get("CEPH_ROOT")
    if root:
        os.makedirs(root + folder, exist_ok=True)
        with open(folder + "/root", "w", encoding="utf-8") as f:
            f.write(root)
    mon_port, s3_port = free_ports(2)
    fsid, osd_uuid = str(uuid.uuid4()), str(uuid.uuid4())
    conf = folder + "/ceph.conf"
    with open(conf, "w") as f:
        f.write(CONF.format(fsid=fsid, mon_port=mon_port, s3_port=s3_port, dir=folder,
                            quiet="\n".join(f"debug {q} = 0/0" for q in QUIET),
                            rgw_debug=os.environ.get("RGW_DEBUG", "0/0"),
                            store_bytes=int(os.environ.get("RGW_STORE_GB", "8")) << 30))
    with open(folder + "/keyring", "w") as f:
        f.write("[client.admin]\n\tkey = AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==\n")
    os.environ["TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES"] = str(128 << 20)
    # --addv names the monitor: made from "mon host" alone it would be nameless, without a quorum.
    if run(folder, "monmap", "monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a",
           f"[v2:127.0.0.1:{mon_port}]", folder + "/monmap") != 0:
        die("monmaptool failed", folder)
    if run(folder, "mkfs-mon", "ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap",
           folder + "/monmap") != 0:
        die("ceph-mon --mkfs failed", folder)
    spawn(folder, "mon", "ceph-mon", "-c", conf, "-i", "a", "-f")
    if run(folder, "mkfs-osd", "ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd_uuid,
           "--no-mon-config") != 0:
        die("ceph-osd --mkfs failed", folder)
    try:
        osd_and_pools(folder, osd_uuid,
                      lambda: spawn(folder, "osd", "ceph-osd", "-c", conf, "-i", "0", "-f"))
    except Exception as e:
        die(str(e), folder)
    for attempt in range(20):
        if run(folder, "user", "radosgw-admin", "-c", conf, "user", "create", "--uid=test",
               "--display-name=test", "--access-key=" + ACCESS_KEY,
               "--secret-key=" + SECRET_KEY) == 0:
            break
        if attempt == 19:
            die("radosgw-admin user create failed", folder)
        time.sleep(0.2)
    gateway = spawn(folder, "rgw", "radosgw", "-c", conf, "-n", "client.admin", "-f")
    if not until(lambda: answers(s3_port) or gateway.poll() is not None, 150) \
            or gateway.poll() is not None:
        die("radosgw did not answer", folder)
    with open(folder + "/env", "w") as f:
        f.write(f"export S3_ENDPOINT=http://127.0.0.1:{s3_port}\n"
                f"export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}\n"
                "export AWS_DEFAULT_REGION=us-east-1\n")
    print(folder)


def gateway_action(folder, action):
    folder = os.path.abspath(folder)
    pid = [p for name, p in recorded(folder) if name == "rgw"][-1]
    if action == "kill":
        if ours(folder, pid):
            os.kill(pid, signal.SIGKILL)
        if not until(lambda: not ours(folder, pid), 60):
            sys.exit("rgw.py: the gateway did not end")
    elif action in ("freeze", "thaw"):
        os.kill(pid, signal.SIGSTOP if action == "freeze" else signal.SIGCONT)
    elif action == "start":
        spawn(folder, "rgw", "radosgw", "-c", folder + "/ceph.conf", "-n", "client.admin", "-f")
        with open(folder + "/env") as f:
            port = int(f.readline().rsplit(":", 1)[1])
        if not until(lambda: answers(port), 100):
            sys.exit("rgw.py: the gateway did not answer")
    else:
        sys.exit(__doc__)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "start":
        start(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "stop":
        stop(os.path.abspath(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "gateway":
        gateway_action(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
