# SPDX-License-Identifier: Apache-2.0
"""The pictures of a run, as SVG and PNG: bars against limit and peers, throughput over file size, latency over directory
size, ramp-up over time."""
import os

import matplotlib

from targets import seconds

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ORDER = ("limit", "pailfs", "s3fs", "rclone")
COLOURS = {"limit": "#8a8a8a", "pailfs": "#1f77b4", "s3fs": "#d8732b", "rclone": "#7a4fb5"}
FILES = (("small4k_1", 4096), ("small100k_1", 100 << 10), ("small5m_1", 5 << 20), ("ramp64m", 64 << 20), ("read1", None))
FOLDERS = ((1000, "1k"), (10000, "10k"), (100000, "100k"), (1000000, "1m"))


def save(figure, folder, name):
    figure.tight_layout()
    for kind in ("svg", "png"):
        figure.savefig(os.path.join(folder, f"{name}.{kind}"), metadata={"Date": None} if kind == "svg" else None)
    pyplot.close(figure)


def names_of(entries):
    seen = {n for e in entries for n in e["results"]}
    return [n for n in ORDER if n in seen] + sorted(seen - set(ORDER))


def bars(data, folder, rtt):
    entries = [e for e in data["results"] if e["rtt_ms"] == rtt and e["results"].get("pailfs", {}).get("median_s")]
    if not entries:
        return
    names = names_of(entries)
    figure, axis = pyplot.subplots(figsize=(9, 1.2 + 0.42 * len(entries)))
    height = 0.8 / len(names)
    for k, name in enumerate(names):
        places, widths, lows, highs, over = [], [], [], [], []
        for i, e in enumerate(entries):
            r, own = e["results"].get(name), e["results"]["pailfs"]["median_s"]
            s = seconds(r)
            if not s:
                continue
            places.append(i + k * height)
            widths.append(s / own)
            lows.append((s - r.get("min_s", s)) / own)
            highs.append((r.get("max_s", s) - s) / own)
            over.append("over" in r)
        drawn = axis.barh(places, widths, height=height, label=name, color=COLOURS.get(name), xerr=[lows, highs],
                          error_kw={"elinewidth": 0.6})
        for bar, cut in zip(drawn, over):
            if cut:
                axis.annotate(" cut", (bar.get_width(), bar.get_y() + height / 2), fontsize=5, va="center")
    axis.set_yticks([i + 0.4 for i in range(len(entries))], [e["workload"] for e in entries])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xlabel(f"time relative to pailfs (log scale; shorter is faster), RTT {rtt} ms")
    axis.legend(loc="lower right", fontsize=8)
    save(figure, folder, f"bars-{rtt}ms")


def lines(data, folder, rtt, name, points, x_label, y_label, value):
    by = {e["workload"]: e for e in data["results"] if e["rtt_ms"] == rtt}
    entries = [(x if x is not None else by[w]["bytes"], by[w]) for w, x in points if w in by]
    if len(entries) < 2:
        return
    figure, axis = pyplot.subplots(figsize=(6.5, 4))
    for who in names_of([e for _, e in entries]):
        found = [(x, value(x, e, seconds(e["results"].get(who)))) for x, e in entries if seconds(e["results"].get(who))]
        axis.plot([x for x, _ in found], [y for _, y in found], marker="o", label=who, color=COLOURS.get(who))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(x_label)
    axis.set_ylabel(f"{y_label}, RTT {rtt} ms")
    axis.grid(True, alpha=0.3)
    axis.legend(fontsize=8)
    save(figure, folder, f"{name}-{rtt}ms")


def ramps(data, folder):
    for e in data["results"]:
        found = {n: r["timeline"] for n, r in e["results"].items() if r.get("timeline")}
        if e["workload"] not in ("read1", "ramp64m", "write1") or "pailfs" not in found:
            continue
        figure, axis = pyplot.subplots(figsize=(6.5, 4))
        for who in [n for n in (*ORDER, *sorted(set(found) - set(ORDER))) if n in found]:
            axis.plot([t for t, _ in found[who]], [b / 1e6 for _, b in found[who]], label=who, color=COLOURS.get(who))
        axis.set_xlim(0, 3 * found["pailfs"][-1][0])
        axis.set_xlabel("seconds since the open")
        axis.set_ylabel(f"MB so far, {e['workload']}, RTT {e['rtt_ms']} ms")
        axis.grid(True, alpha=0.3)
        axis.legend(fontsize=8)
        save(figure, folder, f"ramp-{e['workload']}-{e['rtt_ms']}ms")


def write(data, folder):
    pyplot.rcParams.update({"svg.hashsalt": "pailfs", "svg.fonttype": "none"})
    for rtt in sorted({e["rtt_ms"] for e in data["results"]}):
        bars(data, folder, rtt)
        lines(data, folder, rtt, "throughput", FILES, "bytes of the file", "MB/s of one reader",
              lambda x, e, s: e["bytes"] / s / 1e6)
        lines(data, folder, rtt, "listing", [(f"ls{name}", n) for n, name in FOLDERS], "entries of the directory",
              "seconds of ls", lambda x, e, s: s)
    ramps(data, folder)
