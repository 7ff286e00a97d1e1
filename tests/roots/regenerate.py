"""Makes ports/unsandbox_roots.h again from the installed ca-certificates and compares: TAP.

Where that version lacks one of the roots, those that are there are compared one by one, and the
others are skipped by name.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PORTS = os.path.join(ROOT, "ports")
sys.path.insert(0, PORTS)
import make_roots  # noqa: E402


def make(*arguments):
    done = subprocess.run([sys.executable, "-B", os.path.join(PORTS, "make_roots.py")] +
                          list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    return done.stdout.decode("ascii") if done.returncode == 0 else None, done.stderr.decode()


def arrays(text):
    return dict(re.findall(r"static const unsigned char (\w+)\[\] = \{([^}]*)\}", text))


def compare_each(have, source, folder):
    committed = arrays(have)
    version = make_roots.debian_version()
    for label, file in make_roots.PUBLIC:
        path = os.path.join(folder, file)
        if not os.path.exists(path):
            print("ok - %s # SKIP root %s: not in ca-certificates %s" % (label, label, version))
            continue
        text, words = make("--prefix", "unsb_roots", "--source", source, label + "=" + path)
        made = arrays(text or "")
        same = made and all(committed.get(name) == data for name, data in made.items())
        print("%sok - root %s is what is installed" % ("" if same else "not ", label))
        if words:
            print("#   " + words.strip())


def main(folder):
    with open(os.path.join(PORTS, "unsandbox_roots.h"), encoding="ascii") as handle:
        have = handle.read()
    date, source = re.search(r"\n \* Made (\S+) from (.*)\.\n", have).groups()
    print("# figures: roots: %s; installed: %s" % (source, make_roots.debian_version()))
    missing = [file for _, file in make_roots.PUBLIC
               if not os.path.exists(os.path.join(folder, file))]
    if missing:
        compare_each(have, source, folder)
        return
    text, words = make("--debian", "--directory", folder, "--date", date, "--source", source)
    print("%sok - unsandbox_roots.h is what make_roots.py makes" % ("" if text == have else "not "))
    if words:
        print("#   " + words.strip())


main(sys.argv[1] if len(sys.argv) > 1 else make_roots.DEBIAN)
