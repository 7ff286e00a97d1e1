"""Instructions, counted by valgrind's callgrind: they do not depend on the machine's load."""
import glob
import os
import re
import subprocess

from ends import Peer
from flash import run

FLAGS = ['-std=gnu11', '-O2', '-g', '-Wall', '-Wextra']
SMALL, LARGE = 1 << 20, 1 << 24
# Enough to tell by, and counted in a second. The C library has a memcpy for each kind of machine:
# the plainest for all.
QUICK = 1 << 16
PLAIN = {'GLIBC_TUNABLES': 'glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,'
                           '-AVX_Fast_Unaligned_Load,-SSE4_2,-SSE4_1,-SSSE3,-ERMS'}
TOLERANCE = 0.05 # of what counts() in bench.py asserts


def callgrind(build, command, **variables):
    """Runs a program: {label: instructions} of what it counts, '' for what is left at its end; and
    what it printed."""
    out = os.path.join(build, 'callgrind.out')
    for old in glob.glob(out + '*'):
        os.remove(old)
    environment = dict(os.environ, LD_BIND_NOW='1', **variables)
    done = subprocess.run(['valgrind', '--tool=callgrind', '--collect-atstart=no',
                           '--callgrind-out-file=' + out] + command, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
    if done.returncode != 0:
        raise SystemExit(' '.join(command) + '\n' + done.stderr)
    found = {}
    for path in glob.glob(out + '*'):
        with open(path, encoding='utf-8', errors='replace') as f:
            text = f.read()
        label = re.search(r'^desc: Trigger: Client Request: (.*)$', text, re.M)
        total = re.search(r'^totals: (\d+)', text, re.M)
        found[label.group(1) if label else ''] = int(total.group(1)) if total else 0
        os.remove(path)
    return found, done.stdout


def per_byte(found):
    """{name: (instructions, bytes)} from labels that end with the number of bytes."""
    rows = {}
    for label, count in found.items():
        if label:
            name, size = label.rsplit(' ', 1)
            rows[name] = (count, int(size))
    return rows


def compile_ours(root, source, build, *more):
    here = os.path.join(root, 'tests/bench')
    more += tuple(os.environ.get('UNSB_BENCH_CFLAGS', '').split())
    run(['gcc'] + FLAGS + list(more) + ['-I' + source, '-I' + here, here + '/count.c',
                                        '-o', build + '/count'])


def compile_peers(root, build, peers):
    here = os.path.join(root, 'tests/bench')
    sources, objects, flags = [here + '/count_peers.c'], [], ['-DNDEBUG', '-I' + here]
    llhttp, pico = peers.get('llhttp'), peers.get('picohttpparser')
    if llhttp:
        flags += ['-DWITH_LLHTTP', '-isystem', llhttp + '/usr/share/include/llhttp']
        sources.append(here + '/count_llhttp.c')
        objects += sorted(glob.glob(llhttp + '/usr/share/llhttp/*.c'))
    if pico:
        flags += ['-DWITH_PICO', '-isystem', pico + '/picohttpparser']
        objects.append(pico + '/picohttpparser/picohttpparser.c')
    compiled = []
    for path in sources + objects:
        compiled.append(os.path.join(build, 'count_' + os.path.basename(path) + '.o'))
        run(['gcc'] + (FLAGS if path in sources else ['-O2', '-w']) + flags +
            ['-c', path, '-o', compiled[-1]])
    run(['gcc'] + compiled + ['-o', build + '/count_peers', '-lcjson', '-ljansson',
                              '-lhttp_parser', '-lmbedcrypto', '-lcrypto'])


def growth(small, large):
    """By name: instructions per byte at both sizes, and how much the larger one's exceed."""
    found = {}
    for name, (count, size) in small.items():
        if size > 1:
            most, large_size = large[name]
            found[name] = {'1 MB': round(count / size, 3), '16 MB': round(most / large_size, 3),
                           'growth': round(most / large_size / (count / size) - 1, 4)}
    return found


def measure_ours(root, source, build):
    compile_ours(root, source, build)
    small, said = callgrind(build, [build + '/count', str(SMALL)])
    small = per_byte(small)
    large = per_byte(callgrind(build, [build + '/count', str(LARGE)])[0])
    for rows in (small, large):
        # SHA-256 by public means: what signing adds to an upload
        signed, size = rows['upload raw, signed']
        rows['SHA-256'] = (signed - rows['upload raw'][0], size)
    sends = re.search(r'hello sends (\d+), bytes (\d+)', said)
    return {'per_byte': dict(sorted(growth(small, large).items())),
            'calls': {n: c for n, (c, size) in sorted(small.items()) if size == 1},
            'hello_sends': int(sends.group(1)), 'hello_bytes': int(sends.group(2))}


def quick(root, source, build):
    """What every path of count.c takes: {path: instructions}."""
    compile_ours(root, source, build)
    found = per_byte(callgrind(build, [build + '/count', str(QUICK)], **PLAIN)[0])
    return {name.replace(' ', '-').replace(',', ''): count for name, (count, _) in found.items()}


def measure_peers(root, build, peers):
    compile_peers(root, build, peers)
    found = per_byte(callgrind(build, [build + '/count_peers', str(SMALL)])[0])
    report = {}
    for name, (count, size) in sorted(found.items()):
        what, library = name.rsplit(' ', 1)
        report.setdefault(what, {})[library] = round(count / size, 3)
    return report


def measure_sockets(build, times=20):
    """A hello world over plain HTTP on loopback, all of user space included."""
    report = {}
    for way in ('fresh', 'kept'):
        report[way] = {}
        for client in ('ours', 'curl'):
            with Peer(build, False) as peer:
                found, _ = callgrind(build, [os.path.join(build, client), way, str(times), peer.url,
                                             build + '/pki/ca.pem'])
            report[way][client] = found[''] // times
    return report


def peak_memory(build, way, size):
    return int(subprocess.run([build + '/count', 'memory', way, str(size)], text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip().split('\n')[-1])
