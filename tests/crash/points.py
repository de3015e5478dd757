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

HERE = os.path.dirname(os.path.abspath(__file__))


def listed(column):
    """Points that a mode must reach."""
    found = []
    with open(HERE + "/points.txt") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words and (len(words) == 1 or column in words[1:]):
                found.append(words[0])
    return found


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


def main(mode="default", options=(), budget=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CRASH_SEED", "0")))
    parser.add_argument("--budget", type=int)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("only", nargs="*", help="POINT or POINT:N")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    bed = mounted.Bed()
    failures, reached = [], set()
    try:
        counts = crash.trace(bed, workload.steps(), options)
        missing = [p for p in listed(mode) if p not in counts]
        if args.only:
            runs = []
            for word in args.only:
                point, _, n = word.partition(":")
                runs += [(point, int(n))] if n else [(point, k + 1) for k in range(counts[point])]
        else:
            wanted = args.budget or budget or (70 if bed.kind == "s3d" else 30)
            runs = choose(counts, seed, wanted)
            if bed.kind != "s3d":
                random.Random(seed).shuffle(runs)
                runs = runs[:wanted]
        print(f"{mode}: {len(counts)} points, {sum(counts.values())} passes; {len(runs)} runs, "
              f"seed {seed}", flush=True)

        def work(pair):
            point, n = pair
            name = re.sub(r"\W", "-", point) + f"-{n}"
            try:
                crash.one(bed, name, point, n, workload.steps(), reached, options)
            except crash.Failed as e:
                failures.append(str(e))
                print("FAIL " + str(e), flush=True)

        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(work, runs))
        print(f"{len(runs)} runs in {time.monotonic() - begin:.0f} s")
        if not args.only and bed.kind == "s3d":
            missing += [p for p in counts if p not in reached and (p, 1) in runs]
    finally:
        bed.close()
    if missing:
        print("points that the workload never reached: " + " ".join(sorted(missing)))
    if failures:
        print(f"{len(failures)} of {len(runs)} runs failed; again with CRASH_SEED={seed}")
    return 1 if failures or missing else 0
