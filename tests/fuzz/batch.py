"""Compares the library's parsers with others of other people's making, case by case.

    python3 fuzz/batch.py json|http|base64 --programs DIRECTORY [--count N] [--seed N] [FILE...]

DIRECTORY has the programs batch, batch_small (the same with UNSB_SMALL, which must agree) and, for
http, batch_llhttp: batch.sh builds them. The cases are those that are known to be hard and, with
--count, so many at random, from a seed that is printed; or the content of the files. Where two
differ, one of the rules must say why; how often each did is printed."""
import argparse
import collections
import importlib
import os
import random
import struct
import subprocess
import sys
import tempfile

AT_A_TIME = 20000


def lines_of(command, path, batch):
    """A line for each case of the batch. If the program ends early: None, and the case is shown."""
    while True:
        write_batch(path, batch)
        done = subprocess.run(command + [path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = done.stdout.decode("ascii").splitlines()
        if done.returncode == 0 and len(lines) == len(batch):
            return lines
        if len(batch) == 1:
            data, way = batch[0]
            print("#   %#04x %r: %s" % (way, data, done.stderr.decode(errors="replace")[-2000:]))
            return None
        half = batch[:len(batch) // 2]
        if lines_of(command, path, half) is None:
            return None
        batch = batch[len(half):]
        if lines_of(command, path, batch) is None:
            return None
        sys.exit("a program fails only with several cases")


def batches(cases):
    batch = []
    for case in cases:
        batch.append(case)
        if len(batch) == AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch


def write_batch(path, batch):
    with open(path, "wb") as file:
        for data, way in batch:
            file.write(struct.pack("<IB", len(data), way) + data)


def file_cases(paths, ways):
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        for way in ways:
            yield data, way


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("json", "http", "base64"))
    parser.add_argument("--programs", required=True)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--verbose", action="store_true", help="also each case and its verdict")
    parser.add_argument("file", nargs="*")
    options = parser.parse_intermixed_args()
    kind = importlib.import_module("batch_" + options.kind)
    commands = [[os.path.join(options.programs, name), options.kind]
                for name in ("batch", "batch_small")]
    if options.kind == "http":
        commands.append([os.path.join(options.programs, "batch_llhttp")])

    def cases():
        if options.file:
            yield from file_cases(options.file, (0, 1, 0x80, 0x81))
            return
        yield from kind.hard_cases()
        yield from kind.random_cases(random.Random(options.seed), options.count)

    met, verdicts, differ, total, shown = collections.Counter(), collections.Counter(), 0, 0, []
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "batch")
        for batch in batches(cases()):
            answers = [lines_of(command, path, batch) for command in commands]
            if None in answers:
                print("not ok - %s: a program fails" % options.kind)
                return 1
            for (data, way), line, small, *others in zip(batch, *answers):
                total += 1
                verdicts[line[0]] += 1
                wrong, rules = kind.compare(data, way, line, *others)
                if line != small:
                    wrong = "with UNSB_SMALL " + small
                met.update(rules)
                lines = [line, *others]
                if options.verbose:
                    print("%#04x %r: %s" % (way, data, " | ".join(lines)))
                if wrong:
                    differ += 1
                    if differ <= 20:
                        shown.append("#   %#04x %r: %s: %s" % (way, data, " | ".join(lines), wrong))
    print("# figures: %d cases, seed %d: %d taken, %d refused, %d cut short" %
          (total, options.seed, verdicts["+"], verdicts["-"], verdicts["~"]))
    for name, why in kind.RULES.items():
        print("# figures: %8d %s: %s" % (met[name], name, why))
    unmet = [name for name in kind.RULES if not met[name]] if not options.file else []
    print("%sok - %s, %d cases" % ("not " if differ or unmet else "", options.kind, total))
    for name in unmet:
        print("#   no case for the rule " + name)
    if differ:
        print("\n".join(["#   %d differ" % differ] + shown))
    return 1 if differ or unmet else 0


if __name__ == "__main__":
    sys.exit(main())
