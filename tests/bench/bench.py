#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Times workloads on pailfs, on its peers and on plain libcurl, in rounds that take turns.

    tests/bench/run.sh [--peers s3fs,rclone] [--rtt 0,2,20] [--only NAME,NAME* | --readme] [--quick | --full] [--rounds N]
                       [--minutes N] [--cut SECONDS] [--endpoint URL | --rgw] [--proxy] [--tls] [--rate BYTES] [--out FOLDER] [--list]

Every round mounts each contender anew with an empty cache of its own and a dropped page cache, times the workload, and
compares what was read, listed or stored; one wrong byte ends everything with status 1. The limit is
tests/bench/limit.c: the same bytes or requests by libcurl alone, with as many connections as pailfs had.

--rtt       milliseconds: s3d waits so long before each answer, and from 1 ms on a connection gives 90 MB/s (--rate), as one to
            S3 does. Without it each workload has its own (--list); those for which distance decides nothing run at one.
--proxy     a program between client and server delays all bytes instead, and caps them; always so with other servers.
--endpoint  a server that is there (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and BUCKET, which is written to); --rgw starts a
            Ceph gateway. Faults, request counts and the server's CPU seconds are known of s3d alone.
--tls       over TLS; without --only the streams. With --proxy handshakes are counted, whole and resumed ones.
--cut       a trial of a contender that takes longer is ended and reported as "over N s" (default 30); of a peer not before it
            is decided whether pailfs is as many times as fast as its targets say.
--readme    what the README shows and targets.py judges, where it does so.
--minutes   how long it may take: a workload that is late against its share gets fewer rounds, one at least.
--quick     seconds for each, to see that all works; --full: gigabytes and 1,000,000 names, hours with slow peers.

Only the ratios of one run mean something. --out (default build/bench/results): results.json, table.md, and plots.
"""
import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config

import bed
import contenders
import readme
import report
import targets
import workload
import workloads

SLOW = 4      # seconds: a contender whose first trial took longer is not asked again
TLS = ("read1", "read8", "write1", "small4k_64")


class Wrong(Exception):
    """Content that is not what it must be: nothing that follows would mean anything."""


def arguments():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--peers", default="s3fs,rclone")
    p.add_argument("--rtt", default="")
    p.add_argument("--only", default="")
    p.add_argument("--rounds", type=int, default=3)
    size = p.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true")
    size.add_argument("--full", action="store_true")
    p.add_argument("--cut", type=float, default=30)
    p.add_argument("--minutes", type=float, default=600)
    p.add_argument("--endpoint")
    p.add_argument("--rgw", action="store_true")
    p.add_argument("--proxy", action="store_true")
    p.add_argument("--tls", action="store_true")
    p.add_argument("--rate", type=int, default=bed.RATE)
    p.add_argument("--out", default="build/bench/results")
    p.add_argument("--list", action="store_true")
    p.add_argument("--readme", action="store_true")
    a = p.parse_args()
    a.peers = [x for x in a.peers.split(",") if x and x != "none"]
    a.rtt = [int(x) for x in a.rtt.split(",") if x]
    a.level = workload.QUICK if a.quick else workload.FULL if a.full else workload.DEFAULT
    only = [x for x in a.only.split(",") if x] or (TLS if a.tls else [])
    a.loads = workloads.chosen(only, a.level)
    a.pairs = readme.pairs(a.loads) if a.readme else {(x.name, r) for x in a.loads for r in (a.rtt or x.rtts)}
    a.loads = [x for x in a.loads if x.name in {name for name, _ in a.pairs}]
    unknown = [x for x in a.peers if x not in contenders.CONTENDERS] + [
        x for x in only if not workloads.chosen([x], workload.FULL)]
    if unknown:
        sys.exit(f"bench: unknown: {', '.join(unknown)} (--list shows the workloads)")
    missing = [x for x in a.peers if not shutil.which(x)]
    if missing:
        print(f"bench: not installed, left out: {', '.join(missing)}", file=sys.stderr)
        a.peers = [x for x in a.peers if x not in missing]
    return a


class Bench:
    def __init__(self, a, build, folder, store):
        self.a, self.build, self.folder = a, build, folder
        self.kinds = [contenders.CONTENDERS[p] for p in a.peers]
        self.entries, self.begin = [], time.monotonic()
        help_text = subprocess.run([f"{build}/src/pailfs", "--help"], capture_output=True, text=True, check=False).stdout
        self.known = lambda option: option is None or option in help_text
        self.server = bed.Server(build, folder, store, a.endpoint, a.rgw, a.proxy, a.tls, a.rate)

    def open_bucket(self):
        bucket = os.environ.get("BUCKET", "bench") if self.a.endpoint else "bench"
        url = self.server.near_url
        s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", verify=(
            self.server.certificate if url.startswith("https:") and not self.a.endpoint else None),
            config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=32))
        if not self.a.endpoint:
            s3.create_bucket(Bucket=bucket)
        self.world = workload.World(self.a.level, self.folder, self.build, self.server, bucket, s3)

    # ---- one trial

    def timeline(self, load):
        """[seconds, bytes] at some fifty moments."""
        if not load.timelines or not os.path.exists(self.world.timeline):
            return {}
        with open(self.world.timeline) as f:
            rows = [[float(a), int(b)] for a, b in (line.split() for line in f)]
        os.unlink(self.world.timeline)
        return {"timeline": rows[::max(1, len(rows) // 50)] + rows[-1:]}

    def distant(self, load):
        self.server.far()
        self.server.faults(load.faults)

    def close(self):
        self.server.faults(())
        self.server.near()

    def limit(self, load, connections):
        w = self.world
        load.make(w)
        stages = load.limit(w, connections)
        if not stages:
            return None
        bed.drop_caches()
        self.distant(load)
        self.server.reset()
        env = self.server.environment(w.bucket)
        before = self.server.counters()
        cpu, seconds = bed.cpu_seconds(self.server.pids), 0.0
        mine = os.times()
        try:
            for stage in stages:
                processes = [bed.start(c, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                             for c in stage]
                outs = [p.communicate() for p in processes]
                if any(p.returncode for p in processes):
                    raise Wrong(f"the limit program failed: {stage[0][1:4]}: {outs[0][1][-300:]}")
                seconds += max(float(out.split()[1]) for out, _ in outs)
        finally:
            used = os.times()
            result = {"s": seconds, "cpu_s": used.children_user + used.children_system
                      - mine.children_user - mine.children_system,
                      "server_cpu_s": bed.cpu_seconds(self.server.pids) - cpu, **self.counted(before)}
            self.close()
        return {**result, **self.timeline(load)}

    def counted(self, before):
        after, result = self.server.counters(), {}
        if "requests" in after:
            result["requests"] = after["requests"] - before["requests"]
            result["operations"] = {k: v - before.get(k, 0) for k, v in sorted(after.items())
                                    if k[0].isupper() and v > before.get(k, 0)}
        if "handshakes" in after:
            for name in ("handshakes", "resumed"):
                result[name] = after[name] - before.get(name, 0)
        if "max_connections" in after:
            result["connections"] = after["max_connections"]
        return result

    def trial(self, kind, load, cut):
        w, c = self.world, None
        load.make(w)
        c = kind(self.build, self.server, w.bucket, self.folder, load)
        try:
            (self.server.near if load.near_fresh else self.server.far)()
            c.mount()
            c.limit_time(cut * (6 if load.near_fresh else 2))
            load.fresh(w, c)
            if load.remount:
                c.unmount()
                self.server.far()
                c.mount()
            c.time_is_up()
            if not load.warm:
                bed.drop_caches()
            self.distant(load)
            c.limit_time(cut)
            self.server.reset()
            before = self.server.counters()
            pid, pids = c.process.pid, self.server.pids
            cpu, server_cpu, t = bed.cpu_seconds([pid]), bed.cpu_seconds(pids), time.monotonic()
            measured = load.run(w, c)
            r = {"s": measured or time.monotonic() - t}
            if c.time_is_up():
                raise contenders.Cut
            r.update(cpu_s=bed.cpu_seconds([pid]) - cpu, server_cpu_s=bed.cpu_seconds(pids) - server_cpu,
                     rss=bed.peak_rss(pid), **self.counted(before), **self.timeline(load))
            self.close()
            c.limit_time(cut * 4)
            load.check(w, c)
            c.time_is_up()
            c.unmount()
            load.after(w)
            return r
        except contenders.Cut:
            return {"over": cut}
        except (OSError, AssertionError, RuntimeError, ValueError, subprocess.SubprocessError) as e:
            if c.time_is_up():
                return {"over": cut}
            # Of pailfs it is a failure of the run; a peer may do as it likes.
            text = f"{type(e).__name__}: {e}"[:400]
            if kind is contenders.Pailfs and "WRONG" in text:
                raise Wrong(f"{load.name}: {text}") from e
            return {"error": text}
        finally:
            self.close()
            c.time_is_up()
            c.unmount()
            c.remove()

    # ---- rounds

    def late(self):
        """Whether what has been done took more than its share of the time."""
        share = (len(self.entries) + 1) / len(self.a.pairs)
        return time.monotonic() - self.begin > share * self.a.minutes * 60

    def rounds(self, load):
        rows, done = {}, set()
        connections = load.connections

        def take(name, result):
            if result:
                rows.setdefault(name, []).append(result)
                if "s" not in result:
                    print(f"    {name}: {result.get('error') or 'over %d s' % result['over']}", file=sys.stderr)
                if "s" not in result or result["s"] > SLOW and name not in ("pailfs", "limit"):
                    done.add(name)

        for i in range(self.a.rounds):
            if i and self.late():
                break
            # pailfs first: the limit is to have as many connections.
            if "pailfs" not in done:
                take("pailfs", self.trial(contenders.Pailfs, load, self.a.cut))
            # A peer is not ended before it is known whether the targets are met.
            own = [r["s"] for r in rows.get("pailfs", []) if "s" in r]
            cut = max([self.a.cut, *(1.1 * s * targets.patience(load.name, self.rtt) for s in own)])
            used = [r["connections"] for r in rows.get("pailfs", []) if "connections" in r]
            if used and load.same_connections:
                connections = max(1, min(int(statistics.median(used)), 256))
            if "limit" not in done:
                take("limit", self.limit(load, connections))
            for kind in self.kinds:
                if not load.alone and kind.name not in done:
                    take(kind.name, self.trial(kind, load, cut))
        return rows

    def run(self):
        a = self.a
        self.open_bucket()
        for rtt in sorted({r for _, r in a.pairs}):
            self.server.distance(rtt)
            self.rtt = rtt
            for load in a.loads:
                if (load.name, rtt) not in a.pairs:
                    continue
                if not self.known(load.needs) or load.faults and not self.server.s3d:
                    print(f"rtt {rtt} ms, {load.name}: left out, there is no {load.needs or 's3d'}", file=sys.stderr)
                    continue
                t = time.monotonic()
                print(f"rtt {rtt} ms, {load.name}: {load.help}", file=sys.stderr)
                self.server.near()
                load.prepare(self.world)
                self.server.opaque(load.opaque)
                rows = self.rounds(load)
                self.server.opaque(False)
                entry = {"workload": load.name, "help": load.help, "group": load.group, "rtt_ms": rtt,
                         "bytes": load.bytes, "files": load.files, "pages": load.pages,
                         "took_s": round(time.monotonic() - t, 1),
                         "results": {k: summary(v) for k, v in rows.items()}}
                self.entries.append(entry)
                print(f"    {report.line(entry)}  [{entry['took_s']} s]", file=sys.stderr)
                self.save()

    def save(self):
        a = self.a
        bed.save(os.path.join(a.out, "results.json"), {
            "machine": bed.machine(), "versions": bed.versions(self.build), "rounds": a.rounds,
            "size": ("quick", "default", "full")[a.level], "server": self.server.name, "tls": a.tls,
            "distance": "proxy" if self.server.through else "server", "cut_s": a.cut, "results": self.entries})


def summary(samples):
    good = [s for s in samples if "s" in s]
    if not good:
        return samples[-1]
    times = [s["s"] for s in good]
    r = {"median_s": statistics.median(times), "min_s": min(times), "max_s": max(times), "n": len(times)}
    for name in ("cpu_s", "server_cpu_s", "requests", "connections", "handshakes", "resumed", "rss"):
        values = [s[name] for s in good if name in s]
        if values:
            r[name] = max(values) if name == "rss" else round(statistics.median(values), 3)
    middle = sorted(good, key=lambda s: s["s"])[len(good) // 2]
    for name in ("operations", "timeline"):
        if name in middle:
            r[name] = middle[name]
    failed = [s for s in samples if "s" not in s]
    if failed:
        r["failed"] = [s.get("error", "over %s s" % s.get("over")) for s in failed]
    return r


def stop(*_):
    raise KeyboardInterrupt


def main():
    a = arguments()
    if a.list:
        for load in a.loads:
            print(f"{load.name:20} {','.join(map(str, load.rtts)):6} {load.help}")
        return 0
    if os.geteuid() != 0:
        sys.exit("bench: needs root, to drop the page cache")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)  # also where the shell has it ignored
    build = os.path.abspath(os.environ["BUILD_DIR"])
    os.makedirs(a.out, exist_ok=True)
    disk = os.environ.get("TMPDIR", "/var/tmp")
    folder = tempfile.mkdtemp(prefix="pailfs-bench.", dir=disk)
    # In memory: the server's disk is not what is measured, and a dropped page cache must not reach it.
    store = tempfile.mkdtemp(prefix="pailfs-bench.", dir=disk if a.full else "/dev/shm")
    bench, status = None, 0
    try:
        bench = Bench(a, build, folder, store)
        bench.run()
    except Wrong as e:
        print(f"\nbench: FAILED: {e}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("\nbench: stopped; what is done is reported", file=sys.stderr)
        status = 130
    finally:
        if bench:
            bench.server.stop()
        shutil.rmtree(store, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    if not bench:
        return status or 1
    if bench.entries:
        report.write(a.out)
        print(f"results: {a.out}/table.md")
    failed = [e["workload"] for e in bench.entries if "error" in e["results"].get("pailfs", {})
              or e["results"].get("pailfs", {}).get("failed")]
    if failed and not status:
        print(f"bench: pailfs failed in: {', '.join(failed)}", file=sys.stderr)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
