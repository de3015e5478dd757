#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
"""The manual pages and the programs' --help name the same commands, options, other names and
defaults: what is missing on either side is a failure."""
import os
import re
import subprocess
import sys

SOURCE, BUILD = os.environ["SOURCE_DIR"], os.environ["BUILD_DIR"]
errors = []


def complain(text):
    errors.append(text)


def run(*command):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {p.returncode}\n{p.stdout}")
    return p.stdout


def page(name):
    with open(f"{SOURCE}/packaging/man/{name}.scd", encoding="utf-8") as f:
        return f.read()


def section(text, title):
    """The lines below a heading, up to the next one of the same or a higher level."""
    ends = tuple("#" * n + " " for n in range(1, len(title.split(" ")[0]) + 1))
    lines = text.split("\n")
    if title not in lines:
        sys.exit(f"no heading '{title}'")
    start = lines.index(title) + 1
    end = next((i for i in range(start, len(lines)) if lines[i].startswith(ends)), len(lines))
    return "\n".join(lines[start:end])


def definitions(text):
    """[(line, paragraph)] of scdoc's form: a line, then a paragraph indented by a tab."""
    return [(m.group(1), " ".join(m.group(2).split()))
            for m in re.finditer(r"^(\S.*)\n((?:\t.*\n?)+)", text, re.M)]


def bold(text):
    return [w.replace("\\", "") for w in re.findall(r"\*((?:\\.|[^*\\])+)\*", text)]


def compare(what, left_name, left, right_name, right):
    for w in sorted(set(left) - set(right)):
        complain(f"{what} '{w}': in {left_name}, not in {right_name}")
    for w in sorted(set(right) - set(left)):
        complain(f"{what} '{w}': in {right_name}, not in {left_name}")


def pailfs_rows(text):
    """{name: (letter, value's name, other names, default)} and {title: words} of --help."""
    rows, words = {}, {}
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if not re.match(r"  \S", line):
            continue
        body = []
        for follow in lines[i + 1:]:
            if not follow.startswith("      "):
                break
            body.append(follow.strip())
        body = " ".join(body)
        if line.endswith(":"):
            words[line.strip(" :")] = body.split()
            continue
        m = re.fullmatch(r"  (?:-(.), )?([a-z_]+)(?:=(\S+))?", line)
        if not m:
            complain(f"--help: cannot read the line '{line}'")
            continue
        also = re.search(r"\[also: ([^]]*)\]", body)
        default = re.search(r"default ([^\s)\]]+)\)", body)
        rows[m.group(2)] = (m.group(1), m.group(3), also.group(1).split() if also else [],
                            default.group(1) if default else None)
    return rows, words


def check_pailfs():
    text = page("pailfs.1")
    rows, words = pailfs_rows(run(BUILD + "/src/pailfs", "--help"))
    if len(rows) < 40 or sum(map(len, words.values())) < 60:
        sys.exit("--help was not understood")
    documented = {}
    for line, paragraph in definitions(section(text, "# OPTIONS")):
        names = bold(line)
        value = re.search(r"=_([^_]+)_$", line)
        letter = names.pop(0)[1:] if names[0].startswith("-") else None
        documented[names[0]] = (letter, value.group(1) if value else None, paragraph)
    compare("option", "--help", rows, "pailfs(1)", documented)
    for name in set(rows) & set(documented):
        letter, value, also, default = rows[name]
        man_letter, man_value, paragraph = documented[name]
        if (letter, value) != (man_letter, man_value):
            complain(f"option '{name}': --help has letter {letter} and value {value}, "
                     f"pailfs(1) {man_letter} and {man_value}")
        m = re.search(r"\bAlso ((?:\*[^*]+\*(?:, )?)+)\.", paragraph)
        compare(f"other name of {name}", "--help", also, "pailfs(1)", bold(m.group(1)) if m else [])
        if default and default not in paragraph:
            complain(f"option '{name}': the default {default} is not in pailfs(1)")
    listed = []
    for heading in ("## Words of mount(8) and FUSE", "## Words of other programs"):
        # The prose around the lists names no other word in bold but manual pages.
        listed += [w for w in bold(section(text, heading)) if w != "mount"]
    compare("word", "--help", [w for l in words.values() for w in l], "pailfs(1)", listed)


def check_pailctl():
    text = page("pailctl.1")
    shown = run(BUILD + "/src/pailctl", "--help")
    part = dict(re.findall(r"^(Commands|Options):\n((?:  .*\n)+)", shown, re.M))
    commands = re.findall(r"^  (\S+)", part["Commands"], re.M)
    options = re.findall(r"--([a-z-]+)", re.sub(r"^(  .{30}).*$", r"\1", part["Options"], flags=re.M))
    if len(commands) < 8 or len(options) < 12:
        sys.exit("pailctl --help was not understood")
    headings = ("# COMMANDS FOR MOUNTS", "# COMMANDS FOR BUCKETS AND OBJECTS")
    documented = [bold(l)[0] for h in headings for l, _ in definitions(section(text, h))]
    compare("command", "--help", commands, "pailctl(1)", documented)
    documented = [w[2:] for l, _ in definitions(section(text, "# OPTIONS")) for w in bold(l)
                  if w.startswith("--")]
    compare("option", "--help", options, "pailctl(1)", documented)
    # Which options a command has beyond the general ones.
    for line in re.findall(r"^  (\S.*)", part["Commands"], re.M):
        name = line.split()[0]
        man = [l for h in headings for l, _ in definitions(section(text, h)) if bold(l)[0] == name]
        plain = re.sub(r"[*_]", "", man[0]) if man else ""
        if plain != line:
            complain(f"pailctl {name}: --help says '{line}', pailctl(1) '{plain}'")


def check_semantics():
    """Every test that pailfs(7) names is there."""
    text = page("pailfs.7")
    named = re.findall(r"tests/[a-z0-9_/]+\.(?:sh|c|py)", text)
    if len(named) < 20:
        complain(f"pailfs(7) names only {len(named)} tests")
    for path in sorted(set(named)):
        if not os.path.isfile(os.path.join(SOURCE, path)):
            complain(f"pailfs(7) names {path}, which does not exist")


check_pailfs()
check_pailctl()
check_semantics()
for e in errors:
    print(e)
sys.exit(1 if errors else 0)
