# SPDX-License-Identifier: Apache-2.0
"""What pailfs has set out to reach, as ratios within one run, and whether it did.

The round trip that a target speaks of is what one raw request takes in the same run: the limit's time for each file. A peer
that was cut counts with the time at which it was."""
import fnmatch


def seconds(r):
    """None: there is no time; of one that was cut, the least that it can be."""
    if not r:
        return None
    return r.get("median_s") or r.get("over")


def peers_of(entry):
    return {n: r for n, r in entry["results"].items() if n not in ("limit", "pailfs")}


def best_peer(entry):
    times = [s for s in map(seconds, peers_of(entry).values()) if s]
    return min(times) if times else None


def cut(entry, name=None):
    """Whether the best peer's time is one at which it was cut."""
    best = best_peer(entry)
    return any("over" in r and r["over"] == best for n, r in peers_of(entry).items() if name in (None, n))


class Data:
    def __init__(self, data):
        self.data = data
        self.by = {(e["workload"], e["rtt_ms"]): e for e in data["results"]}

    def per_file(self, workload, rtt):
        e = self.by.get((workload, rtt))
        s = seconds(e["results"].get("pailfs")) if e and e["files"] else None
        return s / e["files"] if s else None


def at_least(value, want, what, more=""):
    return {"target": f"≥ {want} × {what}", "got": f"{more}{value:.2f}", "met": value >= want, "ratio": value}


def at_most(value, want, what):
    return {"target": f"≤ {want} {what}", "got": f"{value:.2f}", "met": value <= want, "ratio": value}


def of_limit(want):
    def rule(d, e, own):
        limit = seconds(e["results"].get("limit"))
        return at_least(limit / own, want, "limit") if limit else None
    return rule


def of_raw(want):
    def rule(d, e, own):
        limit = seconds(e["results"].get("limit"))
        return at_most(own / limit, want, "× raw requests") if limit else None
    return rule


def of_peer(want, name=None):
    def rule(d, e, own):
        best = seconds(e["results"].get(name)) if name else best_peer(e)
        more = ">" if best and (cut(e) if not name else "over" in e["results"][name]) else ""
        return at_least(best / own, want, name or "best peer", more) if best else None
    rule.times = want
    return rule


def of_other(want, workload):
    def rule(d, e, own):
        other, mine = d.per_file(workload, e["rtt_ms"]), d.per_file(e["workload"], e["rtt_ms"])
        return at_least(other / mine, want, f"rate of {workload}") if other and mine else None
    return rule


def of_pages(want):
    def rule(d, e, own):
        n = e["results"]["pailfs"].get("requests")
        return at_most(n / e["pages"], want, "requests for each page") if n and e["pages"] else None
    return rule


def of_rss(mib):
    def rule(d, e, own):
        return at_most(e["results"]["pailfs"]["rss"] / 2**20, mib, "MiB peak RSS")
    return rule


def of_cpu(http, tls):
    def rule(d, e, own):
        used = e["results"]["pailfs"].get("cpu_s")
        want = tls if d.data.get("tls") else http
        return at_most(used / e["bytes"] * 1e9, want, "CPU s/GB") if used is not None and e["bytes"] >= 100e6 else None
    return rule


def of_round_trips(n, in_limit):
    """So many round trips and the time that the server takes: that of the limit without its round trips."""
    def rule(d, e, own):
        limit, rtt = seconds(e["results"].get("limit")), e["rtt_ms"] / 1000
        if not limit or not rtt:
            return None
        return at_most((own - max(0, limit - in_limit * rtt)) / rtt, n, "RTT beside the server's time")
    return rule


def lists_only(d, e, own):
    operations = e["results"]["pailfs"].get("operations")
    if operations is None:
        return None
    others = {k: v for k, v in operations.items() if not k.startswith("List")}
    return {"target": "LISTs only", "got": ", ".join(f"{v} {k}" for k, v in operations.items()) or "none",
            "met": not others, "ratio": None}


RULES = (
    ("read1", (0, 20), of_limit(0.9)), ("read8", (0, 20), of_limit(0.9)),
    ("read1_direct", (0, 20), of_limit(0.9)), ("read8_direct", (0, 20), of_limit(0.9)),
    ("read[18]", (0, 20), of_peer(1.2)), ("read[18]_direct", (0, 20), of_peer(1.2)),
    ("read*_512m", (0, 20), of_limit(0.85)), ("read*_512m", (0, 20), of_rss(600)),
    ("small*_1", (20,), of_peer(5)), ("small*_1_shuffled", (20,), of_raw(1.1)),
    ("random*_qd1", (20,), of_raw(1.1)), ("random*_qd64", (20,), of_limit(0.9)),
    ("write[18]", (0, 20), of_limit(0.85)),
    ("create1", (20,), of_raw(1.15)), ("create64", (20,), of_limit(0.85)),
    ("create1_writeback", (20,), of_other(20, "create1")),
    ("ls100k_page80", (20,), of_peer(6)), ("ls100k_page80", (20,), of_pages(1.3)),
    ("find_tree", (20,), of_peer(20, "s3fs")), ("find_tree", (20,), of_peer(5, "rclone")),
    ("rm", (20,), of_raw(1.1)), ("rm_writeback", (20,), of_other(20, "rm")),
    ("mv", (20,), of_peer(5)), ("patch4k", (20,), of_round_trips(8, 3)),
    ("rsync2", None, lists_only),
    ("read[18]", None, of_cpu(0.8, 1.4)), ("write[18]", None, of_cpu(0.8, 1.4)),
)


def patience(name, rtt):
    """As many times as long as pailfs a peer has to take for all targets to be met; 0: no matter."""
    return max((getattr(rule, "times", 0) for pattern, rtts, rule in RULES
                if fnmatch.fnmatchcase(name, pattern) and (not rtts or rtt in rtts)), default=0)


def judged(data):
    """A list of what each target got, in the order of the results."""
    d, found = Data(data), []
    for e in data["results"]:
        own = seconds(e["results"].get("pailfs"))
        for pattern, rtts, rule in RULES:
            if not fnmatch.fnmatchcase(e["workload"], pattern) or rtts and e["rtt_ms"] not in rtts:
                continue
            if not own or "over" in e["results"]["pailfs"]:
                found.append({"workload": e["workload"], "rtt_ms": e["rtt_ms"], "target": "to run at all", "got": "failed",
                              "met": False, "ratio": None})
                break
            result = rule(d, e, own)
            if result:
                found.append({"workload": e["workload"], "rtt_ms": e["rtt_ms"], **result})
    return found
