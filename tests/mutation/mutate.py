"""Plants small faults in unsandbox.h, one at a time, and asks whether the suites notice.

    python3 mutation/mutate.py [--count N] [--seed N] [--part K/N] [--jobs N] [--seconds N]
                               [--at-least PERCENT] [--lines FIRST-LAST] [--again FILE]

A mutant is noticed if a suite fails, crashes, or takes more than CPU_SECONDS of processor time, or
if a path of bench/count.c takes as many instructions more as `sh tests/bench.sh counts` refuses.
Those that do not compile, or give the same object code by gcc -O2, are drawn anew: they are no
other program. The suites are tried with UNSB_SMALL 0, then 1, where that makes other code. A mutant
that no suite notices is a survivor; survivors.txt has those that were looked at, with the reason
why no test can tell them from the original. They are counted as survivors all the same. TAP on
stdout; exit status 0 if enough were noticed. Runs with the same --seed and --count and the parts
1/2 and 2/2 share the work: what they draw has nothing in common, and their figures add up. --again
tries the survivors alone that FILE tells of: the output of an earlier run, or survivors.txt itself.
In the last long run, --count 500 --seed 20261126, 488 were noticed (97.6 %); of the 12 others those
are in survivors.txt whose lines still stand. With the header's text what is drawn changes, too.

tcc compiles a suite in a hundredth of a second, which is what makes hundreds of mutants possible.
What survives is tried with gcc, too: there is code for compilers that know its built-in functions,
and what is undefined is a fault (UBSan), as it is in the sanitized suites.
"""
import argparse
import concurrent.futures
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
ROOT = os.path.dirname(TESTS)
HEADER = os.path.join(ROOT, "unsandbox.h")
sys.path.insert(0, os.path.join(TESTS, "bench"))
import instructions # noqa: E402
CPU_SECONDS = 10 # the slowest suite takes less than 2
# The quickest first. A section's own suites come before them.
SUITES = ["client", "exchange", "request", "sign", "parts", "json_writer", "http", "json_reader",
          "base64", "tolerance", "dialects"]
SECTIONS = {"base64": ["base64"], "encode": ["request", "json_writer", "sign"],
            "json-writer": ["json_writer"], "json-reader": ["json_reader", "parts"],
            "sha256": ["sign"], "request": ["request"], "http": ["http", "parts"],
            "result": ["exchange", "tolerance", "dialects"], "base": ["parts", "json_reader"],
            "machine": ["client", "exchange"], "public": ["client", "request"]}
COMPILE = ["-std=c11", "-D_POSIX_C_SOURCE=200809L"]
STRICT = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
SWAPS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="],
         "!=": ["=="], "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "++": ["--"],
         "--": ["++"], "+=": ["-="], "-=": ["+="], "<<": [">>"], ">>": ["<<"], "&": ["|"],
         "|": ["&"], "|=": ["&="], "&=": ["|="]}
TOKEN = re.compile(r"""/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|"""
                   r"""^[ \t]*\#(?:\\\n|[^\n])*|"""
                   r"""[A-Za-z_]\w*|0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*|<<=|>>=|->|\+\+|--|<<|>>|"""
                   r"""<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\S""", re.S | re.M)
NO_STATEMENT = {"return", "break", "continue", "goto", "case", "default", "else", "if", "for",
                "while", "do", "switch", "static", "const", "typedef", "enum", "struct", "extern"}


def closing(tokens, at):
    depth = 0
    for i in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[i][0], 0)
        if depth == 0:
            return i
    return at


def mutants(text):
    """All mutants as (start, end, replacement) of the implementation part, in order."""
    begin = text.index("#if defined(UNSANDBOX_IMPLEMENTATION)")
    tokens = [(m.group(), m.start()) for m in TOKEN.finditer(text, begin)
              if not m.group().startswith("/*") and not m.group().lstrip().startswith("#")]
    found, depth = [], 0
    for i, (word, start) in enumerate(tokens):
        end = start + len(word)
        before = tokens[i - 1][0] if i else ""
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
        if depth == 0:
            continue
        binary = before[-1:].isalnum() or before in ("_", ")", "]")
        if word in SWAPS and (binary or word in ("++", "--")):
            found += [(start, end, other) for other in SWAPS[word]]
        elif word[0].isdigit():
            digits = re.match(r"0[xX][0-9a-fA-F]+|\d+", word).group()
            value, suffix = int(digits, 0 if digits[:2] in ("0x", "0X") else 10), word[len(digits):]
            # -1 marks what is none, which any other negative number would do as well
            mark = value == 1 and before == "-" and tokens[i - 2][0] in (",", "{")
            found += [(start, end, "%d%s" % (v, suffix)) for v in (value + 1, value - 1)
                      if v >= 0 and not (mark and v > 1)]
        elif word == "if":
            last = closing(tokens, i + 1)
            a, b = tokens[i + 1][1], tokens[last][1] + 1
            found.append((a, b, "(!%s)" % text[a:b]))
        elif word == "return" and tokens[i + 1][0] in ("true", "false"):
            a = tokens[i + 1][1]
            found.append((a, a + len(tokens[i + 1][0]),
                          "false" if tokens[i + 1][0] == "true" else "true"))
        # a statement: from what ends the one before to its semicolon
        if before in (";", "{", "}") and (word[0].isalpha() or word in ("(", "*", "++", "--")) and \
                word not in NO_STATEMENT:
            stop, level = i, 0
            while stop + 1 < len(tokens) and (tokens[stop][0] not in (";", "{", "}") or level > 0):
                level += {"(": 1, ")": -1}.get(tokens[stop][0], 0)
                stop += 1
            nested = any(t[0] in ("=", "(", "++", "--", "+=", "-=", "|=", "&=")
                         for t in tokens[i:stop])
            declares = tokens[i + 1][0][:1].isalpha() or \
                (tokens[i + 1][0] == "*" and before != ")" and word != "*")
            if tokens[stop][0] == ";" and nested and not declares:
                found.append((start, tokens[stop][1], ""))
    return found


def section_of(text, at):
    names = re.findall(r"^ \* >>([a-z0-9-]+)", text[:at], re.M)
    return names[-1] if names else ""


def key_of(text, mutant):
    """Names a mutant by its line's text, not its number: it holds while other code changes."""
    start, end, other = mutant
    a = text.rfind("\n", 0, start) + 1
    b = text.find("\n", end)
    return re.sub(r"\s+", " ", "%s<<%s=>%s>>%s" % (text[a:start], text[start:end], other,
                                                  text[end:b])).strip()


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26))


def run(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False, **more).returncode


def object_code(folder, small):
    """The library's object code by gcc -O2; None: it does not compile."""
    path = os.path.join(folder, "object.o")
    with open(os.path.join(folder, "object.c"), "w") as file:
        file.write('#define UNSANDBOX_IMPLEMENTATION\n#include "unsandbox.h"\n')
    if run(["gcc", "-O2", "-w", "-DUNSB_SMALL=%d" % small, *COMPILE, "-c", "-o", path, "object.c"],
           cwd=folder) != 0:
        return None
    with open(path, "rb") as file:
        return file.read()


def noticed_by(folder, name, small, compiler=("tcc",)):
    """Whether a suite notices; None if it is not translated."""
    program = os.path.join(folder, name)
    if run([*compiler, "-w", *COMPILE, "-DUNSB_SMALL=%d" % small, "-I" + folder, "-I../ports",
            "-Isuites", "-Iports", "suites/test_%s.c" % name, "-o", program, "-lcmocka",
            "-lpthread"], cwd=TESTS) != 0:
        return None
    try:
        return run([program], cwd=TESTS, preexec_fn=limits, timeout=CPU_SECONDS * 30) != 0
    except subprocess.TimeoutExpired:
        return True


def dearer(folder, counts):
    """Whether a path takes more instructions than bench.sh counts lets pass."""
    try:
        found = instructions.quick(ROOT, folder, folder)
    except SystemExit: # a check of its own failed
        return True
    return any(n > counts[path] * (1 + instructions.TOLERANCE) for path, n in found.items())


def try_mutant(text, mutant, originals, counts=None):
    """The suite that noticed it, "" if none did, None if it is no other program."""
    folder = tempfile.mkdtemp(prefix="unsb_mutant.")
    try:
        with open(os.path.join(folder, "unsandbox.h"), "w") as file:
            file.write(text[:mutant[0]] + mutant[2] + text[mutant[1]:])
        first, other = SECTIONS.get(section_of(text, mutant[0]), []), originals is None
        for small in (0, 1):
            if small == 1 and originals is not None: # most mutants never get here: gcc is slow
                codes = [object_code(folder, n) for n in (0, 1)]
                if None in codes or codes == originals:
                    return None
                other = True
                if codes[1] == originals[1]:
                    break
            for name in first + [s for s in SUITES if s not in first]:
                noticed = noticed_by(folder, name, small)
                if noticed is None:
                    return None
                if noticed:
                    return name
        if originals is None or codes[0] != originals[0]:
            for name in first + [s for s in SUITES if s not in first]:
                if noticed_by(folder, name, 0, ("gcc", *STRICT)):
                    return name
            if originals is not None and dearer(folder, counts):
                return "counts"
        return "" if other else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed():
    """survivors.txt: a mutant, and below it, indented, the reason."""
    reasons, key = {}, ""
    with open(os.path.join(HERE, "survivors.txt")) as file:
        for line in file:
            if line.startswith(" "):
                reasons[key] = " ".join([*reasons.get(key, "").split(), line.strip()])
            elif line.strip() and not line.startswith("#"):
                key = line.strip()
    return reasons


def survivors_of(path):
    """The keys in the output of a run, or in survivors.txt."""
    with open(path) as file:
        said = [re.sub(r"^# survivor: \S+ | \[[^]]*\]$", "", line.rstrip())
                for line in file if line.startswith("# survivor: ") or line[0] not in " #"]
    return set(said)


def part_of(text):
    part, parts = (int(n) for n in text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part, parts


def lines_of(text):
    first, last = (int(n) for n in text.split("-"))
    return first, last


def line_of(text, mutant):
    return text.count("\n", 0, mutant[0]) + 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--part", type=part_of, default=(1, 1), metavar="K/N")
    parser.add_argument("--lines", type=lines_of, help="draw from these lines of the header alone")
    parser.add_argument("--again", metavar="FILE", help="draw from its survivors alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=0, help="start no mutant after so long")
    parser.add_argument("--at-least", type=float, default=95)
    options = parser.parse_args()
    started = time.monotonic()
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    with open(HEADER) as file:
        text = file.read()
    every = mutants(text)
    random.Random(seed).shuffle(every)
    if options.lines:
        first, last = options.lines
        every = [m for m in every if first <= line_of(text, m) <= last]
    if options.again:
        again = survivors_of(options.again)
        every = [m for m in every if key_of(text, m) in again]
    part, parts = options.part
    every = every[part - 1::parts]
    count = options.count // parts + (part <= options.count % parts)
    print("# seed %d, part %d of %d: %d mutants to draw %d from" % (
        seed, part, parts, len(every), count), flush=True)
    folder = tempfile.mkdtemp(prefix="unsb_mutant.")
    shutil.copy(HEADER, folder)
    originals = [object_code(folder, small) for small in (0, 1)]
    counts = instructions.quick(ROOT, folder, folder)
    shutil.rmtree(folder)
    if None in originals or try_mutant(text, (0, 0, ""), None) != "":
        print("not ok - the suites do not pass as they are")
        return 1
    noticed, survivors, same = {}, [], 0
    reasons = listed()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        position, running = 0, {}
        while True:
            counted = sum(noticed.values()) + len(survivors)
            late = options.seconds and time.monotonic() - started > options.seconds
            while not late and position < len(every) and len(running) < options.jobs and \
                    counted + len(running) < count:
                mutant = every[position]
                running[pool.submit(try_mutant, text, mutant, originals, counts)] = position
                position += 1
            if not running:
                break
            done, _ = concurrent.futures.wait(running,
                                              return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                mutant, verdict = every[running.pop(future)], future.result()
                if verdict is None:
                    same += 1
                elif verdict:
                    noticed[verdict] = noticed.get(verdict, 0) + 1
                else:
                    survivors.append(mutant)
                    key = key_of(text, mutant)
                    print("# survivor: unsandbox.h:%d: %s [%s]" % (
                        line_of(text, mutant), key, reasons.get(key, "not listed")), flush=True)
    total = sum(noticed.values()) + len(survivors)
    share = 100.0 * sum(noticed.values()) / total if total else 0
    print("# figures: seed %d, part %d of %d: %d of %d mutants noticed (%.1f %%), %d others were no "
          "other program; of %d survivors %d are not listed" % (
              seed, part, parts, sum(noticed.values()), total, share, same, len(survivors),
              sum(key_of(text, m) not in reasons for m in survivors)))
    print("# by suite: " + ", ".join("%s %d" % item for item in sorted(noticed.items())))
    good = total > 0 and share >= options.at_least
    print("%s - %.1f %% of the mutants are noticed, at least %g %%" % (
        "ok" if good else "not ok", share, options.at_least))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
