#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Times workloads on pailfs, on its peers and on plain libcurl, in rounds that take turns.

    tests/bench/run.sh [--peers s3fs,rclone] [--rtt 0,2,20] [--only NAME[,NAME]] [--rounds N] [--quick]
                       [--endpoint URL] [--out FOLDER] [--list]

Every round mounts each contender anew with an empty cache of its own and a dropped page cache, times the
workload, and looks at its result. The limit is tests/bench/limit.c: the same bytes or requests, with the
same concurrency, and nothing else. RTT is what s3d waits before each answer; from 1 ms on, a connection gives
90 MB/s, as one to S3 does. --endpoint takes another server (its bucket $BUCKET is written to), at whatever
distance it is. Only the ratios of one run mean something. --out (default build/bench/results): results.json, table.md,
and bars.svg and .png where matplotlib is there.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config

import bed
import report
import workloads


def arguments():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--peers", default="s3fs,rclone")
    p.add_argument("--rtt", default="0,2,20")
    p.add_argument("--only", default="")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--endpoint")
    p.add_argument("--out", default="build/bench/results")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    a.peers = [x for x in a.peers.split(",") if x]
    a.rtt = [0] if a.endpoint else [int(x) for x in a.rtt.split(",")]
    a.only = [x for x in a.only.split(",") if x]
    unknown = [x for x in a.peers if x not in bed.CONTENDERS] + [
        x for x in a.only if x not in [w.name for w in workloads.ALL]]
    if unknown:
        sys.exit(f"bench: unknown: {', '.join(unknown)} (--list shows the workloads)")
    missing = [x for x in a.peers if not shutil.which(x)]
    if missing:
        print(f"bench: not installed, left out: {', '.join(missing)}", file=sys.stderr)
        a.peers = [x for x in a.peers if x not in missing]
    return a


def time_limit(commands, env):
    t = time.monotonic()
    processes = [subprocess.Popen(c, env=env, stdout=subprocess.DEVNULL) for c in commands]
    codes = [p.wait() for p in processes]
    if any(codes):
        raise RuntimeError(f"the limit program failed: {commands[0]}")
    return {"s": time.monotonic() - t}


def time_contender(kind, build, server, w, load):
    c = kind(build, server, w.bucket, w.folder)
    c.options = load.options if kind is bed.Pailfs else ()
    try:
        c.mount()
        try:
            load.fresh(w, c.mnt)
            if getattr(load, "remount", False):
                c.unmount()
                c.mount()
            bed.drop_caches() if load.name != "reread" else None
            cpu, requests, t = c.cpu(), server.requests(), time.monotonic()
            load.run(w, c.mnt)
            r = {"s": time.monotonic() - t, "cpu_s": c.cpu() - cpu, "rss": c.peak_rss(),
                 "requests": server.requests() - requests}
            load.check(w, c.mnt)
            return r
        finally:
            c.unmount()
    finally:
        c.remove()


def one_round(kinds, build, server, w, load, rows):
    command = load.limit(w)
    if command:
        bed.drop_caches()
        rows.setdefault("limit", []).append(time_limit(command, w.env))
    for kind in kinds:
        if load.options and "writeback" in load.options and kind is not bed.Pailfs:
            continue
        try:
            result = time_contender(kind, build, server, w, load)
        except (OSError, AssertionError, RuntimeError, subprocess.SubprocessError) as e:
            result = {"error": f"{type(e).__name__}: {e}"[:300]}
            print(f"    {kind.name}: {result['error']}", file=sys.stderr)
        rows.setdefault(kind.name, []).append(result)


def summary(samples):
    good = [s for s in samples if "s" in s]
    if not good:
        return {"error": samples[-1]["error"]}
    times = [s["s"] for s in good]
    r = {"median_s": statistics.median(times), "min_s": min(times), "max_s": max(times), "n": len(times)}
    for name in ("cpu_s", "requests", "rss"):
        values = [s[name] for s in good if name in s]
        if values:
            r[name] = max(values) if name == "rss" else statistics.median(values)
    return r


def main():
    a = arguments()
    if a.list:
        for load in workloads.ALL:
            print(f"{load.name:24} {load.help}")
        return 0
    if os.geteuid() != 0:
        sys.exit("bench: needs root, to drop the page cache")
    build = os.environ["BUILD_DIR"]
    kinds = [bed.Pailfs] + [bed.CONTENDERS[p] for p in a.peers]
    loads = [x for x in workloads.ALL if not a.only or x.name in a.only]
    results = []
    os.makedirs(a.out, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="pailfs-bench.")
    try:
        for rtt in a.rtt:
            server = bed.Server(build, folder, rtt, a.endpoint)
            try:
                bucket = os.environ.get("BUCKET", "bench") if a.endpoint else f"bench{rtt}"
                env = bed.environment(server.url, bucket)
                s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1",
                                  config=botocore.config.Config(s3={"addressing_style": "path"},
                                                                max_pool_connections=32))
                if not a.endpoint:
                    s3.create_bucket(Bucket=bucket)
                w = workloads.World(workloads.Scale(a.quick), folder, f"{build}/tests/bench/limit", env, s3)
                for load in loads:
                    print(f"rtt {rtt} ms, {load.name}: {load.help}", file=sys.stderr)
                    load.prepare(w)
                    rows = {}
                    for _ in range(a.rounds):
                        one_round(kinds, build, server, w, load, rows)
                    entry = {"workload": load.name, "help": load.help, "rtt_ms": rtt,
                             "bytes": load.unit_bytes, "results": {k: summary(v) for k, v in rows.items()}}
                    results.append(entry)
                    print("    " + report.line(entry), file=sys.stderr)
                    bed.save(os.path.join(a.out, "results.json"), {
                        "machine": bed.machine(), "versions": bed.versions(build), "quick": a.quick,
                        "rounds": a.rounds, "results": results})
            finally:
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.write(a.out)
    print(f"results: {a.out}/table.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
