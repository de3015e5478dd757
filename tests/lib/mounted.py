# SPDX-License-Identifier: Apache-2.0
"""A server, buckets and mounts for tests in Python; lib/common.sh is the same for the shell.

    bed = mounted.Bed()                  the server of $TEST_SERVER (s3d is started, RGW is shared);
                                         from here on only $SCRATCH can be written to (confine.py)
    mount = bed.mount("allow_other")     a new bucket, mounted at $SCRATCH/mnt; the log beside it
    mount.unmount(); mount.mount()       waits for the daemon's end; again with the same options
    bed.s3                               boto3
    bed.close()                          unmounts everything, ends the server

By hand after a build: SOURCE_DIR=$PWD BUILD_DIR=$PWD/build/tests TEST_SERVER=s3d SCRATCH=$(mktemp -d) PROGRAM
"""
import glob
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config

import confine

SCRATCH = os.environ.get("SCRATCH", "")
BUILD = os.environ.get("BUILD_DIR", "")
KEY, SECRET = "testaccesskey", "testsecretkey"


def poll(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return bool(condition())  # the machine may have stood still since
        time.sleep(0.02)
    return True


def tail(path, lines=25):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError:
        return ""


class Bed:
    def __init__(self, *server_options):
        if not SCRATCH or not BUILD:
            sys.exit("run this through tests/run.sh, or see lib/mounted.py")
        confine.enter()
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        os.environ.setdefault("XDG_CACHE_HOME", SCRATCH + "/cache")
        self.kind = os.environ.get("TEST_SERVER", "s3d")
        self.mounts = []
        self.server = None
        self.n_buckets = 0
        self.tag = os.urandom(6).hex()
        if self.kind == "rgw":
            self._environment(os.environ["RGW_DIR"] + "/env")
        else:
            self._start_s3d(server_options)
        self.s3 = boto3.client(
            "s3", endpoint_url=self.endpoint,
            config=botocore.config.Config(s3={"addressing_style": "path"},
                                          retries={"max_attempts": 5}))

    def _environment(self, path):
        with open(path) as f:
            for word in f.read().split():
                name, eq, value = word.partition("=")
                if eq:
                    os.environ[name] = value
        self.endpoint = os.environ["S3_ENDPOINT"]

    def _start_s3d(self, options):
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET,
                          AWS_DEFAULT_REGION="us-east-1")
        port_file = SCRATCH + "/s3d.port"
        os.makedirs(SCRATCH + "/s3d", exist_ok=True)
        if os.path.exists(port_file):  # of a program before this one in the same test
            os.unlink(port_file)
        with open(SCRATCH + "/s3d.log", "ab") as log:
            self.server = subprocess.Popen(
                [BUILD + "/tests/s3d/s3d", "--dir", SCRATCH + "/s3d", "--port-file", port_file,
                 "--access-key", KEY, "--secret-key", SECRET, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not poll(60, lambda: os.path.exists(port_file) and os.path.getsize(port_file)):
            sys.exit("s3d did not start: " + tail(SCRATCH + "/s3d.log"))
        with open(port_file) as f:
            self.endpoint = "http://127.0.0.1:" + f.read().strip()
        os.environ["S3_ENDPOINT"] = self.endpoint

    def s3d(self, method, what, body=None):
        """s3d's control URLs: counters, log, reset, faults."""
        request = urllib.request.Request(f"{self.endpoint}/_s3d/{what}", method=method,
                                         data=body.encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            raise AssertionError(f"s3d refused {what}: {e.read().decode()}") from None

    def bucket(self):
        self.n_buckets += 1
        name = f"t{self.tag}-{self.n_buckets}"
        self.s3.create_bucket(Bucket=name)
        return name

    def mount(self, *options, bucket=None, name="mnt"):
        m = Mount(self, bucket or self.bucket(), SCRATCH + "/" + name, options)
        self.mounts.append(m)
        m.mount()
        return m

    def close(self):
        for m in self.mounts:
            m.kill()
        if self.server:
            self.server.terminate()
            self.server.wait()


class Mount:
    def __init__(self, bed, bucket, path, options):
        self.bed, self.bucket, self.path = bed, bucket, path
        self.log = path + ".log"
        self.options = [f"endpoint_url={bed.endpoint},use_path_request_style,log_file={self.log}",
                        *options]
        self.pids = []
        os.makedirs(path, exist_ok=True)

    def mount(self):
        command = [BUILD + "/src/pailfs", self.bucket, self.path]
        for o in self.options:
            command += ["-o", o]
        p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if p.returncode or not os.path.ismount(self.path):
            raise AssertionError(f"mount: exit status {p.returncode}: {p.stdout}{tail(self.log)}")
        self.pids = self._daemons()

    def _daemons(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                    name = f.read().strip()
                # Not /proc/PID/exe: an ordinary user may not read it of a daemon that keeps secrets.
                if self.path.encode() in words and name == "pailfs":
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def _running(self):
        # Files are closed when the last thread has ended, not when the first one is a zombie.
        for stat in (s for pid in self.pids for s in glob.glob(f"/proc/{pid}/task/*/stat")):
            try:
                with open(stat, encoding="utf-8", errors="replace") as f:
                    if f.read().rpartition(")")[2].split()[0] not in "ZX":
                        return True
            except OSError:
                pass
        return False

    def own_descriptors(self):
        found = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                path = os.readlink("/proc/self/fd/" + fd)
            except OSError:
                continue
            if path.startswith(self.path + "/") or path == self.path:
                found.append(f"{fd} is {path}")
        return found

    def unmount(self):
        said = []

        def done():
            p = subprocess.run(["fusermount3", "-u", self.path], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               check=False)
            said[:] = [p.stdout]
            # Somebody else may look at all mounts of the machine just now.
            return p.returncode == 0 or "busy" not in p.stdout or self.own_descriptors()
        if not poll(30, done) or os.path.ismount(self.path):
            raise AssertionError(f"fusermount3: {said[0]}{self.own_descriptors()}")
        if not poll(60, lambda: not self._running()):
            raise AssertionError("the daemon did not end after the unmount: " + tail(self.log))
        self.pids = []

    def kill(self):
        """For the end of a test, whatever state it is in."""
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["fusermount3", "-uzq", self.path], stderr=subprocess.DEVNULL, check=False)
        if not poll(60, lambda: not self._running()):
            raise AssertionError("the daemon did not end after SIGKILL: " + tail(self.log))
        self.pids = []
