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
        if default and default not in paragraph.replace("\\", ""):
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
    # A name is one word, or two, of which the second is lower case too.
    commands = re.findall(r"^  (\S+(?: [a-z]+(?![^ \n]))?)", part["Commands"], re.M)
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
        name = re.match(r"\S+(?: [a-z]+(?![^ \n]))?", line).group(0)
        man = [l for h in headings for l, _ in definitions(section(text, h)) if bold(l)[0] == name]
        plain = re.sub(r"[*_]", "", man[0]) if man else ""
        if plain != line:
            complain(f"pailctl {name}: --help says '{line}', pailctl(1) '{plain}'")


def runs():
    """{path of a test: it is in the runner's list}, by the list's own words."""
    listed = set(run(sys.executable, SOURCE + "/tests/lib/runner.py", "--list").split())
    by_folder = {}
    for name in listed:
        group, stem = name.split("/", 1)
        by_folder.setdefault(group.split("-")[0], set()).add(stem)
    return by_folder


def check_named(title, paths, by_folder):
    """Tests that a text names exist, and the runner runs them."""
    for path in sorted(set(paths)):
        m = re.fullmatch(r"tests/([a-z0-9]+)/(\w+)\.(?:sh|c|py)", path)
        if not m or not os.path.isfile(os.path.join(SOURCE, path)):
            complain(f"{title} names {path}, which does not exist")
        elif m.group(2) not in by_folder.get(m.group(1), ()):
            complain(f"{title} names {path}, which the runner does not run")


def sentences(text):
    """Every sentence, item of a list and row of a table of a page, on one line."""
    for block in re.split(r"\n\s*\n|\n(?=- )|\n(?=\|  )", text):
        block = " ".join(block.split())
        if not block or block.startswith(("#", "[[")):
            continue
        if block.startswith("|"):
            yield block
        else:
            yield from re.split(r"(?<=[.])\s+(?=[A-Z*_])", block)


def check_semantics():
    """Every sentence of the contract, from FILES AND OBJECTS on, names its tests: "... [tests/...]."."""
    text = page("pailfs.7")
    by_folder = runs()
    named = " ".join(re.findall(r"\[(tests/[^]]+)\]", text))
    check_named("pailfs(7)", re.split(r",?\s+", named), by_folder)
    contract = text[text.index("# FILES AND OBJECTS"):text.index("# WHAT IS NOT THERE")]
    errnos = contract.index("[[ *errno*")
    tables = re.sub(r"\[\[ \*In the key\*\n(?:[|:].*\n)*", "", contract[:errnos])
    proven = 0
    for sentence in list(sentences(tables)) + list(sentences(contract[errnos:])):
        if re.search(r"\[tests/[\w./]+(?:, tests/[\w./]+)*\][.:]?$", sentence):
            proven += 1
        else:
            complain(f"pailfs(7): no test is named by '{sentence}'")
    if proven < 60:
        complain(f"pailfs(7): only {proven} sentences were understood")


def check_traps():
    """Every row of tests/traps.md names tests that run."""
    with open(SOURCE + "/tests/traps.md", encoding="utf-8") as f:
        rows = [l for l in f if l.startswith("| ") and not l.startswith("| what")]
    by_folder = runs()
    if len(rows) < 35:
        complain(f"tests/traps.md: only {len(rows)} rows were understood")
    for row in rows:
        last = row.strip().strip("|").split("|")[-1]
        named = re.findall(r"[\w/]+\.(?:sh|c|py)", last)
        if not named:
            complain(f"tests/traps.md: no test in '{row.strip()}'")
        check_named("tests/traps.md", ["tests/" + n for n in named], by_folder)


check_pailfs()
check_pailctl()
check_semantics()
check_traps()
for e in errors:
    print(e)
sys.exit(1 if errors else 0)
