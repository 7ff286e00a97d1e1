"""End to end: the same work by unsandbox.h with BearSSL and by libcurl with cJSON, against a local
peer. Runs are interleaved; medians are reported, and ratios."""
import json
import os
import signal
import statistics
import subprocess

from flash import run

FLAGS = ['-std=gnu11', '-O2', '-g', '-Wall', '-Wextra']
CLIENTS = {'ours': 'unsandbox.h + BearSSL', 'curl': 'libcurl + cJSON + OpenSSL'}
# name: (title, way, calls in a run, runs)
WORK = {
    'fresh': ('hello world, fresh connections', 'fresh', 20, 15),
    'resumed': ('hello world, resumed sessions', 'resumed', 20, 15),
    'kept': ('200 hello worlds on one connection', 'kept', 200, 15),
    'upload': ('10 MB upload', 'upload', 1, 7),
    'download': ('100 MB of stdout', 'download', 1, 7),
}


class Peer:
    """One process of the peer; `totals` once it is over."""

    def __init__(self, build, tls):
        pki = os.path.join(build, 'pki')
        arguments = [pki + '/localhost.pem', pki + '/localhost.key'] if tls else []
        self.process = subprocess.Popen([build + '/peer'] + arguments, stdout=subprocess.PIPE,
                                        text=True)
        port = self.process.stdout.readline().strip()
        self.url = '%s://127.0.0.1:%s' % ('https' if tls else 'http', port)
        self.totals = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            said, _ = self.process.communicate(timeout=20)
            self.totals = [int(n) for n in said.split()]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise


def compile_all(root, source, build):
    here = os.path.join(root, 'tests/bench')
    include = ['-I' + source, '-I' + source + '/ports', '-I' + here]
    run(['gcc'] + FLAGS + [here + '/peer.c', '-o', build + '/peer', '-lssl', '-lcrypto', '-lpthread'])
    run(['gcc'] + FLAGS + include + [here + '/ours.c', '-o', build + '/ours', '-lbearssl',
                                     '-lpthread'])
    run(['gcc'] + FLAGS + include + [here + '/curl.c', '-o', build + '/curl', '-lcurl', '-lcjson',
                                     '-lcrypto'])


def once(build, client, way, times, tls):
    with Peer(build, tls) as peer:
        done = subprocess.run([os.path.join(build, client), way, str(times), peer.url,
                               build + '/pki/ca.pem'], stdout=subprocess.PIPE, text=True,
                              timeout=120, check=False)
    if done.returncode != 0:
        raise SystemExit('%s %s failed' % (client, way))
    found = json.loads(done.stdout)
    connections, segments_in, bytes_in, segments_out, bytes_out = peer.totals
    found.update(connections=connections, packets_sent=segments_in, bytes_sent=bytes_in,
                 packets_received=segments_out, bytes_received=bytes_out)
    return found


def measure(root, source, build):
    compile_all(root, source, build)
    report = {}
    for tls in (True, False):
        for name, (title, way, times, runs) in WORK.items():
            if not tls and name == 'resumed':
                continue
            found = {client: [] for client in CLIENTS}
            for i in range(runs):
                # who goes first takes turns
                for client in sorted(CLIENTS, reverse=i % 2 == 1):
                    found[client].append(once(build, client, way, times, tls))
            entry = {'title': title, 'calls': times, 'runs': runs}
            for client, rows in found.items():
                entry[client] = {key: round(statistics.median(r[key] for r in rows), 6)
                                 for key in rows[0]}
            entry['ratio'] = {key: round(entry['curl'][key] / entry['ours'][key], 2)
                              for key in ('cpu_s', 'wall_s', 'peak_kb', 'bytes_sent',
                                          'packets_sent') if entry['ours'][key]}
            report[('tls ' if tls else 'plain ') + name] = entry
    return report
