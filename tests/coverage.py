"""Judges what clang-19 measured of unsandbox.h: coverage.py DIRECTORY UNSB_SMALL LIST

In DIRECTORY are full.json and lines, which `llvm-cov export` prints (the latter with
-format=lcov), and warnings, the compiler's. LIST is uncovered.txt: what is not covered. A reason is
a line of its own; below it, indented, stand the items that it is for: UNSB_SMALL (0, 1, or *: in
both) and the item, which the code itself names, so that it holds while lines move. An item that is
not covered and not listed is an error, and so is one that is listed but covered. TAP on stdout.
"""
import collections
import json
import os
import re
import sys

OPTION = re.compile(r"!?UNSBI?_[A-Z_0-9]+")
LITERAL = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")


def squeeze(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"\s+", " ", text).strip()


def piece(lines, span):
    l1, c1, l2, c2 = span
    if l1 == l2:
        return lines[l1 - 1][c1 - 1:c2 - 1]
    return "\n".join([lines[l1 - 1][c1 - 1:]] + lines[l1:l2 - 1] + [lines[l2 - 1][:c2 - 1]])


def conditions(text):
    """The conditions of a decision, in order: what && and || join, whatever the brackets."""
    text = squeeze(text)
    # with the insides of literals blanked
    plain = LITERAL.sub(lambda m: "_" * len(m.group()), text)
    depth, last, parts, whole = 0, 0, [], True
    for i, c in enumerate(plain):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if depth == 0 and plain[i:i + 2] in ("&&", "||"):
            parts.append(text[last:i])
            last = i + 2
        if depth == 0 and i < len(plain) - 1:
            whole = False
    if parts:
        return [leaf for part in parts + [text[last:]] for leaf in conditions(part)]
    if whole and plain.startswith("(") and re.search(r"&&|\|\|", plain):
        return conditions(text[1:-1])
    return [text]


def functions(lines):
    """The name of the function that a line lies in."""
    names, name = [], ""
    for line in lines:
        match = re.match(r"(?:[A-Za-z_][\w ]*[ *])?(unsbi?_\w+)\([^;]*$", line)
        if match and not line.startswith(("#", " ", "}")):
            name = match.group(1)
        names.append(name)
    return names


def uncovered(lines, file, ran):
    """Items that are not covered, and counts: {kind: [covered, all]}."""
    names, items = functions(lines), []
    counts = collections.OrderedDict()

    def note(kind, line, text, covered):
        counts.setdefault(kind, [0, 0])
        counts[kind][0] += covered
        counts[kind][1] += 1
        if not covered:
            items.append("%s %s: %s" % (kind, names[line - 1], text))

    decisions = collections.OrderedDict()
    for record in file["mcdc_records"]:
        span, flags = tuple(record[:4]), record[-1]
        seen = decisions.setdefault(span, [False] * len(flags))
        decisions[span] = [a or b for a, b in zip(seen, flags)]
    for span, flags in sorted(decisions.items()):
        texts = conditions(piece(lines, span))
        if len(texts) != len(flags):
            raise ValueError("line %d: %d conditions, not %d" % (span[0], len(texts), len(flags)))
        for text, covered in zip(texts, flags):
            if OPTION.fullmatch(text): # decided by the compiler; told by how many there are
                counts.setdefault("option", [0, 0])[1] += 1
                continue
            note("condition", span[0], text, covered)
    taken = collections.OrderedDict()
    for branch in file["branches"]:
        entry = taken.setdefault(tuple(branch[:4]), [0, 0])
        entry[0] += branch[4]
        entry[1] += branch[5]
    for span, both in sorted(taken.items()):
        text = squeeze(piece(lines, span))
        if OPTION.fullmatch(text):
            continue
        for value, count in zip(("true", "false"), both):
            if text.startswith(("case ", "default")) and value == "false":
                continue # of a label only whether it was reached
            note("branch", span[0], "%s is never %s" % (text, value), count != 0)
    for line, count in ran:
        text = squeeze(lines[line - 1])
        if text and not text.startswith("#"):
            note("line", line, text, count != 0)
    return items, counts


def unjudged(lines, path):
    """Decisions of which the compiler says that it cannot measure their conditions."""
    found, names = set(), functions(lines)
    with open(path) as file:
        for match in re.finditer(r"unsandbox\.h:(\d+):\d+: warning: unsupported MC/DC",
                                 file.read()):
            line = int(match.group(1))
            found.add("unjudged %s: %s" % (names[line - 1], squeeze(lines[line - 1])))
    return sorted(found)


def listed_in(path, small):
    """The items of the list for this variant."""
    listed, reason = collections.Counter(), ""
    with open(path) as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            if not line.startswith(" "):
                reason = line.strip()
                continue
            variant, item = line.strip().split(" ", 1)
            if reason and variant in ("*", small):
                listed[item] += 1
    return listed


def main():
    with open(os.path.join(sys.argv[1], "full.json")) as file:
        measured = json.load(file)["data"][0]["files"][0]
    with open(os.path.join(sys.argv[1], "lines")) as file:
        ran = [tuple(map(int, pair)) for pair in re.findall(r"^DA:(\d+),(\d+)", file.read(), re.M)]
    with open(measured["filename"]) as file:
        lines = file.read().split("\n")
    items, counts = uncovered(lines, measured, ran)
    items += unjudged(lines, os.path.join(sys.argv[1], "warnings"))
    listed = listed_in(sys.argv[3], sys.argv[2])
    there = collections.Counter(items)
    for kind, (covered, every) in counts.items():
        if kind == "option":
            print("# figures: %d conditions are options, which the compiler decides" % every)
        else:
            print("# figures: %s: %d of %d covered" % (kind, covered, every))
    print("# figures: %d listed in uncovered.txt" % sum((there & listed).values()))
    missing, stale = there - listed, listed - there
    for name, wrong in (("what is not covered is listed", missing),
                        ("what is listed is not covered", stale)):
        print("%s - %s" % ("not ok" if wrong else "ok", name))
        for item in sorted(wrong):
            print("#   " + item)
    if counts.get("condition", [0, 0])[1] < 300 or counts.get("line", [0, 0])[1] < 1500:
        print("not ok - hardly anything was measured")


if __name__ == "__main__":
    main()
