#!/usr/bin/env python3
"""sandboxd: the unsandbox.com API on the loopback interface, for tests and demonstrations.

It is NOT a sandbox. It runs the code it is sent with the rights of whoever started it.

    sandboxd.py [--port N] [--tls CERT KEY] [--key KEY]... [--key-pair PUBLIC SECRET]...

It speaks the documentation page's dialect or, with `--dialect live`, that of the service as its
clients have come to know it; each trait of either can be chosen by itself. It goes wrong where the
options for faults say.

Once it is ready it prints one line, "sandboxd: listening on http://127.0.0.1:PORT". SIGTERM or
SIGINT ends it, its running jobs included. `--help` names all options.

Python's standard library alone, from version 3.9. The modules, from the socket inwards: wire
(HTTP), dialect (the form of answers), faults (what goes wrong on request), api (endpoints, keys,
limits), sudo (requests that wait for a code), validate (requests), jobs (queue), sessions and
services (what stays between requests), execution (one job), inputs (where its files lie), runner
(one process), languages (what there is to run).
"""

import sys

sys.dont_write_bytecode = True

import argparse
import ipaddress
import os
import signal
import socket
import ssl
import tempfile
import threading
import time
from http import HTTPStatus

import dialect
import faults
from api import Api
from execution import Executor, remove_tree
from inputs import InputPlace
from jobs import JobTable, Journal
from languages import discover
from runner import Runner
from wire import Connection

FAULTS = [int(status) for status in HTTPStatus if status >= 300 and status != 304]
SAMPLE_KEY = "unsb-sk-test0-vault-unlck-12345"


def parse_options(arguments):
    parser = argparse.ArgumentParser(
        prog="sandboxd.py", description="The unsandbox.com API on the loopback interface. "
        "Not a sandbox: it runs code with the rights of whoever starts it.")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    add("--port", type=_number(0, 65535), default=0, help="0 takes any free one (default)")
    add("--tls", nargs=2, metavar=("CERT", "KEY"), help="HTTPS with these PEM files")
    add("--key", action="append", metavar="KEY",
        help="an accepted API key; repeatable (default: the documentation's sample key)")
    add("--key-pair", action="append", nargs=2, metavar=("PUBLIC", "SECRET"), default=[],
        help="a key pair for signed requests; repeatable")
    add("--signed-only", action="store_true", help="a bearer key alone is refused")
    add("--expired-key", action="append", metavar="KEY", default=[],
        help="a key that has run out; repeatable")
    add("--open-languages", action=argparse.BooleanOptionalAction,
        help="GET /languages and /health need no key")
    add("--sudo", metavar="CODE", help="DELETE of a session or service answers 428 with a "
        "challenge_id first, and takes X-Sudo-Challenge with X-Sudo-OTP: CODE")
    add("--vcpu", action=argparse.BooleanOptionalAction,
        help="take the member vcpu, 1 to 8; the program finds it in SANDBOXD_VCPU")
    add("--accept-extra", action="append", metavar="NAME", default=[],
        help="let members of this name pass; the program finds those of its request as JSON in "
        "SANDBOXD_EXTRA; repeatable")
    add("--file-limits", choices=("page", "live"), help="page: 10 input files, 5 MB each, 10 MB "
        "in all. live: 1000, 100 MB, 4 GB, and names with '/'")
    add("--files-in", metavar="DIR", help="input files lie there instead of in the working "
        "directory: below it where DIR is relative; SANDBOXD_INPUT has the path")
    add("--journal", metavar="FILE", help="append '<job id> <language> <sha256 of the code>' "
        "for each execution started")
    add("--workers", type=_number(1), default=4, metavar="N",
        help="async jobs that run at once; more of them wait (default 4)")
    add("--concurrency", type=_number(0), default=0, metavar="N",
        help="a key's pending and running jobs before 429 (default 0: no limit)")
    add("--rate-limit", type=_number(0), default=0, metavar="N",
        help="a key's requests in 60 s before 429 (default 0: no limit)")
    add("--max-output", type=_number(1), default=256 << 20, metavar="BYTES",
        help="a program's output before it is killed (default 256 MiB)")
    add("--max-body", type=_number(1), default=32 << 20, metavar="BYTES",
        help="a request's body before 413 (default 32 MiB)")
    add("--idle-timeout", type=float, default=60.0, metavar="SECONDS",
        help="how long a connection may wait for a request (default 60)")
    add("--chunked", action="store_true", help="answer with chunked transfer coding")
    add("--exit-with-parent", action="store_true", help="stop when the parent process is gone")
    add("--quiet", action="store_true", help="on stderr, nothing but the warning")
    dialect.add_options(parser)
    faults.add_options(parser, _number)
    options = parser.parse_args(arguments)
    dialect.resolve(options)
    options.host = _loopback(parser, options.host)
    if not options.key:
        options.key = [SAMPLE_KEY]
    if options.fail_first and options.fail_first[1] not in FAULTS:
        parser.error("--fail-first takes an HTTP status from 300 up, other than 304")
    if options.signed_only and not options.key_pair:
        parser.error("--signed-only needs a --key-pair")
    if options.files_in is not None and ".." in options.files_in.split("/"):
        parser.error("--files-in takes no path with '..'")
    return options


def _number(low, high=1 << 40):
    def convert(text):
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError("not from %d to %d: %s" % (low, high, text))
        return value
    convert.__name__ = "integer"
    return convert


def _loopback(parser, host):
    """What runs anyone's code listens to this machine alone; there is no option to change that."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
        mapped = address.version == 6 and address.ipv4_mapped is not None
        if address.is_loopback and not mapped:
            return str(address)
    except ValueError:
        pass
    parser.error("refusing to listen on %s: loopback addresses only (127.0.0.0/8, ::1)" % host)


class Server:
    def __init__(self, options):
        self.options = options
        self.tls = _tls_context(options.tls) if options.tls else None
        journal = Journal(options.journal) if options.journal else None
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((options.host, options.port))
        self.listener.listen(128)
        # The directory comes after all that can fail, so that a failure leaves nothing behind.
        self.runner = Runner()
        self.dialect = dialect.Dialect(options)
        self.inputs = InputPlace(options.files_in, self.runner)
        self.base = tempfile.mkdtemp(prefix="sandboxd-")
        languages = discover(os.path.join(self.base, "cache"))
        executor = Executor(self.runner, languages, self.base, options.max_output, self.inputs)
        table = JobTable(executor, options.workers, options.concurrency, journal)
        self.api = Api(options, executor, table, journal)

    def url(self):
        host = self.options.host
        return "%s://%s:%d" % ("https" if self.tls else "http",
                               "[%s]" % host if ":" in host else host,
                               self.listener.getsockname()[1])

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                time.sleep(0.05)  # out of descriptors, or the peer has gone already
                continue
            threading.Thread(target=self._converse, args=(sock,), daemon=True).start()

    def _converse(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock.settimeout(10.0)
                sock = self.tls.wrap_socket(sock, server_side=True)
        except (OSError, ValueError):
            sock.close()
            return
        Connection(sock, self.api, self.dialect, self.options).serve()

    def close(self):
        self.runner.close()
        remove_tree(self.base)
        self.inputs.close()


def _tls_context(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*files)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _say(text):
    try:
        sys.stderr.write("sandboxd: %s\n" % text)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _report(server):
    _say("warning: this is no sandbox; it runs code with your rights")
    if server.options.quiet:
        return
    if server.runner.cut_network is None:
        _say("warning: this system gives no network namespace; zerotrust keeps the network")
    if server.inputs.missing():
        _say("warning: this system lets nothing be mounted on %s; input files are in the "
             "working directory" % server.options.files_in)
    if not server.runner.pid_namespace:
        _say("warning: this system gives no PID namespace; a program may leave a process behind")


def main(arguments):
    parent = os.getppid()
    options = parse_options(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = Server(options)
    except OSError as problem:
        _say("cannot start: %s" % problem)
        return 1
    try:
        _report(server)
        threading.Thread(target=server.accept, daemon=True).start()
        print("sandboxd: listening on " + server.url(), flush=True)
        while not stop.wait(0.2):
            if options.exit_with_parent and os.getppid() != parent:
                break
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # Connections may still be open in other threads, which a normal exit could wait for.
    sys.stdout.flush()
    os._exit(status)
