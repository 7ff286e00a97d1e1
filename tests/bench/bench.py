"""Measures the library and its peers; bench.sh installs what is needed and calls this."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

import chart
import ends
import flash
import instructions
import ram
from header import Header
from peers import PACKAGES, Peers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
REPORT = os.path.join(HERE, 'report.json')
SIZE_BUDGET = os.path.join(ROOT, 'tests/size_budget')
COUNT_BUDGET = os.path.join(ROOT, 'tests/instruction_budget')
COUNTED_WITH = 'gcc 12, x86_64' # the counts of another compiler are others
GROWTH_LIMIT = 0.05
PEAK_LIMIT_KB = 256
PARTS = ('flash', 'ram', 'instructions', 'end-to-end')

# what the library aims at
GOALS = {
    'flash': {'execute.bare': 9728, 'operations.bare': 12288, 'smallest.bare': 7168, 'http': 1400,
              'json-reader': 1700, 'base64': 400},
    'unsb_client': 256, 'stack': 320,
    'per_byte': {'json string': 4.5, 'base64 encode': 6.5, 'base64 decode': 6.0, 'http head': 8.0,
                 'SHA-256': 45},
    'calls': {'hello': 20000},
}


def say(*words):
    print(*words, flush=True)


def table(head, rows):
    """Columns; all but the first are right-aligned."""
    rows = [head] + [['' if c is None else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        say('  ' + '  '.join(cells).rstrip())


def number(n):
    return format(n, ',') if n is not None else None


# ---- files of limits: a name and a number on each line ----

def record_limits(path, title, command, limits):
    with open(path, 'w', encoding='ascii') as f:
        f.write('# %s: sh tests/bench.sh %s\n# Recorded by sh tests/bench.sh %s --record\n' % (
            title, command, command))
        for name, value in sorted(limits.items()):
            f.write('%s %d\n' % (name, value))
    say('recorded %d figures in tests/%s' % (len(limits), os.path.basename(path)))


def within_limits(path, found, tolerance):
    limits, where = {}, 'tests/' + os.path.basename(path)
    if os.path.exists(path):
        with open(path, encoding='ascii') as f:
            for line in f:
                if line.strip() and not line.startswith('#'):
                    name, value = line.split()
                    limits[name] = int(int(value) * (1 + tolerance))
    good = True
    for name in sorted(set(found) | set(limits)):
        if name not in limits:
            verdict, words = False, '%d, but %s has no limit' % (found[name], where)
        elif name not in found:
            verdict, words = False, 'in %s, but not measured' % where
        else:
            verdict = found[name] <= limits[name]
            words = '%d %s %d' % (found[name], '<=' if verdict else '>', limits[name])
        say('%s - %s: %s' % ('ok' if verdict else 'not ok', name, words))
        good = good and verdict
    return good


class Bench:
    def __init__(self, build, cache):
        self.build = build
        self.source = os.path.join(build, 'source')
        # a copy, so that all is measured on one state of the files
        os.makedirs(self.source + '/ports')
        shutil.copy(os.path.join(ROOT, 'unsandbox.h'), self.source)
        for name in os.listdir(os.path.join(ROOT, 'ports')):
            if name.endswith('.h'):
                shutil.copy(os.path.join(ROOT, 'ports', name), self.source + '/ports')
        self.header = Header(os.path.join(self.source, 'unsandbox.h'))
        self.peers = Peers(cache)

    # ---- measure ----

    def flash(self, peers=True):
        report = {'ours': flash.measure_ours(self.header, self.source, self.build)}
        if peers:
            report['peers'] = flash.measure_peers(self.peers, self.build)
            report['peers_left_out'] = self.peers.missing
        return report

    def ram(self):
        return ram.measure(self.header, self.source, self.build)

    def instructions(self):
        ends.compile_all(ROOT, self.source, self.build)
        return {'ours': instructions.measure_ours(ROOT, self.source, self.build),
                'peers': instructions.measure_peers(ROOT, self.build, self.peers),
                'sockets': instructions.measure_sockets(self.build)}

    def end_to_end(self):
        return ends.measure(ROOT, self.source, self.build)

    # ---- budgets ----

    def figures(self):
        """What the budget limits, and the report that it comes from."""
        found, ours = {}, self.flash(peers=False)['ours']
        for target, entry in ours.items():
            for program, figures in entry['programs'].items():
                found['flash.%s.%s' % (target, program)] = figures['bytes']
        report = self.ram()
        for name in ('unsb_client', 'unsb_result', 'unsb_json_reader', 'unsb_http'):
            found['sizeof.32-bit.' + name] = report['sizes']['32-bit'][name]
        for target, entry in report['stack'].items():
            found['stack.%s' % target] = entry['worst']
            for section, size in entry['variables'].items():
                found['variables.%s%s' % (target, section)] = size
        return found, {'flash': {'ours': ours, 'peers': {}}, 'ram': report}

    def budget(self, record):
        found, report = self.figures()
        if record:
            record_limits(SIZE_BUDGET, 'What the library may take, in bytes', 'budget',
                          {name: (value + 15) // 16 * 16 for name, value in found.items()})
            return True
        good = within_limits(SIZE_BUDGET, found, 0)
        with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as f:
            readme = f.read().split('\n')
        for line in markdown(report).split('\n'):
            if re.search(r'\| \d', line):
                say('%s - README.md: %s' % ('ok' if line in readme else 'not ok', line))
                good = good and line in readme
        for name, row in report['flash']['ours']['m0plus']['saved'].items():
            line = ' *     %-15s %5d  %5d' % (name, row['execute'], row['operations'])
            right = line in self.header.text
            say('%s - the manual:%s' % ('ok' if right else 'not ok', line[2:]))
            good = good and right
        return good

    def counts(self, record):
        said = subprocess.run(['gcc', '-dumpversion'], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        here = 'gcc %s, %s' % (said.split('.')[0].strip(), os.uname().machine)
        if here != COUNTED_WITH:
            say('ok - bench.sh counts # SKIP counted with %s, here is %s' % (COUNTED_WITH, here))
            return not record
        found = instructions.quick(ROOT, self.source, self.build)
        if record:
            record_limits(COUNT_BUDGET, 'Instructions, for %d bytes or one call, by %s' % (
                instructions.QUICK, COUNTED_WITH), 'counts', found)
            return True
        return within_limits(COUNT_BUDGET, found, instructions.TOLERANCE)

    # ---- growth ----

    def growth(self):
        good = True

        def verdict(right, words):
            nonlocal good
            say('%s - %s' % ('ok' if right else 'not ok', words))
            good = good and right

        ours = instructions.measure_ours(ROOT, self.source, self.build)
        for name, row in ours['per_byte'].items():
            verdict(row['growth'] <= GROWTH_LIMIT, '%s: %.2f instructions per byte at 1 MB, %.2f at '
                    '16 MB' % (name, row['1 MB'], row['16 MB']))
        for way, title in (('up', 'upload'), ('down', 'download')):
            small = instructions.peak_memory(self.build, way, instructions.SMALL)
            large = instructions.peak_memory(self.build, way, instructions.LARGE)
            verdict(large - small <= PEAK_LIMIT_KB,
                    'peak memory of an %s: %d KB at 1 MB, %d KB at 16 MB' % (title, small, large)
                    if way == 'up' else
                    'peak memory of a %s: %d KB at 1 MB, %d KB at 16 MB' % (title, small, large))
        return good


# ---- the report as text ----

def show_flash(report):
    targets = list(report['ours'])
    say('\n== Flash: bytes of code and constants, gcc -Os, linked with --gc-sections')
    say('   bare: neither signing nor error texts; texts, signing: with one; full: with both\n')
    programs = report['ours']['m0plus']['programs']
    table(['program'] + [report['ours'][t]['title'] for t in targets] + ['goal on M0+, M4'],
          [[name] + [number(report['ours'][t]['programs'][name]['bytes']) for t in targets] +
           [number(GOALS['flash'].get(name))] for name in programs])
    say('\n   of that, by section of unsandbox.h, on Cortex-M0+ (code by the line it comes from)\n')
    shown = ['base64', 'http', 'json-reader', 'json-writer', 'execute.bare', 'operations.bare',
             'everything.full']
    sections = []
    for name in shown:
        sections += [s for s in programs[name]['sections'] if s not in sections]
    table(['section'] + shown, [[s] + [number(programs[n]['sections'].get(s)) for n in shown]
                                for s in sections])
    say('\n   what options save that are set to 0, on Cortex-M0+\n')
    table(['option', 'execute', 'operations'],
          [[name, number(row['execute']), number(row['operations'])]
           for name, row in report['ours']['m0plus']['saved'].items()])
    say('\n   besides, from the C library and the compiler\'s runtime, for everything.full\n')
    for target in targets:
        helpers = report['ours'][target]['programs']['everything.full']['helpers']
        say('  %s: %s' % (report['ours'][target]['title'],
                          ', '.join('%s %d' % pair for pair in helpers.items())))
    say('\n   peers, with the same flags (sources from Debian); "runtime" is what they pull in\n')
    table(['peer', 'M0+', 'M4', 'runtime on M0+', 'version'],
          [['%s: %s' % (name, p['what']), number(p['bytes']['m0plus']), number(p['bytes']['m4']),
            number(p['helper_bytes']['m0plus']), p['version']]
           for name, p in report['peers'].items()])
    for name, why in report['peers_left_out'].items():
        say('  %s is left out: %s' % (name, why))
    say('  (coreHTTP, coreJSON, yyjson are left out: Debian has no source package of theirs)')


def show_ram(report):
    say('\n== RAM\n')
    sizes = report['sizes']
    table(['sizeof, bytes'] + list(sizes), [[n] + [number(s[n]) for s in sizes.values()]
                                            for n in sizes['32-bit']])
    say('\n  goal: unsb_client within %d on 32 bits' % GOALS['unsb_client'])
    say('\n   deepest stack of the library (goal: %d), without transport and callbacks; variables\n'
        % GOALS['stack'])
    stacks = report['stack']
    table(['bytes'] + [e['title'] for e in stacks.values()],
          [['deepest'] + [e['worst'] for e in stacks.values()]] +
          [[n] + [e['functions'][n] for e in stacks.values()]
           for n in ('unsb_execute', 'unsb_poll', 'unsb_json_read', 'unsb_http_feed',
                     'unsb_base64_decode', 'unsb_json_string')] +
          [[v] + [e['variables'][v] for e in stacks.values()] for v in ('.data', '.bss')])
    say('\n  (the AVR compiler knows no call graph)')
    say('\n  the deepest path on Cortex-M0+: ' + ' > '.join(stacks['m0plus']['path']))


def show_instructions(report):
    ours, peers = report['ours'], report['peers']
    libraries = sorted({library for row in peers.values() for library in row})
    say('\n== Instructions per byte, x86-64, gcc -O2 (peers: at 1 MB)\n')
    table(['what', '1 MB', '16 MB', 'goal'] + libraries,
          [[name, '%.2f' % row['1 MB'], '%.2f' % row['16 MB'], GOALS['per_byte'].get(name)] +
           ['%.2f' % peers[name][p] if p in peers.get(name, {}) else None for p in libraries]
           for name, row in ours['per_byte'].items()])
    say('\n   whole calls, the transport not counted (%d send of %d bytes)\n'
        % (ours['hello_sends'], ours['hello_bytes']))
    table(['call', 'instructions', 'goal'], [[n, number(c), number(GOALS['calls'].get(n))]
                                             for n, c in ours['calls'].items()])
    say('\n   hello world over plain HTTP on loopback, all of user space\n')
    table(['', 'unsandbox.h', 'libcurl + cJSON'],
          [[way + ' connection', number(row['ours']), number(row['curl'])]
           for way, row in report['sockets'].items()])


def show_end_to_end(report):
    say('\n== End to end on loopback: medians, and how many times ours libcurl + cJSON takes\n')
    rows = []
    for name, entry in report.items():
        for client in ends.CLIENTS:
            e = entry[client]
            rows.append(['%s (%s)' % (entry['title'], name) if client == 'ours' else '', client,
                         '%.2f' % (e['cpu_s'] * 1000), '%.2f' % (e['wall_s'] * 1000),
                         number(e['peak_kb']), number(e['bytes_sent']), number(e['packets_sent']),
                         number(e['sends'] or None)])
        ratio = entry['ratio']
        rows.append(['', 'ratio'] + [ratio.get(k) for k in ('cpu_s', 'wall_s', 'peak_kb',
                                                            'bytes_sent', 'packets_sent')] + [''])
    table(['work', '', 'CPU ms', 'wall ms', 'peak KB', 'bytes sent', 'packets', 'sends'], rows)
    say('\n  packets: TCP segments with data, as the kernel counts them; large ones on loopback.\n'
        '  Bytes and packets of hello worlds include one call that is not timed. sends: of ours\n'
        '  ours is TLS 1.2 by BearSSL, libcurl negotiates TLS 1.3 with OpenSSL')


SHOW = {'flash': show_flash, 'ram': show_ram, 'instructions': show_instructions,
        'end-to-end': show_end_to_end}


# ---- the report as Markdown ----

def markdown(report):
    lines = []

    def rows(head, body):
        lines.append('| ' + ' | '.join(head) + ' |')
        lines.append('| --- |' + ' ---: |' * (len(head) - 1))
        lines.extend('| ' + ' | '.join('' if c is None else str(c) for c in row) + ' |'
                     for row in body)
        lines.append('')

    if 'flash' in report:
        ours, peers = report['flash']['ours'], report['flash']['peers']
        titles = [('execute.bare', '`unsb_execute` alone'), ('operations.bare', 'every operation'),
                  ('everything.full', 'every function, with signing and error texts'),
                  ('smallest.bare', 'smallest useful: `unsb_execute`, each option off'),
                  ('http', 'HTTP decoder alone'), ('json-reader', 'JSON reader alone'),
                  ('json-writer', 'JSON writer alone'), ('base64', 'base64 alone')]
        rows(['flash, bytes'] + [e['title'] for e in ours.values()],
             [[title] + [number(e['programs'][key]['bytes']) for e in ours.values()]
              for key, title in titles] +
             [['constants in RAM, of ' + title] +
              [number(e['programs'][key]['constants_in_ram']) for e in ours.values()]
              for key, title in titles[:3]])
        rows(['for comparison', 'Cortex-M0+', 'Cortex-M4'],
             [['%s (%s)' % (name, p['what']), number(p['bytes']['m0plus']),
               number(p['bytes']['m4'])] for name, p in peers.items()])
    if 'ram' in report:
        stack = report['ram']['stack']
        rows(['RAM, bytes', 'Cortex-M0+', 'Cortex-M4', 'x86-64'],
             [['`unsb_client`'] + [report['ram']['sizes'][b]['unsb_client']
                                   for b in ('32-bit', '32-bit', '64-bit')],
              ['deepest stack'] + [stack[t]['worst'] for t in ('m0plus', 'm4', 'host')],
              ['variables'] + [sum(stack[t]['variables'].values())
                               for t in ('m0plus', 'm4', 'host')]])
    if 'instructions' in report:
        ours, peers = report['instructions']['ours'], report['instructions']['peers']
        rows(['instructions per byte', 'unsandbox.h', 'others'],
             [[name, '%.1f' % ours['per_byte'][name]['1 MB'],
               ', '.join('%s %.1f' % pair for pair in sorted(peers[name].items(),
                                                             key=lambda p: p[1]))]
              for name in peers if name != 'http chunked'])
    if 'end-to-end' in report:
        rows(['libcurl + cJSON, as a multiple of unsandbox.h', 'CPU', 'wall', 'peak memory'],
             [['%s, %s' % (e['title'], 'TLS' if name.startswith('tls') else 'plain')] +
              ['%.1f' % e['ratio'][k] for k in ('cpu_s', 'wall_s', 'peak_kb')]
              for name, e in report['end-to-end'].items()])
    return '\n'.join(lines)


def load():
    if not os.path.exists(REPORT):
        return {}
    with open(REPORT, encoding='utf-8') as f:
        return json.load(f)


def store(report):
    text = json.dumps({k: report[k] for k in ('compilers',) + PARTS if k in report}, indent=1)
    with open(REPORT, 'w', encoding='utf-8') as f:
        f.write(text + '\n')
    # a chart without the peers that were not to be had would only mislead
    if 'flash' in report and not report['flash']['peers_left_out']:
        drawing = chart.draw(report['flash'])
        with open(os.path.join(HERE, 'flash.svg'), 'w', encoding='ascii') as f:
            f.write(drawing)


def compilers():
    found = {}
    for name in sorted({t[1] for t in flash.TARGETS.values()} | {'gcc'}):
        said = subprocess.run([name, '--version'], stdout=subprocess.PIPE, text=True, check=True)
        found[name] = said.stdout.split('\n')[0]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('command', choices=PARTS + ('all', 'budget', 'counts', 'growth', 'table'))
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--build', required=True)
    parser.add_argument('--cache', required=True)
    arguments = parser.parse_args()
    command = arguments.command
    if command == 'table':
        text = markdown(load())
        if not text:
            raise SystemExit('nothing was measured yet: sh tests/bench.sh')
        with open(os.path.join(HERE, 'table.md'), 'w', encoding='ascii') as f:
            f.write(text)
        say(text)
        return 0
    bench = Bench(arguments.build, arguments.cache)
    if command == 'budget':
        return 0 if bench.budget(arguments.record) else 1
    if command == 'counts':
        return 0 if bench.counts(arguments.record) else 1
    if command == 'growth':
        return 0 if bench.growth() else 1
    report = {} if command == 'all' else load()
    report['compilers'] = compilers()
    for part in PARTS:
        if command in ('all', part):
            report[part] = getattr(bench, part.replace('-', '_'))()
            SHOW[part](report[part])
    store(report)
    return 0


if __name__ == '__main__':
    sys.exit(main())
