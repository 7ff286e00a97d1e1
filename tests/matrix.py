"""What ran where, against what the documents claim.

    python3 matrix.py check LINES DOCUMENT...    prints the matrix and a verdict for each document
    python3 matrix.py write LINES DOCUMENT       brings a document's table up to what ran

LINES is what lib.sh's matrix_line wrote: port, target, verdict and figures, separated by tabs. A
verdict is "run", "compiled", "skipped" (the tools could not be had here) or "failed"; where one port
and target has several lines, a failure counts, else the most that was shown. A document's tables
stand between <!-- matrix --> and <!-- /matrix -->:

    | port | target | here | figures |
    | --- | --- | --- | --- |
    | posix | Linux | run here in CI | 21 tests |
    | posix | macOS | untested | |

The last column may be absent. A row must not claim more than ran; of what was skipped, the claim is
listed as not checked. What ran and has no row is listed, and is no error. `write` sets the third and fourth column of rows that ran, says "untested"
in the others, and appends rows for the ports it finds in the table already.
"""
import sys

WORDS = {"run": "run here in CI", "compiled": "compiled here", "skipped": "skipped here",
         "failed": "failed here"}
CLAIMS = {"run here in CI": 2, "compiled here": 1, "untested": 0}
RANK = {"run": 2, "compiled": 1, "skipped": 0, "failed": -1}
BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"


def read_lines(path):
    """{(port, target): (verdict, figures)} and the errors."""
    found, errors = {}, []
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        lines = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        if len(fields) != 4 or fields[2] not in RANK or not fields[0] or not fields[1]:
            errors.append("line %d is not port, target, verdict, figures: %r" % (number, line))
            continue
        key, value = tuple(fields[:2]), tuple(fields[2:])
        # a failure outweighs all; else the most that was shown counts, and of equals the last
        old = found.get(key, ("skipped", ""))
        if "failed" in (old[0], value[0]):
            found[key] = old if old[0] == "failed" else value
        elif RANK[value[0]] >= RANK[old[0]]:
            found[key] = value
    return found, errors


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(path):
    """Yields (index of the line, cells) of each row of each table, and all lines at the end."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    result, inside, header = [], False, 0
    for index, line in enumerate(lines):
        if line.strip() == BEGIN:
            inside, header = True, 0
        elif line.strip() == END:
            inside = False
        elif inside and line.startswith("|"):
            header += 1
            if header > 2:
                result.append((index, cells(line)))
        elif inside:
            header = 0
    return lines, result


def check(found, path):
    """The lines of TAP for one document."""
    _, table = rows(path)
    problems, unchecked = [], []
    for _, row in table:
        claim = row[2] if len(row) > 2 else ""
        verdict = found.get((row[0], row[1]), (None, ""))[0] if len(row) > 1 else None
        if claim not in CLAIMS:
            problems.append("%s: not a claim: %r" % (path, " | ".join(row)))
        elif verdict == "failed":
            problems.append("%s: %s on %s failed" % (path, row[0], row[1]))
        elif verdict == "skipped" and CLAIMS[claim] > 0:
            unchecked.append("%s claims %r for %s on %s" % (path, claim, row[0], row[1]))
        elif CLAIMS[claim] > RANK.get(verdict, 0):
            problems.append("%s claims %r for %s on %s; here: %s"
                            % (path, claim, row[0], row[1], WORDS.get(verdict, "it did not run")))
    if not table:
        problems.append("%s has no matrix" % path)
    return problems, unchecked, {tuple(row[:2]) for _, row in table}


def write(found, path):
    lines, table = rows(path)
    width = max((len(row) for _, row in table), default=3)
    last = {}
    for index, row in table:
        verdict, figures = found.get(tuple(row[:2]), ("untested", ""))
        if verdict == "skipped":  # it says nothing against what the row says
            last[row[0]] = index
            continue
        text = row[:2] + [WORDS.get(verdict, "untested")] + [figures][:width - 3]
        lines[index] = "| " + " | ".join(text) + " |"
        last[row[0]] = index
    have = {tuple(row[:2]) for _, row in table}
    new = [(last[key[0]], key) for key in found if key not in have and key[0] in last
           and found[key][0] != "skipped"]
    for index, key in sorted(new, reverse=True):
        verdict, figures = found[key]
        text = list(key) + [WORDS[verdict]] + [figures][:width - 3]
        lines.insert(index + 1, "| " + " | ".join(text) + " |")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in ("check", "write"):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    found, errors = read_lines(arguments[1])
    if arguments[0] == "write":
        for error in errors:
            print(error, file=sys.stderr)
        if not errors:
            write(found, arguments[2])
        return 1 if errors else 0
    named, failed = set(), False
    for error in errors:
        print("not ok - " + error)
    for path in arguments[2:]:
        problems, unchecked, keys = check(found, path)
        named |= keys
        for problem in problems:
            print("not ok - " + problem)
        for claim in unchecked:
            print("ok - # SKIP " + claim)
        if not problems:
            print("ok - %s claims no more than ran" % path)
        failed = failed or bool(problems)
    for (port, target), (verdict, figures) in sorted(found.items()):
        text = "%s on %s: %s" % (port, target, WORDS[verdict])
        more = "" if (port, target) in named else " (in no document)"
        print("# figures: " + text + (", " + figures if figures else "") + more)
    return 1 if failed or errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
