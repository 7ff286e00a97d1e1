"""RAM: the public structs, variables (there should be none), and the deepest stack of each public
function, summed from the compiler's own figures along the call graph."""
import os
import re

from flash import TARGETS, run

NODE = re.compile(r'^node: \{ title: "([^"]*)" label: "([^"]*)"')
EDGE = re.compile(r'^edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)" label: "([^"]*)"')
STACK = re.compile(r'(\d+) bytes \((\w[\w,]*)\)')
POINTERS = {'m0plus': 'R_ARM_ABS32', 'm4': 'R_ARM_ABS32', 'rv32imc': 'R_RISCV_(?:32|HI20|PCREL_HI20)',
            'host': 'R_X86_64_(?:64|32S?)'}
HOST = ('x86-64, -O2', 'gcc', ['-fno-pic', '-fcf-protection=none'], [])


def sizes(header, source, directory, compiler, flags):
    path = os.path.join(directory, 'sizes')
    with open(path + '.c', 'w', encoding='ascii') as f:
        f.write('#include "unsandbox.h"\n')
        for name in header.structs():
            f.write('char size_of_%s[sizeof(%s)];\n' % (name, name))
    run([compiler] + flags + ['-I' + source, '-fno-common', '-c', path + '.c', '-o', path + '.o'])
    found = {}
    for line in run(['nm', '-S', path + '.o']).split('\n'):
        words = line.split()
        if len(words) == 4 and words[3].startswith('size_of_'):
            found[words[3][len('size_of_'):]] = int(words[1], 16)
    return {n: found[n] for n in header.structs()}


class Graph:
    """The call graph of one object, as gcc's -fcallgraph-info=su tells it."""

    def __init__(self, header, path, pointer):
        self.header = header
        self.stack, self.calls = {}, {}
        indirect = []
        with open(path + '.ci', encoding='utf-8') as f:
            for line in f:
                node, edge = NODE.match(line), EDGE.match(line)
                if node:
                    stack = STACK.search(node.group(2))
                    if stack:
                        name = self.plain(node.group(1))
                        self.stack[name] = int(stack.group(1))
                        if 'dynamic' in stack.group(2):
                            raise SystemExit('no fixed stack: ' + name)
                elif edge and edge.group(2) == '__indirect_call':
                    indirect.append((self.plain(edge.group(1)), edge.group(3)))
                elif edge:
                    self.calls.setdefault(self.plain(edge.group(1)), set()).add(
                        self.plain(edge.group(2)))
        self.taken = self.addresses(path + '.o', pointer)
        self.excluded = set()
        for caller, place in indirect:
            name = header.called(*[int(n) for n in place.split(':')[-2:]])
            if name in header.callbacks:
                self.excluded.add(name)
            else:
                self.calls.setdefault(caller, set()).update(self.reached(name))
        self.outside = sorted({c for cs in self.calls.values() for c in cs} - set(self.stack))

    @staticmethod
    def plain(title):
        return title.rsplit(':', 1)[-1]

    def addresses(self, path, pointer):
        """The functions whose address stands in data or in a literal pool."""
        found, section = set(), ''
        for line in run(['readelf', '-rW', path]).split('\n'):
            words = line.split()
            if line.startswith('Relocation section'):
                section = line
            elif len(words) >= 5 and re.fullmatch(pointer, words[2]) and '.debug' not in section:
                # a place within a function is an entry of a switch's table
                symbol = words[4].removeprefix('.text.')
                if symbol in self.stack and (symbol == words[4] or words[5:] == ['+', '0']):
                    found.add(symbol)
        return found

    def reached(self, name):
        """What a call through the library's own pointer `name` may be of: all functions whose
        address is taken, narrowed to those that it is given in constants where that is all, else to
        those of its type where that leaves any."""
        given = self.header.assigned(name) if name else None
        if given:
            given = {f for f in self.taken if f.split('.')[0] in given}
        if given:
            return given
        wanted = self.header.pointers.get(name)
        alike = {f for f in self.taken if self.header.functions.get(f.split('.')[0]) == wanted}
        if not self.taken:
            raise SystemExit('nothing known that the pointer %s may call' % name)
        return alike or self.taken

    def deepest(self, name, path=()):
        if name in path:
            raise SystemExit('recursion: ' + ' > '.join(path + (name,)))
        best, chain = 0, []
        for callee in sorted(self.calls.get(name, ())):
            if callee in self.stack:
                depth, way = self.deepest(callee, path + (name,))
                if depth > best:
                    best, chain = depth, way
        return self.stack[name] + best, [name] + chain


def measure_stack(header, source, directory, target):
    title, compiler, flags, _ = HOST if target == 'host' else TARGETS[target]
    path = os.path.join(directory, 'stack_' + target)
    with open(path + '.c', 'w', encoding='ascii') as f:
        f.write('#define UNSANDBOX_IMPLEMENTATION\n#include "unsandbox.h"\n')
    run([compiler] + flags + ['-O2' if target == 'host' else '-Os', '-std=c99', '-I' + source,
        '-ffunction-sections', '-fdata-sections', '-fstack-usage', '-fcallgraph-info=su',
        '-c', path + '.c', '-o', path + '.o'], cwd=directory)
    graph = Graph(header, path, POINTERS[target])
    functions = {name: graph.deepest(name) for name in header.api() if name in graph.stack}
    worst = max(functions, key=lambda n: functions[n][0])
    variables = {'.data': 0, '.bss': 0}
    for line in run(['readelf', '-SW', path + '.o']).split('\n'):
        match = re.match(r'^ *\[ *\d+\] (\.data|\.bss|COMMON)\S* +\S+ +\w+ +\w+ +(\w+)', line)
        if match and '.data.rel.ro' not in line:
            variables['.bss' if match.group(1) != '.data' else '.data'] += int(match.group(2), 16)
    return {'title': title, 'worst': functions[worst][0],
            'path': ['%s %d' % (n, graph.stack[n]) for n in functions[worst][1]],
            'functions': {n: d for n, (d, _) in functions.items()},
            'pointers_followed': sorted(graph.taken), 'callbacks_excluded': sorted(graph.excluded),
            'runtime_excluded': graph.outside, 'variables': variables}


def measure(header, source, build):
    directory = os.path.join(build, 'ram')
    os.makedirs(directory, exist_ok=True)
    _, arm, arm_flags, _ = TARGETS['m0plus']
    _, avr, avr_flags, _ = TARGETS['avr6']
    return {
        'sizes': {'32-bit': sizes(header, source, directory, arm, arm_flags),
                  '64-bit': sizes(header, source, directory, 'gcc', []),
                  'AVR': sizes(header, source, directory, avr, avr_flags)},
        'stack': {t: measure_stack(header, source, directory, t) for t in POINTERS},
    }
