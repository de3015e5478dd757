# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is run on: a server at a distance, and the meters of processes."""
import ctypes
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

KEY, SECRET = "benchaccesskey", "benchsecretkey"
RATE = 90_000_000  # bytes per second that one S3 connection gives
DEADLINE = 60
HERE = os.path.dirname(os.path.abspath(__file__))


def poll(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.005)


def drop_caches():
    """The page cache; names stay, what a workload has listed is to be known."""
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("1")


def ends_with_us():
    """For a child: should the benchmark be killed, nothing is left behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def start(command, **more):
    """In a session of its own: Ctrl-C is for us, who then unmount before the server ends."""
    return subprocess.Popen(command, start_new_session=True, preexec_fn=ends_with_us, **more)


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def reset_peak_rss(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def peak_rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


def ended(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """s3d, or one that is there already (url), or a Ceph gateway of its own (rgw). `distance` puts it rtt milliseconds
    away: s3d waits before each answer and caps each connection; with proxy=True, and for other servers, a program in
    between delays and caps all bytes. Without a distance it is `near`: to fill buckets and look at them."""

    def __init__(self, build, folder, store, url=None, rgw=False, proxy=False, tls=False, rate=RATE):
        self.build, self.folder, self.store, self.rate = build, folder, store, rate
        self.s3d, self.rgw, self.proxy, self.pids = None, None, None, []
        self.proxied, self.tls, self.rtt = proxy, tls, 0
        self.page_delay = 0
        if tls:
            self.make_certificate()
        if url:
            self.near_url, self.name = url, "other"
        elif rgw:
            self.start_rgw()
        else:
            self.start_s3d()
        # Only s3d has a distance, and TLS, of its own.
        self.through = proxy or not self.s3d
        self.url = self.near_url

    def start_s3d(self):
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = KEY, SECRET
        port_file = os.path.join(self.folder, "port")
        direct_tls = self.tls and not self.proxied
        args = [f"{self.build}/tests/s3d/s3d", "--dir", self.store, "--port-file", port_file,
                "--access-key", KEY, "--secret-key", SECRET]
        if direct_tls:
            args += ["--tls", self.certificate, self.key]
        self.s3d = start(args, stdout=subprocess.DEVNULL)
        self.pids, self.name = [self.s3d.pid], "s3d"
        poll(lambda: os.path.exists(port_file) and os.path.getsize(port_file) > 0, "the server's port")
        with open(port_file) as f:
            self.near_url = f"http{'s' if direct_tls else ''}://127.0.0.1:{f.read().strip()}"

    def start_rgw(self):
        self.rgw, self.name = os.path.join(self.folder, "rgw"), "rgw"
        subprocess.run(["/usr/bin/python3", f"{HERE}/../lib/rgw.py", "start", self.rgw], check=True,
                       stdout=subprocess.DEVNULL)
        with open(f"{self.rgw}/env") as f:
            words = dict(w.split("=", 1) for w in f.read().split() if "=" in w)
        os.environ.update(words)
        self.near_url = words["S3_ENDPOINT"]
        with open(f"{self.rgw}/pids") as f:
            self.pids = [int(line.split()[1]) for line in f]

    def make_certificate(self):
        self.key, self.certificate = f"{self.folder}/tls.key", f"{self.folder}/tls.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=pailfs benchmark", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", self.key, "-out",
                        self.certificate], check=True, stderr=subprocess.DEVNULL)

    def environment(self, bucket, near=False):
        env = dict(os.environ)
        env.update(AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
                   S3_ENDPOINT=self.near_url if near else self.url, BUCKET=bucket, LC_ALL="C.UTF-8")
        env.pop("AWS_CA_BUNDLE", None)  # rclone cannot take one
        if self.tls:
            env["CURL_CA_BUNDLE"] = self.certificate
        return env

    # ---- where it is

    def distance(self, rtt):
        """From now on `far` is this far; a mount that is to see it is made afterwards."""
        self.rtt = rtt
        if self.through:
            self.stop_proxy()
            self.url = self.near_url
            if rtt or self.tls:
                self.start_proxy(rtt)
        self.far()

    def start_proxy(self, rtt):
        port_file = os.path.join(self.folder, "proxy.port")
        if os.path.exists(port_file):
            os.unlink(port_file)
        args = [f"{self.build}/tests/bench/distance", "-p", port_file, "-d", str(rtt / 2),
                "-o", os.path.join(self.folder, "proxy.counters")]
        if rtt:
            args += ["-r", str(self.rate)]
        if self.tls:
            args += ["-c", self.certificate, "-k", self.key]
        host = self.near_url.split("://", 1)[1].rstrip("/")
        self.proxy = start([*args, host], stdout=subprocess.DEVNULL)
        poll(lambda: os.path.exists(port_file) and os.path.getsize(port_file) > 0, "the proxy's port")
        with open(port_file) as f:
            self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{f.read().strip()}"

    def stop_proxy(self):
        if self.proxy:
            ended(self.proxy)
            self.proxy = None

    def near(self):
        if self.s3d and not self.through:
            self.settings(**{"first-byte-delay": 0, "rate": 0})

    def far(self):
        if self.s3d and not self.through:
            self.settings(**{"first-byte-delay": self.rtt, "rate": self.rate if self.rtt else 0})

    # ---- s3d's own interface

    def control(self, what, data=None, method=None):
        request = urllib.request.Request(f"{self.near_url}/_s3d/{what}", data=data, method=method)
        context = None
        if self.near_url.startswith("https:"):
            import ssl
            context = ssl.create_default_context(cafile=self.certificate)
        with urllib.request.urlopen(request, context=context) as r:
            return r.read().decode()

    def settings(self, **words):
        self.control("settings?" + "&".join(f"{k}={v}" for k, v in words.items()), b"", "POST")

    def opaque(self, on):
        """Whether ETags are no MD5, as with SSE-KMS: copies then cost the server nothing."""
        if self.s3d:
            self.settings(**{"opaque-etag": int(on)})

    def faults(self, rules):
        """The rules hold until the next call."""
        if self.s3d:
            self.control("faults", method="DELETE")
            if rules:
                self.control("faults", "\n".join(rules).encode(), "POST")

    def reset(self):
        if self.s3d:
            self.control("reset", b"", "POST")

    def counters(self):
        """{} of other servers."""
        result = {}
        if self.s3d:
            for line in self.control("counters").splitlines():
                name, _, value = line.partition(" ")
                result[name] = int(value)
        if self.proxy:
            self.proxy.send_signal(signal.SIGUSR1)
            path = os.path.join(self.folder, "proxy.counters")
            before = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
            try:
                poll(lambda: os.path.exists(path) and os.stat(path).st_mtime_ns != before, "counters", 0.5)
            except TimeoutError:
                pass
            if os.path.exists(path):
                with open(path) as f:
                    result.update({k: int(v) for k, v in (line.split() for line in f)})
        return result

    def stop(self):
        self.stop_proxy()
        if self.s3d:
            ended(self.s3d)
        if self.rgw:
            subprocess.run(["/usr/bin/python3", f"{HERE}/../lib/rgw.py", "stop", self.rgw], check=False)


def versions(build):
    """Who took part, for the report."""
    def first(*args):
        try:
            out = subprocess.run(args, capture_output=True, text=True, check=False).stdout
            return out.splitlines()[0].strip() if out else ""
        except OSError:
            return ""
    commit = first("git", "-C", HERE, "rev-parse", "--short", "HEAD")
    return {"pailfs": " ".join(x for x in (first(f"{build}/src/pailfs", "--version"), commit and f"({commit})") if x),
            "s3fs": first("s3fs", "--version"), "rclone": first("rclone", "version")}


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    return {"cpus": os.cpu_count(), "model": model.group(1) if model else "?",
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": ".".join(os.uname().release.split(".")[:2]), "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "load": round(os.getloadavg()[0], 2)}


def save(path, data):
    with open(path + ".new", "w") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)
