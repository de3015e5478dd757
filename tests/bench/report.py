#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From results.json to a table and bars:  report.py FOLDER"""
import json
import os
import sys

ORDER = ("limit", "pailfs", "s3fs", "rclone")


def names_of(results):
    seen = {n for e in results for n in e["results"]}
    return [n for n in ORDER if n in seen] + sorted(seen - set(ORDER))


def line(entry):
    cells = []
    for name in names_of([entry]):
        r = entry["results"][name]
        cells.append(f"{name} failed" if "error" in r else f"{name} {r['median_s']:.3f} s"
                     + (f" ({int(r['requests'])} requests)" if "requests" in r else ""))
    return ", ".join(cells)


def seconds(r):
    return None if not r or "error" in r else r["median_s"]


def ratio(a, b):
    return "" if not a or not b else f"{a / b:.2f}"


def table(data):
    results = data["results"]
    names = names_of(results)
    peers = [n for n in names if n not in ("limit", "pailfs")]
    m = data["machine"]
    out = [f"{m['date']}, {m['cpus']} CPUs ({m['model']}), {m['memory_gib']} GiB, Linux {m['kernel']}; "
           + ", ".join(v for v in data["versions"].values() if v)
           + f"; medians of {data['rounds']} rounds" + (", reduced sizes" if data["quick"] else "") + ".", "",
           "| workload | RTT ms | " + " | ".join(f"{n} s (min-max)" for n in names)
           + " | limit / pailfs | best peer / pailfs | pailfs requests | pailfs CPU s/GB | peak RSS MiB |",
           "|---|" + "---|" * (len(names) + 6)]
    for e in results:
        r = e["results"]
        own = seconds(r.get("pailfs"))
        best = min((s for s in (seconds(r.get(p)) for p in peers) if s), default=None)
        cells = []
        for n in names:
            if n not in r:
                cells.append("")
            elif "error" in r[n]:
                cells.append("failed")
            else:
                cells.append(f"{r[n]['median_s']:.3f} ({r[n]['min_s']:.3f}-{r[n]['max_s']:.3f})")
        mine = r.get("pailfs", {})
        cpu = f"{mine['cpu_s'] / e['bytes'] * 1e9:.2f}" if e["bytes"] and "cpu_s" in mine else ""
        out.append(f"| {e['workload']} | {e['rtt_ms']} | " + " | ".join(cells)
                   + f" | {ratio(seconds(r.get('limit')), own)} | {ratio(best, own)}"
                   + f" | {int(mine['requests']) if 'requests' in mine else ''} | {cpu}"
                   + f" | {mine['rss'] >> 20 if 'rss' in mine else ''} |")
    return "\n".join(out) + "\n"


def bars(data, folder):
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot
    pyplot.rcParams["svg.hashsalt"] = "pailfs"
    names = names_of(data["results"])
    for rtt in sorted({e["rtt_ms"] for e in data["results"]}):
        entries = [e for e in data["results"] if e["rtt_ms"] == rtt and seconds(e["results"].get("pailfs"))]
        if not entries:
            continue
        figure, axis = pyplot.subplots(figsize=(9, 0.9 + 0.42 * len(entries)))
        height = 0.8 / len(names)
        for k, name in enumerate(names):
            ys, xs = [], []
            for i, e in enumerate(entries):
                s = seconds(e["results"].get(name))
                if s:
                    ys.append(i + k * height)
                    xs.append(s / seconds(e["results"]["pailfs"]))
            axis.barh(ys, xs, height=height, label=name)
        axis.set_yticks([i + 0.4 for i in range(len(entries))], [e["workload"] for e in entries])
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlabel(f"time relative to pailfs (log scale; shorter is faster), RTT {rtt} ms")
        axis.legend(loc="lower right", fontsize=8)
        figure.tight_layout()
        for kind in ("svg", "png"):
            figure.savefig(os.path.join(folder, f"bars-{rtt}ms.{kind}"), metadata={"Date": None} if kind == "svg" else None)
        pyplot.close(figure)


def write(folder):
    with open(os.path.join(folder, "results.json")) as f:
        data = json.load(f)
    with open(os.path.join(folder, "table.md"), "w") as f:
        f.write(table(data))
    bars(data, folder)


if __name__ == "__main__":
    write(sys.argv[1])
