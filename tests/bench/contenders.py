# SPDX-License-Identifier: Apache-2.0
"""The programs that mount the bucket, each kept in the foreground. One that is not here is added as a class."""
import os
import shutil
import signal
import subprocess
import tempfile
import threading

import bed


class Cut(Exception):
    """It took longer than it may."""


class Contender:
    name = ""
    late = False  # its close does not wait for the server

    def __init__(self, build, server, bucket, folder, load=None):
        self.build, self.server, self.bucket = build, server, bucket
        self.folder = tempfile.mkdtemp(prefix=f"{self.name}.", dir=folder)
        self.mnt = os.path.join(self.folder, "mnt")
        self.env = server.environment(bucket)
        self.env.update(HOME=self.folder, XDG_CACHE_HOME=os.path.join(self.folder, "cache"),
                        XDG_RUNTIME_DIR=self.folder)
        self.options = load.options.get(self.name, ()) if load else ()
        self.durable = load.durable if load else False
        self.process, self.cut, self.timer = None, False, None
        os.makedirs(self.mnt)

    def command(self):
        raise NotImplementedError

    def mount(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = bed.start(self.command(), env=self.env, stdout=log, stderr=log)

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.log()}")
            return os.path.ismount(self.mnt)
        bed.poll(ready, f"the mount of {self.name}")
        bed.reset_peak_rss(self.process.pid)

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()[-400:]

    def unmount(self):
        if not self.process:
            return
        for command in (["umount", self.mnt], ["umount", "-l", self.mnt]):
            if os.path.ismount(self.mnt):
                subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        try:
            self.process.wait(bed.DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- a time limit, on whatever is being done in the mount

    def limit_time(self, seconds):
        def end():
            self.cut = True
            self.process.kill()  # every call that waits in the mount now fails
            subprocess.run(["umount", "-l", self.mnt], check=False, stderr=subprocess.DEVNULL)
        self.timer = threading.Timer(seconds, end)
        self.timer.start()

    def time_is_up(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None
        return self.cut

    # ---- what is done in the mount

    def sh(self, *command, cwd=None, env=None, ok=(0,), stdin=None):
        """Its standard output; a failure names what it said."""
        r = subprocess.run(command, cwd=cwd or self.mnt, env=env, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           check=False)
        if r.returncode not in ok:
            raise RuntimeError(f"{command[0]}: status {r.returncode}: "
                               f"{(r.stderr or r.stdout).decode(errors='replace')[-300:].strip()}")
        return r.stdout

    def load(self, *args):
        """Runs the load program in the mount; its own seconds."""
        out = self.sh(f"{self.build}/tests/bench/load", *map(str, args))
        return float(out.split()[1])

    def path(self, *names):
        return os.path.join(self.mnt, *names)


class Pailfs(Contender):
    name = "pailfs"

    def command(self):
        extra = [a for o in self.options for a in ("-o", o)]
        if self.server.url.startswith("https:"):
            extra += ["-o", f"ca_bundle={self.server.certificate}"]
        return [f"{self.build}/src/pailfs", "-f", self.bucket, self.mnt, "-o",
                f"endpoint_url={self.server.url},path_style", *extra]


class S3fs(Contender):
    name = "s3fs"

    def command(self):
        passwd = os.path.join(self.folder, "passwd")
        with open(passwd, "w") as f:
            f.write(f"{self.env['AWS_ACCESS_KEY_ID']}:{self.env['AWS_SECRET_ACCESS_KEY']}\n")
        os.chmod(passwd, 0o600)
        extra = [a for o in self.options for a in ("-o", o.format(folder=self.folder))]
        return ["s3fs", self.bucket, self.mnt, "-f", "-o", f"url={self.server.url}", "-o",
                "use_path_request_style", "-o", f"passwd_file={passwd}", *extra]


class Rclone(Contender):
    """With a cache of writes its close does not wait for the server: where files are to be durable it goes without."""
    name = "rclone"

    @property
    def late(self):
        return not self.durable

    def command(self):
        self.env.update(RCLONE_CONFIG_B_TYPE="s3", RCLONE_CONFIG_B_PROVIDER="Other",
                        RCLONE_CONFIG_B_ENV_AUTH="true", RCLONE_CONFIG_B_ENDPOINT=self.server.url,
                        RCLONE_CONFIG_B_REGION="us-east-1")
        extra = list(self.options)
        if self.server.url.startswith("https:"):
            extra += ["--ca-cert", self.server.certificate]
        if "--vfs-cache-mode" not in extra:
            extra += ["--vfs-cache-mode", "off" if self.durable else "writes", "--vfs-write-back", "0s"]
        return ["rclone", "mount", f"b:{self.bucket}", self.mnt, "--config", "/dev/null", *extra]


CONTENDERS = {c.name: c for c in (Pailfs, S3fs, Rclone)}
