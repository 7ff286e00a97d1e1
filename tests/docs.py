"""What can be checked of the documents without judgement: docs.py TREE. Prints TAP.

unsandbox.h: each public name has a doc comment or stands under one, the list of tags is that of the
sections, each error is told where functions are, form, version, history. The Markdown files: what
they link to and name is there, and each command in README.md and ports/README.md is one that the
list COMMANDS knows, with the test that runs it, so that none is written down that nothing tries."""
import os
import re
import sys

TREE = os.path.abspath(sys.argv[1])

# each command of the README files: the file of the test that runs it, and a text of that file
RUN = ('tests/run.sh', '')
OWN = ('tests/docs.sh', 'docs_service')
COMMANDS = {
    'sh examples/demo.sh': ('tests/all.sh', 'examples/demo.sh'),
    'sh tests/run.sh': RUN,
    'sh tests/run.sh --all': RUN,
    'sh tests/run.sh --list': ('tests/run.sh', '--list'),
    'sh tests/bench.sh': ('tests/all.sh', 'bench.sh'),
    'sh tests/bench.sh budget': ('tests/all.sh', 'bench.sh'),
    'sh tests/bench.sh budget --record': ('tests/bench.sh', 'budget --record'),
    'sh examples/firmware/run.sh': ('tests/firmware/firmware.sh',
                                    'examples/firmware/functions.sh'), # which is what it does
    'make -C examples': ('tests/examples/examples.sh', 'make -s -C "$ROOT/examples"'),
    # all of the README's lines for a service of one's own
    'cc -I. -Iports examples/hello.c -o hello -lssl -lcrypto -lpthread': OWN,
    'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 '
    '-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem': OWN,
    'python3 -B tests/sandboxd/sandboxd.py --port 8443 --tls cert.pem key.pem '
    '--key-pair unsb-pk-mine unsb-sk-mine &': OWN,
    'SSL_CERT_FILE=cert.pem UNSANDBOX_URL=https://localhost:8443 '
    'UNSANDBOX_PUBLIC_KEY=unsb-pk-mine UNSANDBOX_SECRET_KEY=unsb-sk-mine ./hello': OWN,
    "examples/build/unsb -s python 'print(6 * 7)'": ('tests/tool/test_tool.py',
                                                      '"-s", "python", "print(6 * 7)"'),
    'man examples/unsb.1': ('tests/tool/tool.sh', 'mandoc -T lint ../examples/unsb.1'),
    'sh ports/make_arduino.sh ~/Arduino/libraries': ('tests/ways/ways.sh', 'make_arduino.sh'),
    'install -D -m 644 -t "$prefix/include" unsandbox.h ports/unsandbox*.h ports/unsandbox.hpp':
        ('tests/ways/ways.sh', 'ways_install_line'),
    'install -D -m 644 -t "$prefix/share/pkgconfig" ports/unsandbox.pc ports/unsandbox-desktop.pc':
        ('tests/ways/ways.sh', 'ways_install_line'),
}
COMMAND = re.compile(r'(?:sh|cc|gcc|c\+\+|make|cmake|meson|man|python3|install|git|docker|apt-get|'
                     r'\.?/?[\w./]*build/\w+) [^`]*')


def text(name):
    with open(os.path.join(TREE, name), encoding='utf-8', newline='') as f:
        return f.read()


HEADER = text('unsandbox.h')
FACE = HEADER[HEADER.index('#define UNSANDBOX_H\n'):HEADER.index('>>end-of-api  ')]
MANUAL = HEADER[:HEADER.index('#ifndef UNSANDBOX_H\n')]


def verdict(name, faults):
    print('%s - %s' % ('not ok' if faults else 'ok', name))
    for fault in faults[:20]:
        print('#   ' + fault)


def mask(code):
    """The same text with its comments' characters as \\1, so that what is left is code."""
    return re.sub(r'/\*.*?\*/', lambda m: re.sub(r'[^\n]', lambda _: '\1', m[0]), code, flags=re.S)


def public_names(lines):
    """(line number, name, kind) of each declaration of the public face."""
    depth = 0
    for at, line in enumerate(lines):
        code = line.replace('\1', ' ')
        macro = re.match(r'#define (UNSB_\w+)', code)
        if macro:
            yield at, macro[1], 'macro'
        elif re.match(r'UNSB_API ', code):
            yield at, re.match(r'.*?\b(unsb_\w+)\(', code)[1], 'function'
        elif depth == 0 and re.match(r'(?:typedef )?(?:struct|enum|union)\b.*{|enum {', code):
            name = re.search(r'\b(unsb_\w+)', code)
            if name:
                yield at, name[1], 'type'
        elif depth == 0 and code.startswith('typedef '):
            yield at, re.search(r'(\w+);', code)[1], 'type'
        if not code.startswith('#'):
            for name in re.findall(r'\b(UNSB_(?!API\b)[A-Z0-9_]+)(?= *(?:=|,|$|}))', code):
                if (depth or '{' in code) and not re.search(r'[|&\[(+/-] *' + name, code):
                    yield at, name, 'value'
            depth += code.count('{') - code.count('}')
            if code.startswith('extern "C"'):
                depth = 0


def documented(lines, at):
    """A comment on the line, or above it in its paragraph, or a heading of one paragraph."""
    if '\1' in lines[at]:
        return True
    above = at - 1
    while above >= 0 and lines[above].strip():
        if '\1' in lines[above]:
            return True
        above -= 1
    if above > 0 and lines[above - 1].startswith('\1'):
        return True
    return above > 1 and lines[above - 1].startswith('#if') and '\1' in lines[above - 2]


def begins(lines, at):
    """Where the braces that `at` is within were opened: an enum's comment is its values', too."""
    depth = 0
    for above in range(at, -1, -1):
        code = lines[above]
        depth += code.count('}') - code.count('{')
        if depth < 0:
            return above
    return at


def names():
    faults, seen = [], 0
    lines = mask(FACE).split('\n')
    first = HEADER[:HEADER.index(FACE)].count('\n') + 1
    for at, name, kind in public_names(lines):
        seen += 1
        where = [at] if kind != 'value' else [at, begins(lines, at)]
        if kind == 'type' and '{' in lines[at]: # a first member may say what a type is for
            where.append(at + 1)
        if not any(documented(lines, i) for i in where):
            faults.append('line %d: %s %s has no comment' % (first + at, kind, name))
    if seen < 150:
        faults.append('only %d names were found: this test is wrong' % seen)
    verdict('unsandbox.h: each of %d public names is documented' % seen, faults)


def tags():
    contents = HEADER[HEADER.index('* CONTENTS'):HEADER.index('* 1. WHAT IT DOES')]
    listed = re.findall(r'>>([a-z][a-z0-9-]*)', contents)
    sections = re.findall(r'^ \* >>([a-z][a-z0-9-]*)', HEADER[HEADER.index('* 1. WHAT IT DOES'):],
                          re.M)
    faults = ['listed, but no section: ' + t for t in set(listed) - set(sections)]
    faults += ['not listed: ' + t for t in set(sections) - set(listed)]
    faults += ['twice: ' + t for t in set(sections) if sections.count(t) != 1]
    referred = re.findall(r'(?:\bsee |\bin |with )>>([a-z][a-z0-9-]*)', HEADER)
    faults += ['referred to, but no section: ' + t for t in set(referred) - set(sections)]
    numbered = dict(re.findall(r'(\d+)\.  ([A-Z][^\n]*?)(?=  |\n)', contents))
    chapters = dict(re.findall(r'^ \* (\d+)\. ([A-Z][A-Z ,-]+)$', MANUAL, re.M))
    for number in sorted(set(numbered) | set(chapters), key=int):
        if numbered.get(number, '').upper() != chapters.get(number):
            faults.append('chapter %s: "%s" in the contents, "%s" above it' %
                          (number, numbered.get(number), chapters.get(number)))
    if len(sections) < 15 or len(chapters) < 10:
        faults.append('too few were found: this test is wrong')
    verdict('unsandbox.h: its contents are what they list', faults)


def form():
    files = ['unsandbox.h'] + sorted('ports/' + n for n in os.listdir(os.path.join(TREE, 'ports'))
                                     if n.endswith(('.h', '.hpp')))
    faults = []
    for name in files:
        for number, line in enumerate(text(name).split('\n'), 1):
            if not line.isascii():
                faults.append('%s:%d: not ASCII' % (name, number))
            if '\t' in line or '\r' in line or line != line.rstrip():
                faults.append('%s:%d: a tab, a CR or blanks at the end' % (name, number))
            if len(line) > 100 and name != 'ports/unsandbox_roots.h':
                faults.append('%s:%d: %d columns' % (name, number, len(line)))
        if not text(name).endswith('\n') or text(name).endswith('\n\n'):
            faults.append(name + ': it does not end with one newline')
    verdict('headers: ASCII, no tabs, no blanks at the end, lines of 100 columns', faults)


def version():
    part = [re.search(r'^#define UNSB_VERSION_%s (\d+)$' % p, HEADER, re.M)[1]
            for p in ('MAJOR', 'MINOR', 'PATCH')]
    history = re.search(r'^ \* >>history\n \*\n \*   (\d+\.\d+\.\d+)  ', HEADER, re.M)
    said = {'the macros': '.'.join(part),
            'UNSB_VERSION_TEXT': re.search(r'^#define UNSB_VERSION_TEXT "(.*)"$', HEADER, re.M)[1],
            'the first line': re.match(r'/\* unsandbox\.h - v(\S+) - ', HEADER)[1],
            'the history': history[1]}
    verdict('unsandbox.h: one version', [] if len(set(said.values())) == 1 else
            ['%s: %s' % item for item in said.items()])


def errors():
    """Each code stands in the manual or in a doc comment (a port's, for those of transports), by
    its full name, in a list ("UNSB_E_TTL, VCPU", "(RESOLVE, CONNECT ...)") or in a range
    ("UNSB_E_HTTP to UNSB_E_RESPONSE"), beside the cause in UNSB_ERRORS."""
    entry = re.compile(r'^ +X\((\w+), -(\d+), "([^"]+)"\)', re.M)
    codes = entry.findall(FACE)
    told = MANUAL + ' '.join(re.findall(r'/\*.*?\*/', FACE, re.S))
    for name in sorted(os.listdir(os.path.join(TREE, 'ports'))):
        if re.fullmatch(r'unsandbox_\w+\.h', name):
            told += ' '.join(re.findall(r'/\*.*?\*/', text('ports/' + name), re.S))
    told = re.sub(r'\n *\* ?', ' ', re.sub(r'\s+', ' ', re.sub(r'\n \*', '\n', told)))
    listing = r'(?:(?:,| and| or|,? [A-Za-z]{1,4})? _?(?:UNSB_E_)?[A-Z][A-Z0-9_]{1,}\b)*'
    names = ' '.join(re.findall(r'UNSB_E_[A-Z0-9_]+' + listing, told)).replace('UNSB_E_', ' ')
    names += ' ' + ' '.join(re.findall(r'\(([A-Z][A-Z0-9_]+(?:, [A-Z][A-Z0-9_]+)+)', told))
    order = [c for c, _, _ in codes]
    for one, other in re.findall(r'UNSB_E_(\w+) to UNSB_E_(\w+)', told):
        if one in order and other in order:
            names += ' ' + ' '.join(order[order.index(one):order.index(other) + 1])
    names = set(w.strip('_') for w in re.findall(r'[A-Z0-9_]+', names))
    faults = ['UNSB_E_%s: nothing tells when it comes' % c for c, _, _ in codes if c not in names]
    values = [int(v) for _, v, _ in codes]
    if values != sorted(set(values)) or len(codes) < 50:
        faults.append('the list is not in order, or this test cannot read it')
    verdict('unsandbox.h: where each error comes from is told', faults)


def markdown():
    found = []
    for base, folders, files in os.walk(TREE):
        folders[:] = [f for f in folders if f not in ('.git', 'build', '__pycache__')]
        found += [os.path.relpath(os.path.join(base, f), TREE) for f in files if f.endswith('.md')]
    return sorted(found)


def links():
    faults, seen = [], 0
    for name in markdown():
        folder = os.path.dirname(name)
        body = text(name)
        for target in re.findall(r'\]\(([^)]+)\)', body):
            if re.match(r'https?://', target):
                continue
            seen += 1
            if not os.path.exists(os.path.join(TREE, folder, target.split('#')[0])):
                faults.append('%s: links to %s' % (name, target))
        prose = re.sub(r'```.*?```', '', body, flags=re.S)
        suffix = '(?:hpp?|cp?p?|py|sh|1|svg|ino|cmake)'
        for path in re.findall(r'`((?:[\w-]+/)*[\w-]+\.%s)`' % suffix, prose):
            seen += 1
            places = (TREE, os.path.join(TREE, folder), os.path.join(TREE, 'ports'))
            if not any(os.path.exists(os.path.join(place, path)) for place in places):
                faults.append('%s: names %s' % (name, path))
        for path in re.findall(r'`((?:ports|examples|tests)/[\w./-]*)`', prose):
            seen += 1
            if not path.startswith('examples/build') and \
                    not os.path.exists(os.path.join(TREE, path)):
                faults.append('%s: names %s' % (name, path))
    if seen < 60:
        faults.append('only %d were found: this test is wrong' % seen)
    verdict('Markdown: what is linked to and named is there', faults)


def commands():
    faults, used = [], set()
    for name in ('README.md', 'ports/README.md'):
        body = text(name)
        lines = []
        for block in re.findall(r'^```(?:sh|console|bash)\n(.*?)^```', body, re.M | re.S):
            lines += block.replace('\\\n', ' ').split('\n')
        prose = re.sub(r'^```.*?^```', '', body, flags=re.M | re.S)
        lines += [c for c in re.findall(r'`([^`]+)`', prose.replace('\n', ' '))
                  if COMMAND.fullmatch(c)]
        for line in lines:
            command = re.sub(r'\s+', ' ', re.sub(r'\s#.*', '', line)).strip()
            if not command:
                continue
            used.add(command)
            if command not in COMMANDS:
                faults.append('%s: no test is known for: %s' % (name, command))
    for command in used & set(COMMANDS):
        test, mark = COMMANDS[command]
        if not os.path.exists(os.path.join(TREE, test)) or mark not in text(test):
            faults.append('%s is said to be tested by %s, which has no "%s"' %
                          (command, test, mark))
    if 'sh tests/run.sh' not in used or len(used) < 8:
        faults.append('too few were found: this test is wrong')
    verdict('README files: each command is one that a test runs', faults)


for check in (names, tags, form, version, errors, links, commands):
    try:
        check()
    except Exception as e:  # a check that breaks has failed; the others go on
        print('not ok - %s\n#   %r' % (check.__name__, e))
