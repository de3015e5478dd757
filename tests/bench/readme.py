# SPDX-License-Identifier: Apache-2.0
"""The README's section of a run: a picture and a table of ratios, and what they were made from, in results/."""
import fnmatch
import json
import math
import os
import re
from xml.sax.saxutils import escape

import report
import targets
from targets import peers_of, seconds

HERE = os.path.dirname(os.path.abspath(__file__))
README = os.path.join(HERE, "../../README.md")
BEGIN, END = "<!-- benchmark: written by tests/bench/report.py --readme -->", "<!-- end of the benchmark -->"

# What is shown, where it was measured: workload, round trip, in words.
SHOWN = (
    ("read1", 0, "read a large file, no delay"),
    ("read1", 20, "read a large file"),
    ("read8", 20, "read 8 files at once"),
    ("read1_512m", 20, "read a large file, memory_limit=512M"),
    ("small4k_1", 20, "files of 4 KiB, one by one"),
    ("small4k_64", 20, "files of 4 KiB, 64 readers"),
    ("small5m_1", 20, "files of 5 MiB, one by one"),
    ("random4k_qd1", 20, "random 4 KiB, one at a time"),
    ("random4k_qd64", 20, "random 4 KiB, 64 at a time"),
    ("write1", 20, "write a large file"),
    ("write8", 20, "write 8 files at once"),
    ("create1", 20, "make files of 4 KiB"),
    ("create64", 20, "make files of 4 KiB, 64 writers"),
    ("ls100k", 20, "ls of 100,000 files"),
    ("ls100k_page80", 20, "the same, slow pages"),
    ("ls-l10k", 20, "ls -l of 10,000 files"),
    ("find_tree", 20, "find in 10,000 directories"),
    ("rm", 20, "rm -r"),
    ("mv", 20, "mv of a directory"),
    ("patch4k", 20, "4 KiB changed in 10 GiB"),
    ("append1m", 20, "1 MiB appended to 1 GiB"),
    ("untar", 20, "tar x"),
    ("rsync2", 20, "rsync again, new mount"),
    ("grep-r", 20, "grep -r"),
    ("git-status", 20, "git status, new mount"),
)
COLOURS = {"limit": "#9aa0a6", "s3fs": "#d8732b", "rclone": "#7a4fb5"}
FROM, TO = 0.25, 256.0  # of the scale
LEFT, WIDTH, ROW, TOP = 250, 430, 30, 46


def pairs(loads):
    """(workload, round trip) of all that is shown or judged."""
    found = {(workload, rtt) for workload, rtt, _ in SHOWN}
    for load in loads:
        for pattern, rtts, _ in targets.RULES:
            if fnmatch.fnmatchcase(load.name, pattern):
                found.update((load.name, rtt) for rtt in load.rtts if not rtts or rtt in rtts)
    return found


def factor(value, more=""):
    """Two digits are all that a run on one machine can tell."""
    if value is None:
        return ""
    text = f"{value:.2f}" if value < 2 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return more + text


def shown(data):
    """(label, rtt, entry, {who: (time / that of pailfs, cut)})"""
    by = {(e["workload"], e["rtt_ms"]): e for e in data["results"]}
    for workload, rtt, label in SHOWN:
        e = by.get((workload, rtt))
        own = e["results"].get("pailfs", {}).get("median_s") if e else None
        if own:
            yield label, rtt, e, {who: (seconds(r) / own, "over" in r) for who, r in e["results"].items()
                                  if who != "pailfs" and seconds(r)}


def place(value):
    value = min(max(value, FROM), TO)
    return LEFT + WIDTH * math.log(value / FROM) / math.log(TO / FROM)


def picture(data):
    """By hand: small, and on a white sheet of its own, so that it can be read on any background."""
    rows = list(shown(data))
    names = [n for n in ("limit", *sorted({p for _, _, e, _ in rows for p in peers_of(e)}))]
    height, right = TOP + ROW * len(rows) + 34, LEFT + WIDTH
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 60} {height}" font-family="sans-serif" '
           f'font-size="12" fill="#222">',
           f'<rect width="{right + 60}" height="{height}" rx="8" fill="#fff" stroke="#ccc"/>',
           '<text x="14" y="22" font-size="14" font-weight="bold">Time relative to pailfs (= 1)</text>']
    for k, name in enumerate(names):
        x = LEFT + 120 + 110 * k
        label = "libcurl alone" if name == "limit" else name
        out.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS.get(name, "#555")}"/>'
                   f'<text x="{x + 17}" y="22">{escape(label)}</text>')
    for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256):
        x = place(tick)
        out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 8}" y2="{height - 28}" stroke='
                   f'"{"#1f77b4" if tick == 1 else "#e4e4e4"}" stroke-width="{2 if tick == 1 else 1}"/>'
                   f'<text x="{x:.0f}" y="{height - 12}" text-anchor="middle" fill="#555">{tick:g}</text>')
    for i, (label, rtt, _, ratios) in enumerate(rows):
        y = TOP + ROW * i
        out.append(f'<text x="14" y="{y + 15}">{escape(label)}</text>')
        thick = (ROW - 6) / len(names)
        for k, name in enumerate(names):
            if name not in ratios:
                continue
            value, cut = ratios[name]
            begin, end = sorted((place(1), place(value)))
            top = y + k * thick
            out.append(f'<rect x="{begin:.1f}" y="{top:.1f}" width="{max(end - begin, 1):.1f}" height="{thick - 1:.1f}" '
                       f'fill="{COLOURS.get(name, "#555")}"/>')
            at = place(value)
            anchor, dx = ("start", 3) if value >= 1 else ("end", -3)
            out.append(f'<text x="{at + dx:.1f}" y="{top + thick - 1.5:.1f}" font-size="8" fill="#333" '
                       f'text-anchor="{anchor}">{escape(factor(value, ">" if cut else ""))}</text>')
    out.append(f'<text x="14" y="{height - 12}" fill="#555">to the right: slower than pailfs</text></svg>')
    return "\n".join(out) + "\n"


def section(data):
    m = data["machine"]
    rows = list(shown(data))
    peers = sorted({p for _, _, e, _ in rows for p in peers_of(e)})
    judged = targets.judged(data)
    missed = {(t["workload"], t["rtt_ms"]) for t in judged if not t["met"]}
    versions = [re.sub(r"^Amazon Simple Storage Service File System V", "s3fs ", v.split(" (commit")[0])
                for k, v in data["versions"].items() if v and (k == "pailfs" or k in peers)]
    text = [BEGIN, "",
            f"Measured on {m['date']} with `tests/bench/run.sh`, on one machine of {m['cpus']} processors ({m['model']}, "
            f"{m['memory_gib']} GiB, Linux {m['kernel']}) that also ran the server, `tests/s3d`: {', '.join(versions)}. The server "
            "answered after 20 ms and gave each connection 90 MB/s, as S3 does, unless the line says otherwise. Times are those of "
            "the others divided by that of pailfs: above 1, pailfs is faster. `libcurl alone` sends the same bytes or requests with as "
            "many connections and no filesystem; it does not cache, list ahead or fetch ahead. `>`: it was ended before it was through. "
            "Only the ratios mean something elsewhere.", "",
            "![time of libcurl, s3fs and rclone relative to pailfs](tests/bench/results/bars.svg)", "",
            "| | libcurl alone | " + " | ".join(peers) + " |", "|---|" + "---|" * (len(peers) + 1)]
    for label, rtt, e, ratios in rows:
        cells = []
        for name in ("limit", *peers):
            r = e["results"].get(name)
            cells.append(factor(ratios[name][0], "> " if ratios[name][1] else "") if name in ratios
                         else "fails" if r and "error" in r else "")
        mark = " *" if (e["workload"], rtt) in missed else ""
        text.append(f"| {label}{mark} | " + " | ".join(cells) + " |")
    met = sum(t["met"] for t in judged)
    text += ["", f"{met} of {len(judged)} targets that `tests/bench/targets.py` sets are met"
             + ("; * misses one: [all of them](tests/bench/results/targets.md)." if met < len(judged) else
                ": [all of them](tests/bench/results/targets.md)."), "", END]
    return "\n".join(text) + "\n"


def write(data):
    folder = os.path.join(HERE, "results")
    os.makedirs(folder, exist_ok=True)
    small = json.loads(json.dumps(data))
    for e in small["results"]:
        for r in e["results"].values():
            r.pop("timeline", None)
    with open(os.path.join(folder, "results.json"), "w") as f:
        json.dump(small, f, separators=(",", ":"))
        f.write("\n")
    for name, text in (("bars.svg", picture(data)), ("targets.md", report.target_table(data)),
                       ("table.md", report.table(data))):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    with open(README) as f:
        old = f.read()
    new = section(data)
    if BEGIN in old:
        new = old[:old.index(BEGIN)] + new + old[old.index(END) + len(END) + 1:]
    else:
        new = old.replace("\n## Others\n", f"\n## Speed\n\n{new}\n## Others\n", 1)
    with open(README, "w") as f:
        f.write(new)
