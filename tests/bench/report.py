#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From results.json to tables and pictures.

    report.py FOLDER [FOLDER ...]       table.md, targets.md and plots beside the first results.json; the results of several
                                        runs, the first one's where two have the same
    report.py --readme FOLDER [...]     also the README's section between its two markers, with what it shows in
                                        tests/bench/results/
"""
import json
import os
import sys

import targets
from targets import best_peer, cut, seconds

ORDER = ("limit", "pailfs", "s3fs", "rclone")


def names_of(results):
    seen = {n for e in results for n in e["results"]}
    return [n for n in ORDER if n in seen] + sorted(seen - set(ORDER))


def time_text(r):
    if not r:
        return ""
    if "median_s" not in r:
        return f"> {r['over']:.0f}" if "over" in r else "failed"
    if r["n"] == 1:
        return f"{r['median_s']:.3f}"
    return f"{r['median_s']:.3f} ({r['min_s']:.3f}–{r['max_s']:.3f})"


def line(entry):
    """For the terminal, while it runs."""
    cells = []
    for name in names_of([entry]):
        r = entry["results"][name]
        cells.append(f"{name} {time_text(r)} s" + (f" {r['requests']:.0f} req" if "requests" in r else ""))
    return ", ".join(cells)


def ratio(a, b, more=""):
    return "" if not a or not b else f"{more}{a / b:.2f}"


def per_gb(r, what, size):
    return f"{r[what] / size * 1e9:.2f}" if size >= 10e6 and what in r else ""


def about(data):
    m = data["machine"]
    what = {"s3d": "the test server s3d", "rgw": "a Ceph gateway", "other": "another server"}[data["server"]]
    return (f"{m['date']}, {m['cpus']} CPUs ({m['model']}), {m['memory_gib']} GiB, Linux {m['kernel']}, everything on this one "
            f"machine; {what}{' over TLS' if data['tls'] else ''}, distance made by the {data['distance']}; "
            + ", ".join(v for v in data["versions"].values() if v)
            + f"; medians of {data['rounds']} rounds at most (no range: one), {data['size']} sizes; "
            f"load of the machine at the end {m['load']}.")


def verdicts(data):
    """(workload, rtt) -> "0.93, ≥ 0.9 × limit: met; ..." """
    result = {}
    for t in targets.judged(data):
        result.setdefault((t["workload"], t["rtt_ms"]), []).append(
            f"{t['target']}: {t['got']} {'met' if t['met'] else '**not met**'}")
    return {k: "; ".join(v) for k, v in result.items()}


def table(data):
    results = data["results"]
    names = names_of(results)
    said = verdicts(data)
    out = [about(data), "",
           "Seconds: median (range). `limit`: libcurl alone, the same bytes or requests, with as many connections.", "",
           "| workload | RTT ms | " + " | ".join(f"{n} s" for n in names)
           + " | limit / pailfs | best peer / pailfs | targets | requests | connections | CPU s/GB | server's | peak RSS MiB |",
           "|---|" + "---|" * (len(names) + 9)]
    for e in results:
        r = e["results"]
        mine = r.get("pailfs", {})
        own = mine.get("median_s")
        out.append("| " + " | ".join([
            e["workload"], str(e["rtt_ms"]), *[time_text(r.get(n)) for n in names],
            ratio(seconds(r.get("limit")), own), ratio(best_peer(e), own, "> " if cut(e) else ""),
            said.get((e["workload"], e["rtt_ms"]), ""),
            f"{mine['requests']:.0f}" if "requests" in mine else "",
            f"{mine['connections']:.0f}" if "connections" in mine else "",
            per_gb(mine, "cpu_s", e["bytes"]), per_gb(mine, "server_cpu_s", e["bytes"]),
            str(mine["rss"] >> 20) if "rss" in mine else ""]) + " |")
    if any("handshakes" in r for e in results for r in e["results"].values()):
        out += ["", "| workload | RTT ms | who | TLS handshakes | of them resumed |", "|---|---|---|---|---|"]
        out += [f"| {e['workload']} | {e['rtt_ms']} | {n} | {r['handshakes']:.0f} | {r['resumed']:.0f} |"
                for e in results for n, r in e["results"].items() if "handshakes" in r]
    out += ["", "| workload | |", "|---|---|"]
    out += [f"| {name} | {text} |" for name, text in dict((e["workload"], e["help"]) for e in results).items()]
    return "\n".join(out) + "\n"


def target_table(data):
    rows = targets.judged(data)
    out = [f"{sum(t['met'] for t in rows)} of {len(rows)} targets met.", "",
           "| workload | RTT ms | target | reached | |", "|---|---|---|---|---|"]
    out += [f"| {t['workload']} | {t['rtt_ms']} | {t['target']} | {t['got']} | {'met' if t['met'] else '**not met**'} |"
            for t in sorted(rows, key=lambda t: t["met"])]
    behind = [f"{e['workload']} ({e['rtt_ms']} ms)" for e in data["results"]
              if best_peer(e) and e["results"].get("pailfs", {}).get("median_s", 0) > best_peer(e)]
    out += ["", "Behind a peer: " + (", ".join(behind) or "nowhere") + "."]
    return "\n".join(out) + "\n"


def merged(folders):
    data = None
    for folder in folders:
        with open(os.path.join(folder, "results.json")) as f:
            one = json.load(f)
        if data is None:
            data = one
            have = {(e["workload"], e["rtt_ms"]) for e in data["results"]}
        else:
            data["results"] += [e for e in one["results"] if (e["workload"], e["rtt_ms"]) not in have]
    return data


def write(*folders):
    data = merged(folders)
    for name, text in (("table.md", table(data)), ("targets.md", target_table(data))):
        with open(os.path.join(folders[0], name), "w") as f:
            f.write(text)
    try:
        import plots
    except ImportError as e:
        print(f"report: no plots: {e}", file=sys.stderr)
    else:
        plots.write(data, folders[0])
    return data


def main():
    words = sys.argv[1:]
    readme = words[:1] == ["--readme"]
    folders = words[readme:]
    if not folders or folders[0].startswith("-"):
        sys.exit(__doc__)
    data = write(*folders)
    if readme:
        import readme as section
        section.write(data)


if __name__ == "__main__":
    main()
