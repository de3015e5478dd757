#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the direction of #include lines: a layer sees only the layers before it, and each
third-party header is confined to one module. Prints file:line for every breach."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LAYERS = {
    "base": [],
    "conf": ["base"],
    "http": ["base"],
    "aws": ["base", "conf", "http"],
    "s3": ["base", "conf", "http", "aws"],
    "store": ["base", "s3"],
    "meta": ["base", "store"],
    "writeback": ["base", "store", "meta"],
    "data": ["base", "store"],
    "vfs": ["base", "store", "meta", "data"],
    "fuse": ["base", "conf", "store", "data", "vfs"],
    "ctl": ["base", "conf", "http", "aws", "s3", "store", "meta", "data", "vfs"],
    # Beside src/: the program that mount(8) calls, which knows the options and nothing of S3.
    "mount-helper": ["base", "conf"],
}
# The port of the store hides S3 from what is above; only its real implementation may be made there.
ASSEMBLY = {"src/main.c", "src/mount.c"}

CONFINED = {
    "curl/": ["src/http/"],
    "libxml/": ["src/s3/"],
    "openssl/": ["src/base/"],
    "fuse_lowlevel.h": ["src/fuse/"],
    "fuse.h": ["src/fuse/"],
    "sqlite3.h": ["src/meta/"],
    "jansson.h": ["src/aws/", "src/ctl/"],
    "uthash.h": ["src/base/hash.h"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check(path, errors):
    rel = os.path.relpath(path, ROOT)
    parts = rel.split(os.sep)
    # src/main.c and its like belong to no layer: they put the layers together.
    layer = parts[0] if parts[0] in LAYERS else parts[1] if len(parts) > 2 else None
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            if not m:
                continue
            kind, name = m.groups()
            where = f"{rel}:{number}"
            for prefix, homes in CONFINED.items():
                if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
                    if not any(rel.startswith(h) for h in homes):
                        errors.append(f"{where}: <{name}> belongs to {' '.join(homes)}")
            if kind != '"':
                continue
            # What assembles the layers lies beside them and is seen by nobody else.
            if "/" not in name and layer is None and rel.startswith("src/"):
                continue
            if "/" not in name:
                errors.append(f'{where}: include "{name}" by its path below src/')
                continue
            target = name.split("/")[0]
            if target not in LAYERS:
                errors.append(f'{where}: "{name}" is in no known layer')
            elif layer is not None and target != layer and target not in LAYERS[layer]:
                errors.append(f"{where}: layer {layer} must not include {target}")


def main():
    errors = []
    files = 0
    for top in ("src", "mount-helper"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    files += 1
                    check(os.path.join(folder, name), errors)
    for e in errors:
        print(e)
    if files == 0:
        print("layers.py: found no source files")
        return 1
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
