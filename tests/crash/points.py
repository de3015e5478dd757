# SPDX-License-Identifier: Apache-2.0
"""Every point of points.txt, and every other that the workload passes: a run for each."""
import argparse
import concurrent.futures
import os
import random
import re
import sys
import time

sys.path[:0] = [os.path.join(os.environ["SOURCE_DIR"], "tests", d) for d in ("lib", "crash")]
import crash  # noqa: E402
import mounted  # noqa: E402
import workload  # noqa: E402

# Crashes whose recovery is cut short too.
FIRST = [("upload.noted", 2), ("s3.CreateMultipartUpload.after", 1), ("s3.UploadPart.after", 5),
         ("s3.CopyObject.after", 1), ("rename.claimed", 1), ("rename.copied", 1), ("rename.deleted", 1),
         ("state.exchange.begin.after", 1), ("exchange.moved", 2)]
HERE = os.path.dirname(os.path.abspath(__file__))


def listed(column):
    """Points that a mode (default, writeback, or recovery after either) must reach."""
    found = []
    with open(HERE + "/points.txt") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words and column in (words[1:] or ["default", "writeback"]):
                found.append(words[0])
    return found


def unlisted():
    """Points in the sources that points.txt does not know."""
    known, found = set(), set()
    with open(HERE + "/points.txt") as f:
        known |= {line.split()[0] for line in f if line.strip() and line[0] != "#"}
    for folder, _, names in os.walk(os.environ["SOURCE_DIR"] + "/src"):
        for name in names:
            if name.endswith(".c"):
                with open(os.path.join(folder, name)) as f:
                    found |= set(re.findall(r'CRASH_POINT\("([^"]+)"\)', f.read()))
    return found - known


def choose(counts, seed, budget):
    """(point, pass) pairs: the first pass of each, and as many others as the budget allows."""
    rng = random.Random(seed)
    runs = [(p, 1) for p in sorted(counts)]
    later = [(p, n) for p, c in sorted(counts.items()) for n in range(2, c + 1)]
    # The last pass of each is worth more than those between.
    last = [(p, c) for p, c in sorted(counts.items()) if c > 1]
    rng.shuffle(last)
    rng.shuffle(later)
    for pair in last + later:
        if len(runs) >= budget:
            break
        if pair not in runs:
            runs.append(pair)
    return runs


class Points:
    def __init__(self, bed, options, jobs):
        self.bed, self.options, self.jobs = bed, options, jobs
        self.failures, self.reached = [], set()

    def one(self, point, n, again=None, trace_to=None):
        name = re.sub(r"\W", "-", f"{point}-{n}" + (f"-{again}" if again else "") +
                      ("-traced" if trace_to else ""))
        try:
            crash.one(self.bed, name, point, n, workload.steps(), self.reached, self.options,
                      again, trace_to)
        except crash.Failed as e:
            self.failures.append(str(e))
            print("FAIL " + str(e), flush=True)

    def all(self, runs):
        """runs: (point, n) or (point, n, the point of the second crash)."""
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(lambda run: self.one(*run), runs))
        print(f"{len(runs)} runs in {time.monotonic() - begin:.0f} s", flush=True)


def recovery_runs(points, first, budget, rng):
    """Crashes of the mount that recovers from the crashes `first`: every point that one passes."""
    runs, seen = [], set()
    for i, (point, n) in enumerate(first):
        path = f"{mounted.SCRATCH}/recovery{i}"
        points.one(point, n, trace_to=path)
        for p, count in sorted(crash.passes(path).items()):
            new = p not in seen
            seen.add(p)
            # Nothing is special about the mount's own look at the bucket.
            if "HeadBucket" not in p:
                runs.append((not new, rng.random(), (point, n, f"{p}:{rng.randint(1, count)}")))
    runs.sort()
    least = sum(1 for later, _, _ in runs if not later)
    return [run for _, _, run in runs[:max(budget, least)]], seen


def main(mode="default", options=(), budget=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CRASH_SEED", "1")),
                        help="which of the later passes; 0: at random")
    parser.add_argument("--budget", type=int)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--list", action="store_true", help="points and their passes")
    parser.add_argument("only", nargs="*", help="POINT or POINT:N")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    rng = random.Random(seed)
    bed = mounted.Bed()
    all_points = bed.kind == "s3d" and not args.only
    points = Points(bed, options, args.jobs)
    missing = []
    try:
        counts = crash.trace(bed, workload.steps(), options)
        if args.list:
            print("\n".join(f"{c:5} {p}" for p, c in sorted(counts.items())))
        if args.only:
            runs = []
            for word in args.only:
                point, _, n = word.partition(":")
                runs += [(point, int(n))] if n else [(point, k + 1) for k in range(counts[point])]
        else:
            wanted = args.budget or budget or (70 if bed.kind == "s3d" else 30)
            runs = choose(counts, seed, wanted)
            if not all_points:
                rng.shuffle(runs)
                runs = runs[:wanted]
        print(f"{mode}: {len(counts)} points, {sum(counts.values())} passes; {len(runs)} runs, "
              f"seed {seed}", flush=True)
        points.all(runs)
        if all_points:
            missing = [p for p in listed(mode) if p not in counts] + sorted(unlisted())
            missing += [p for p in counts if p not in points.reached and (p, 1) in runs]
            first = [(p, n) for p, n in FIRST if counts.get(p, 0) >= n]
            runs, seen = recovery_runs(points, first, len(runs) // 3, rng)
            missing += [p for p in listed("recovery") if p not in seen]
            print(f"recovery: {len(seen)} points")
            points.all(runs)
    finally:
        bed.close()
    if missing:
        print("points that were never reached, or that points.txt does not know: " +
              " ".join(sorted(missing)))
    if points.failures:
        print(f"{len(points.failures)} runs failed; again with CRASH_SEED={seed}")
    return 1 if points.failures or missing else 0
