# SPDX-License-Identifier: Apache-2.0
"""All workloads, in the order of the report. A new one is a class in one of these files and an entry in its ALL."""
import workloads_names
import workloads_programs
import workloads_read
import workloads_write

ALL = [*workloads_read.ALL, *workloads_write.ALL, *workloads_names.ALL, *workloads_programs.ALL]


def chosen(only, level):
    """Those that are named, by their whole name or "ls*"; without names, all that belong to the size."""
    import fnmatch
    if only:
        return [x for x in ALL if any(fnmatch.fnmatchcase(x.name, o) for o in only)]
    return [x for x in ALL if getattr(x, "level", 0) <= level]
