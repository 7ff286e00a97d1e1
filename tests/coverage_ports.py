"""Judges what clang-19 measured of a port: coverage_ports.py PORT LIST PORTS RUN.json...

Each RUN.json is what `llvm-cov export` prints for one program, with RUN.lines beside it (of
-format=lcov): the programs are built with different options, so their counts are added up here, by
place. LIST is uncovered_ports.txt, of the form of uncovered.txt (see coverage.py) with the port's
name before each item; with a question mark behind it, the item may be covered, too. TAP on stdout.
"""
import collections
import json
import os
import re
import sys

import coverage


def bodies(path, data):
    """The functions of a file as one program has them: {first line: (last line, calls)}."""
    found = {}
    for function in data["functions"]:
        if function["filenames"][0] == path:
            first, last = function["regions"][0][0], function["regions"][0][2]
            found[first] = (last, function["count"] + found.get(first, (0, 0))[1])
    return found


def measured(path, runs):
    """What all runs together say of a file: its branches, and how often each line ran. Of a function
    that a program does not call its lines do not count, unless none does: where the compiler leaves
    one out, as it is static, it does not tell which of its lines are for this system at all."""
    branches, lines, idle, called = collections.OrderedDict(), {}, {}, set()
    for run in runs:
        with open(run) as file:
            data = json.load(file)["data"][0]
        for branch in [b for f in data["files"] if f["filename"] == path for b in f["branches"]]:
            entry = branches.setdefault(tuple(branch[:4]), [0, 0])
            entry[0] += branch[4]
            entry[1] += branch[5]
        inside = {}
        for first, (last, calls) in bodies(path, data).items():
            if calls != 0:
                called.add(first)
            else:
                inside.update((line, first) for line in range(first, last + 1))
        with open(run[:-len(".json")] + ".lines") as file:
            for record in file.read().split("end_of_record"):
                if not re.search(r"^SF:%s$" % re.escape(path), record, re.M):
                    continue
                for line, count in re.findall(r"^DA:(\d+),(\d+)", record, re.M):
                    if int(line) in inside:
                        idle.setdefault(inside[int(line)], set()).add(int(line))
                    else:
                        lines[int(line)] = lines.get(int(line), 0) + int(count)
    for first in set(idle) - called:
        lines.update((line, 0) for line in idle[first] if line not in lines)
    return [list(span) + counts for span, counts in branches.items()], sorted(lines.items())


def has_code(lines):
    """Of each line, whether there is more in it than comment and braces."""
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), "\n".join(lines),
                  flags=re.S)
    return [re.search(r"[^\s{};]", line) is not None for line in text.split("\n")]


def main():
    port, excused, directory, runs = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    name = "unsandbox.hpp" if port == "hpp" else "unsandbox_%s.h" % port
    path = os.path.join(directory, name)
    branches, ran = measured(path, runs)
    with open(path) as file:
        lines = file.read().split("\n")
    code = has_code(lines)
    ran = [(line, count) for line, count in ran if code[line - 1]]
    items, counts = coverage.uncovered(lines, {"mcdc_records": [], "branches": branches}, ran)
    listed, there = coverage.listed_in(excused, port), collections.Counter(items)
    either = coverage.listed_in(excused, port + "?") # by chance covered, or not
    print("# figures: %s: %s; %d listed" % (
        name, ", ".join("%d of %d %s" % (covered, every, {"line": "lines"}.get(kind, "branches"))
                        for kind, (covered, every) in sorted(counts.items(), reverse=True)),
        sum((there & (listed + either)).values())))
    for what, wrong in (("what is not covered is listed", there - listed - either),
                        ("what is listed is not covered", listed - there)):
        print("%s - %s: %s" % ("not ok" if wrong else "ok", name, what))
        for item in sorted(wrong.elements()):
            print("#   %s %s" % (port, item))
    if counts.get("line", [0, 0])[1] < 30:
        print("not ok - %s: hardly anything was measured" % name)


if __name__ == "__main__":
    main()
