# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is run on: a server with an injected distance, the contenders, and the meters."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

KEY, SECRET = "benchaccesskey", "benchsecretkey"
RATE = "90M"  # bytes per second that one S3 connection gives
DEADLINE = 60


def environment(endpoint, bucket):
    env = dict(os.environ)
    env.update(AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
               S3_ENDPOINT=endpoint, BUCKET=bucket, LC_ALL="C.UTF-8")
    env.pop("AWS_CA_BUNDLE", None)  # rclone cannot take one
    env.setdefault("AWS_ACCESS_KEY_ID", KEY)
    env.setdefault("AWS_SECRET_ACCESS_KEY", SECRET)
    return env


def poll(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {DEADLINE} s")
        time.sleep(0.01)


def drop_caches():
    """The page cache; names stay, what a workload has listed is to be known."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("1")


class Server:
    """s3d at a distance of rtt milliseconds; or, with a URL, one that is there already."""

    def __init__(self, build, folder, rtt, url=None):
        self.process, self.url, self.rtt = None, url, rtt
        if url:
            return
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = KEY, SECRET
        port_file = os.path.join(folder, f"port.{rtt}")
        if os.path.exists(port_file):
            os.unlink(port_file)
        args = [f"{build}/tests/s3d/s3d", "--dir", f"{folder}/s3d", "--port-file", port_file,
                "--access-key", KEY, "--secret-key", SECRET]
        if rtt:
            args += ["--first-byte-delay", str(rtt), "--rate", RATE]
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL)
        poll(lambda: os.path.exists(port_file) and os.path.getsize(port_file) > 0, "the server's port")
        with open(port_file) as f:
            self.url = f"http://127.0.0.1:{f.read().strip()}"

    def requests(self):
        if not self.process:
            return 0
        with urllib.request.urlopen(self.url + "/_s3d/counters") as r:
            for line in r.read().decode().splitlines():
                name, _, value = line.partition(" ")
                if name == "requests":
                    return int(value)
        return 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Contender:
    """A program that mounts the bucket; by default one that stays in the foreground."""
    name = ""
    options = ()

    def __init__(self, build, server, bucket, folder):
        self.build, self.server, self.bucket = build, server, bucket
        self.folder = tempfile.mkdtemp(prefix=f"{self.name}.", dir=folder)
        self.mnt = os.path.join(self.folder, "mnt")
        self.env = environment(server.url, bucket)
        self.env.update(HOME=self.folder, XDG_CACHE_HOME=os.path.join(self.folder, "cache"))
        self.process = None
        os.makedirs(self.mnt)

    def command(self):
        raise NotImplementedError

    def mount(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(self.command(), env=self.env, stdout=log, stderr=log)

        def ready():
            if self.process.poll() is not None:
                with open(os.path.join(self.folder, "log"), errors="replace") as f:
                    raise RuntimeError(f"{self.name} ended: {f.read()[-500:]}")
            return os.path.ismount(self.mnt)
        poll(ready, f"the mount of {self.name}")
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as f:
            f.write("5")

    def unmount(self):
        subprocess.run(["umount", self.mnt], check=False, stderr=subprocess.DEVNULL)
        if os.path.ismount(self.mnt):
            subprocess.run(["umount", "-l", self.mnt], check=False)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_rss(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


class Pailfs(Contender):
    name = "pailfs"

    def command(self):
        extra = [a for o in self.options for a in ("-o", o)]
        return [f"{self.build}/src/pailfs", "-f", self.bucket, self.mnt, "-o",
                f"endpoint_url={self.server.url}", *extra]


class S3fs(Contender):
    name = "s3fs"

    def command(self):
        passwd = os.path.join(self.folder, "passwd")
        with open(passwd, "w") as f:
            f.write(f"{self.env['AWS_ACCESS_KEY_ID']}:{self.env['AWS_SECRET_ACCESS_KEY']}\n")
        os.chmod(passwd, 0o600)
        return ["s3fs", self.bucket, self.mnt, "-f", "-o", f"url={self.server.url}", "-o",
                "use_path_request_style", "-o", f"passwd_file={passwd}"]


class Rclone(Contender):
    name = "rclone"

    def command(self):
        self.env.update(RCLONE_CONFIG_B_TYPE="s3", RCLONE_CONFIG_B_PROVIDER="Other",
                        RCLONE_CONFIG_B_ENV_AUTH="true", RCLONE_CONFIG_B_ENDPOINT=self.server.url,
                        RCLONE_CONFIG_B_REGION="us-east-1")
        return ["rclone", "mount", f"b:{self.bucket}", self.mnt, "--vfs-cache-mode", "writes",
                "--config", "/dev/null"]


CONTENDERS = {c.name: c for c in (Pailfs, S3fs, Rclone)}


def versions(build):
    """Who took part, for the report."""
    def first(*args):
        try:
            out = subprocess.run(args, capture_output=True, text=True, check=False).stdout
            return out.splitlines()[0].strip() if out else ""
        except OSError:
            return ""
    return {"pailfs": first(f"{build}/src/pailfs", "--version"), "s3fs": first("s3fs", "--version"),
            "rclone": first("rclone", "version")}


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    return {"cpus": os.cpu_count(), "model": model.group(1) if model else "?",
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": os.uname().release, "date": time.strftime("%Y-%m-%d", time.gmtime())}


def save(path, data):
    with open(path, "w") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
