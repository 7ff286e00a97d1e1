"""A peer that means no good, over TCP and over TLS, on loopback.

usage: hostile.py CERTIFICATE KEY

Prints "hostile: control on 127.0.0.1:PORT". There it takes commands, one a line:

  ports           answers with the ports of TCP and of TLS
  NAME [SIZE]     the next connection, and only that, is treated so; all others are served well.
                  Answers "ok"
  requests        how many whole requests came since the last NAME
  bytes           how many bytes came in all, TLS taken off

It ends with the process that started it.
"""
import os
import socket
import ssl
import struct
import sys
import threading
import time

GOOD = b'{"success":true,"stdout":"fine","exit_code":0}'
EVIL = b'{"success":true,"stdout":"evil","exit_code":0}'
OK = b'HTTP/1.1 200 OK\r\n'
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n'
LIMIT_S = 120  # no treatment takes longer
PAUSE_S = 0.05


def whole(body, head=OK):
    return head + b'Content-Length: %d\r\n\r\n' % len(body) + body


def chunk(data):
    return b'%x\r\n' % len(data) + data + b'\r\n'


class Peer:
    """One connection. `raw` is the socket beneath TLS."""

    def __init__(self, sock, raw, size):
        self.sock, self.raw, self.size = sock, raw, size
        self.data = b''
        self.until = time.monotonic() + LIMIT_S

    def send(self, data):
        if time.monotonic() > self.until:
            raise OSError('long enough')
        self.sock.sendall(data)

    def request(self):
        while b'\r\n\r\n' not in self.data:
            self._more()
        head, self.data = self.data.split(b'\r\n\r\n', 1)
        length = 0
        for line in head.lower().split(b'\r\n'):
            if line.startswith(b'content-length:'):
                length = int(line[15:])
        while len(self.data) < length:
            self._more()
        self.data = self.data[length:]
        with state.lock:
            state.requests += 1

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        with state.lock:
            state.bytes += len(data)
        self.data += data

    def serve(self):
        """Well."""
        while True:
            self.request()
            self.send(whole(GOOD))

    def drip(self, data, pause=PAUSE_S):
        for i in range(len(data)):
            self.send(data[i:i + 1])
            time.sleep(pause)

    def repeat(self, data, total=1 << 40):
        """`data` again and again, in large pieces, up to so many bytes."""
        piece = data * max(1, 65536 // len(data))
        while total > 0:
            self.send(piece[:total])
            total -= len(piece)

    def end(self):
        """In good order: with TLS, close_notify comes first."""
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.settimeout(5)
                self.sock.unwrap()
            except OSError:
                pass
        self.cut()

    def cut(self):
        """This direction is over. With TLS: without a word."""
        socket.socket.shutdown(self.raw, socket.SHUT_WR)
        try:
            while self.raw.recv(65536):
                pass
        except OSError:
            pass

    def reset(self):
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.raw.close()

    def silence(self):
        while self.sock.recv(65536):
            pass


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.name, self.size = None, 0
        self.requests = self.bytes = 0


state = State()

# ---- treatments: what happens to a connection. Most read the request first ----

TREATMENTS = {}
BARE = set()  # those that come before TLS
FIRST = set()  # those that do not read the request first


def treatment(function):
    TREATMENTS[function.__name__] = function
    return function


def first(function):
    FIRST.add(function.__name__)
    return treatment(function)


def bare(function):
    BARE.add(function.__name__)
    return first(function)


@treatment
def drip(p):
    p.drip(whole(GOOD), 0.002)
    p.serve()


@treatment
def drip_head(p):
    p.drip(OK + b'X: ' + b'y' * 100000)


@treatment
def drip_body(p):
    p.send(CHUNKED)
    while True:
        p.send(chunk(b' '))
        time.sleep(PAUSE_S)


@treatment
def endless_field(p):
    p.send(OK + b'X: ')
    p.repeat(b'y')


@treatment
def endless_fields(p):
    p.send(OK)
    p.repeat(b'X-Field: value\r\n')


@treatment
def endless_reason(p):
    p.send(b'HTTP/1.1 200 ')
    p.repeat(b'OK ')


@treatment
def endless_interim(p):
    p.repeat(b'HTTP/1.1 100 Continue\r\n\r\n')


@treatment
def endless_hints(p):
    p.repeat(b'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n')


@treatment
def some_interim(p):
    p.send(b'HTTP/1.1 100 Continue\r\n\r\n' * 100 + whole(GOOD))
    p.serve()


@treatment
def endless_lines(p):
    p.repeat(b'\r\n')


@treatment
def endless_extension(p):
    p.send(CHUNKED + b'5;x=')
    p.repeat(b'y')


@treatment
def endless_size(p):
    p.send(CHUNKED)
    p.repeat(b'0')


@treatment
def endless_trailers(p):
    p.send(CHUNKED + chunk(GOOD) + b'0\r\n')
    p.repeat(b'X-Trailer: value\r\n')


@treatment
def chunk_2_64(p):
    p.send(CHUNKED + b'10000000000000000\r\n' + GOOD)
    p.serve()


@treatment
def chunk_2_64_less_1(p):
    p.send(CHUNKED + b'FFFFFFFFFFFFFFFF\r\n{"x":"' + b'y' * 1000)
    p.end()


@treatment
def length_2_64(p):
    p.send(OK + b'Content-Length: 18446744073709551616\r\n\r\n' + GOOD)
    p.serve()


@treatment
def length_of_40_digits(p):
    p.send(OK + b'Content-Length: ' + b'9' * 40 + b'\r\n\r\n' + GOOD)
    p.serve()


@treatment
def head_10_mb(p):
    p.send(OK + b'X: ')
    p.repeat(b'y', 10 << 20)
    p.send(b'\r\n' + whole(GOOD, b''))
    p.serve()


@treatment
def garbage(p):
    p.repeat(os.urandom(65536).replace(b'H', b'h'), 10 << 20)
    p.serve()


@treatment
def deep_field(p):
    p.send(OK + b'Connection: close\r\n\r\n{"x":')
    p.repeat(b'[', 5 << 20)
    p.repeat(b']', 5 << 20)
    p.send(b',' + GOOD[1:])
    p.end()


@treatment
def deep_objects(p):
    p.send(OK + b'Connection: close\r\n\r\n')
    p.repeat(b'{"result":', 5 << 20)
    p.end()


@treatment
def deep_root(p):
    p.send(OK + b'Connection: close\r\n\r\n')
    p.repeat(b'[', 5 << 20)
    p.end()


def giant(p, before, filler, after, head=CHUNKED):
    """A body with about p.size bytes of filler between the two, in chunks of 1 MB."""
    p.send(head + chunk(before))
    piece = chunk(filler * ((1 << 20) // len(filler)))
    for _ in range(p.size >> 20):
        p.send(piece)
    p.send(chunk(after) + b'0\r\n\r\n')
    p.serve()


@treatment
def giant_stdout(p):
    giant(p, b'{"stdout":"', b'x', b'","success":true,"exit_code":0}')


@treatment
def giant_escapes(p):
    giant(p, b'{"stdout":"', b'\\u0041\\n', b'","success":true,"exit_code":0}')


@treatment
def giant_field(p):
    giant(p, b'{"other":"', b'x', b'",' + GOOD[1:])


@treatment
def giant_key(p):
    giant(p, b'{"', b'x', b'":1,' + GOOD[1:])


@treatment
def giant_number(p):
    giant(p, b'{"total_time_ms":', b'1', b',' + GOOD[1:])


@treatment
def giant_list(p):
    giant(p, b'{"other":[1', b',{"a":[]}', b'],' + GOOD[1:])


@treatment
def giant_artifact(p):
    giant(p, b'{"artifacts":[{"content_base64":"', b'AAAA', b'","filename":"a"}],' + GOOD[1:])


@treatment
def giant_refusal(p):
    giant(p, b'{"message":"', b'x', b'","error":"no"}',
          b'HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n')


@treatment
def giant_blanks(p):
    giant(p, b' ', b' ', GOOD)


@treatment
def endless_stdout(p):
    p.send(CHUNKED + chunk(b'{"stdout":"'))
    p.repeat(chunk(b'x' * 4096))


@treatment
def endless_items(p):
    p.send(CHUNKED + chunk(b'{"jobs":[{}'))
    p.repeat(chunk(b',{"job_id":"job-of-some-length","status":"running"}' * 20))


@first
def answer_before(p):
    p.send(whole(EVIL))
    p.serve()


@first
def refusal_before(p):
    p.send(whole(b'', b'HTTP/1.1 503 Busy\r\n'))
    p.end()


@treatment
def spare_answer(p):
    p.send(whole(GOOD) + whole(EVIL))
    p.serve()


@treatment
def answer_and_bytes(p):
    p.send(whole(GOOD) + b'\0' * 100000)
    p.serve()


@treatment
def late_answer(p):
    p.send(whole(GOOD))
    time.sleep(0.02)
    p.send(whole(EVIL))
    p.serve()


def ends(name, before):
    """In good order, cut off and reset, after so much of an answer."""
    for way in 'end', 'cut', 'reset':
        def treat(p, way=way):
            p.send(before)
            if way == 'reset':
                time.sleep(0.02)  # so that what was sent is seen before
            getattr(p, way)()
        TREATMENTS['%s_%s' % (way, name)] = treat


ends('without_an_answer', b'')
ends('in_the_status_line', OK[:11])
ends('in_the_head', OK + b'Content-Le')
ends('after_the_head', OK + b'Content-Length: 46\r\n\r\n')
ends('in_the_body', whole(GOOD)[:-5])
ends('in_the_chunk', CHUNKED + b'2e\r\n' + GOOD[:-5])
ends('before_the_last_chunk', CHUNKED + chunk(GOOD))
ends('after_the_answer', whole(GOOD))
ends('after_an_endless_body', OK + b'\r\n' + GOOD)
ends('in_a_refusal', b'HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\n{"error":')


@first
def end_at_once(p):
    p.end()


@first
def reset_at_once(p):
    p.reset()


@first
def reset_in_the_request(p):
    p.sock.recv(1000)
    p.reset()


@treatment
def silent(p):
    p.silence()


@treatment
def silent_in_the_head(p):
    p.send(OK + b'Content-Le')
    p.silence()


@treatment
def silent_in_the_body(p):
    p.send(whole(GOOD)[:-5])
    p.silence()


@first
def deaf(p):
    time.sleep(10)


@first
def slow_reader(p):
    while p.sock.recv(1024):
        time.sleep(PAUSE_S)


@treatment
def retry_after_ages(p):
    p.send(whole(b'{}', b'HTTP/1.1 429 No\r\nRetry-After: 99999999999999999999\r\n'))
    p.serve()


@treatment
def redirect(p):
    """With p.size as its status."""
    p.send(whole(b'', b'HTTP/1.1 %d There\r\nLocation: https://elsewhere.example/\r\n'
                 % (p.size or 307)))
    p.serve()


@treatment
def switches(p):
    p.send(b'HTTP/1.1 101 Switch\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n')
    p.serve()


@treatment
def runs_for_ever(p):
    while True:
        p.send(whole(b'{"job_id":"j1","status":"running"}'))
        p.request()


@bare
def no_handshake(p):
    p.raw.recv(1)
    while p.raw.recv(65536):
        pass


@bare
def handshake_by_drops(p):
    p.sock = p.raw
    p.drip(b'\x16\x03\x03\x40\x00' + b'\x02\x00\x3f\xfc' + b'\0' * 16000)


@bare
def endless_warnings(p):
    p.sock = p.raw
    p.repeat(b'\x15\x03\x03\x00\x02\x01\x64')


@bare
def endless_empty_records(p):
    p.sock = p.raw
    p.repeat(b'\x16\x03\x03\x00\x00')


@bare
def endless_plain_text(p):
    p.sock = p.raw
    p.repeat(b'HTTP/1.1 400 No\r\n')


# ---- connections ----

def serve(raw, context, name, size):
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.settimeout(LIMIT_S)
    try:
        p = Peer(raw, raw, size)
        if name in BARE:
            TREATMENTS[name](p)
            return
        if context is not None:
            p.sock = context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True)
            p.raw = p.sock
        if name is not None:
            if name not in FIRST:
                p.request()
            TREATMENTS[name](p)
            return
        p.serve()
    except (OSError, EOFError, ValueError):
        pass
    finally:
        try:
            p.raw.close()
        except (OSError, ValueError):
            pass


def listen():
    sock = socket.socket()
    sock.bind(('127.0.0.1', 0))
    sock.listen(16)
    return sock


def accept(sock, context):
    while True:
        raw = sock.accept()[0]
        with state.lock:
            name, size, state.name = state.name, state.size, None
        threading.Thread(target=serve, args=(raw, context, name, size), daemon=True).start()


def control(sock, ports):
    while True:
        with sock.accept()[0] as raw, raw.makefile('rw') as lines:
            for line in lines:
                words = line.split()
                answer = 'ok'
                with state.lock:
                    if words[0] == 'ports':
                        answer = '%d %d' % ports
                    elif words[0] == 'requests':
                        answer = str(state.requests)
                    elif words[0] == 'bytes':
                        answer = str(state.bytes)
                    elif words[0] in TREATMENTS:
                        state.name, state.requests = words[0], 0
                        state.size = int(words[1]) if len(words) > 1 else 0
                    else:
                        answer = 'no such treatment'
                lines.write(answer + '\n')
                lines.flush()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    plain, secure, commands = listen(), listen(), listen()
    threading.Thread(target=accept, args=(plain, None), daemon=True).start()
    threading.Thread(target=accept, args=(secure, context), daemon=True).start()
    threading.Thread(target=control, daemon=True, args=(
        commands, (plain.getsockname()[1], secure.getsockname()[1]))).start()
    print('hostile: control on 127.0.0.1:%d' % commands.getsockname()[1], flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


main()
