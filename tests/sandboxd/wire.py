"""HTTP/1.1 for one connection: reads requests strictly, writes answers.

Where RFC 9112 lets a server be lenient (bare LF, blank lines before a request, obs-fold,
absolute-form targets), this one is not: it exists to show what a client gets wrong.
"""

import email.utils
import re
import socket
import ssl
import time
import traceback
from http import HTTPStatus

HEAD_LIMIT = 64 * 1024
TARGET_LIMIT = 32 * 1024
FIELD_LIMIT = 100
ONE_WRITE_LIMIT = 64 * 1024
BODY_TIMEOUT = 30.0
LINGER_SECONDS = 5.0
LINGER_BYTES = 64 * 1024 * 1024

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") (\S+) HTTP/([0-9])\.([0-9])")
_TARGET = re.compile(rb"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[\x21-\x7e](?:[ \t\x21-\x7e]*[\x21-\x7e])?)?)"
                    rb"[ \t]*")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~]+)(?::[0-9]{1,5})?")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_SINGLE = ("host", "content-length", "content-type", "authorization", "expect", "x-timestamp",
           "x-signature", "x-sudo-otp", "x-sudo-challenge")


class Refusal(Exception):
    """An error answer. `close` ends the connection after it: the framing cannot be trusted."""

    def __init__(self, status, error, message, close=False, headers=(), **members):
        super().__init__(message)
        self.status = status
        self.close = close
        self.headers = list(headers)
        self.members = dict(error=error, message=message, **members)

    def response(self):
        return Response(self.status, self.members, self.headers, kind="error")


class Response:
    """`content` is bytes, or anything else to be sent as JSON. `drop` sends nothing at all.

    With a `kind` the content is canonical: the dialect gives it the form that is sent.
    """

    def __init__(self, status, content, headers=(), content_type="application/json", drop=False,
                 kind=None):
        self.status = status
        self.content = content
        self.headers = list(headers)
        self.content_type = content_type
        self.drop = drop
        self.kind = kind


class Request:
    def __init__(self, method, target, version, headers):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        path, _, query = target.partition("?")
        self.path = path
        self.query = query
        self.length = None

    def header(self, name):
        values = self.headers.get(name)
        return values[0] if values else None

    def tokens(self, name):
        joined = ",".join(self.headers.get(name, ()))
        return [item.strip().lower() for item in joined.split(",") if item.strip()]

    @property
    def keep_alive(self):
        tokens = self.tokens("connection")
        if "close" in tokens:
            return False
        return self.version >= (1, 1) or "keep-alive" in tokens


def bad_request(message):
    return Refusal(400, "bad_request", message, close=True)


def parse_head(head):
    """The bytes up to and without the empty line -> Request."""
    if _BARE_CR.search(head):
        raise bad_request("bare CR in the request head")
    lines = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if not match:
        raise bad_request("malformed request line")
    version = (int(match.group(3)), int(match.group(4)))
    if version not in ((1, 0), (1, 1)):
        raise Refusal(505, "version_not_supported", "only HTTP/1.0 and HTTP/1.1 are spoken here",
                      close=True)
    target = match.group(2)
    if len(target) > TARGET_LIMIT:
        raise Refusal(414, "uri_too_long", "the request target is too long", close=True)
    if not _TARGET.fullmatch(target):
        raise bad_request("the request target is not a valid, percent-encoded path and query")
    if len(lines) - 1 > FIELD_LIMIT:
        raise Refusal(431, "head_too_large", "too many header fields", close=True)
    headers = {}
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if not field:
            raise bad_request("malformed header field line")
        name = field.group(1).decode("ascii").lower()
        headers.setdefault(name, []).append(field.group(2).decode("ascii"))
    request = Request(match.group(1).decode("ascii"), target.decode("ascii"), version, headers)
    _check_fields(request)
    return request


def _check_fields(request):
    for name in _SINGLE:
        if len(request.headers.get(name, ())) > 1:
            raise bad_request("header field given more than once: " + name)
    host = request.header("host")
    if host is None:
        if request.version >= (1, 1):
            raise bad_request("no Host header field")
    elif not _HOST.fullmatch(host):
        raise bad_request("malformed Host header field")
    length = request.header("content-length")
    if length is not None:
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise bad_request("malformed Content-Length")
        request.length = int(length)
    if "transfer-encoding" in request.headers:
        if length is not None:
            raise bad_request("both Transfer-Encoding and Content-Length")
        raise Refusal(411, "length_required", "a body needs Content-Length here", close=True)
    expect = request.header("expect")
    if expect is not None and expect.lower() != "100-continue":
        raise Refusal(417, "expectation_failed", "unknown expectation", close=True)


def encode_chunked(body):
    """Valid and deliberately varied: sizes, hex case, zeros in front, an extension, a trailer."""
    pieces = []
    position = 0
    sizes = (1, 2, 10, 15, 16, 17, 171, 256, 4096)
    number = 0
    while position < len(body):
        size = sizes[number] if number < len(sizes) else ONE_WRITE_LIMIT
        chunk = body[position:position + size]
        line = ("%X" if number % 2 else "%x") % len(chunk)
        if number == 1:
            line = "000" + line
        if number == 0:
            line += ";sandboxd=1"
        pieces += [line.encode("ascii"), b"\r\n", chunk, b"\r\n"]
        position += len(chunk)
        number += 1
    pieces.append(b"0\r\nX-Sandboxd-Trailer: end\r\n\r\n")
    return b"".join(pieces)


class Connection:
    """Serves one accepted socket until it is closed. `app` has admit() and serve(), `dialect`
    present() and encode()."""

    def __init__(self, sock, app, dialect, options):
        self.sock = sock
        self.app = app
        self.dialect = dialect
        self.options = options
        self.buffer = bytearray()

    # ---- reading -----------------------------------------------------------------------

    def read_head(self):
        """The head's bytes, or None when the peer is gone or idle."""
        self.sock.settimeout(self.options.idle_timeout)
        seen = 0
        while True:
            end = self.buffer.find(b"\r\n\r\n", max(0, seen - 3))
            head = self.buffer if end < 0 else self.buffer[:end + 4]
            if _BARE_LF.search(head):
                raise bad_request("bare LF in the request head")
            if end >= 0 and end <= HEAD_LIMIT:
                del self.buffer[:end + 4]
                return bytes(head[:-4])
            if len(self.buffer) > HEAD_LIMIT:
                if b"\r\n" not in self.buffer[:HEAD_LIMIT]:
                    raise Refusal(414, "uri_too_long", "the request line is too long", close=True)
                raise Refusal(431, "head_too_large", "the request head is too large", close=True)
            seen = len(self.buffer)
            try:
                data = self.sock.recv(64 * 1024)
            except socket.timeout:
                if self.buffer:
                    raise Refusal(408, "request_timeout", "the request head did not arrive in time",
                                  close=True)
                return None
            if not data:
                if self.buffer:
                    raise bad_request("the connection ended within a request head")
                return None
            self.buffer += data
            self.sock.settimeout(BODY_TIMEOUT)

    def read_body(self, length):
        body = bytearray(length)
        have = min(length, len(self.buffer))
        body[:have] = self.buffer[:have]
        del self.buffer[:have]
        self.sock.settimeout(BODY_TIMEOUT)
        view = memoryview(body)
        while have < length:
            try:
                count = self.sock.recv_into(view[have:])
            except socket.timeout:
                raise Refusal(408, "request_timeout", "the body did not arrive in time", close=True)
            if count == 0:
                raise bad_request("the connection ended within a body")
            have += count
        return bytes(body)

    # ---- writing -----------------------------------------------------------------------

    def send(self, response, request, close):
        response = self.dialect.present(response)
        body = response.content
        if not isinstance(body, bytes):
            body = self.dialect.encode(body)
        phrase = HTTPStatus(response.status).phrase
        lines = ["HTTP/1.1 %d %s" % (response.status, phrase),
                 "Server: sandboxd",
                 "Date: " + email.utils.formatdate(usegmt=True)]
        bodiless = response.status == 204
        if not bodiless:
            lines.append("Content-Type: " + response.content_type)
        lines += ["%s: %s" % pair for pair in response.headers]
        chunked = (self.options.chunked and request is not None and request.version >= (1, 1)
                   and request.method != "HEAD" and not bodiless)
        if chunked:
            lines.append("Transfer-Encoding: chunked")
            body = encode_chunked(body)
        elif not bodiless:
            lines.append("Content-Length: %d" % len(body))
        if close:
            lines.append("Connection: close")
        elif request is not None and request.version < (1, 1):
            lines.append("Connection: keep-alive")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if request is not None and request.method == "HEAD":
            body = b""
        self.sock.settimeout(BODY_TIMEOUT)
        # A head and a small body sent apart would wait for the peer's delayed ACK.
        split = ONE_WRITE_LIMIT if len(body) > ONE_WRITE_LIMIT else len(body)
        self.sock.sendall(head + body[:split])
        if split < len(body):
            view = memoryview(body)
            for start in range(split, len(body), 1 << 20):
                self.sock.sendall(view[start:start + (1 << 20)])

    # ---- the conversation --------------------------------------------------------------

    def serve(self):
        try:
            while self.serve_one():
                pass
        except (OSError, ssl.SSLError):
            self.sock.close()
            return
        self.close_lingering()

    def serve_one(self):
        """One request and its answer; True when the connection can carry another."""
        request = None
        try:
            head = self.read_head()
            if head is None:
                return False
            request = parse_head(head)
        except Refusal as refusal:
            self.send(refusal.response(), request, True)
            return False
        length = request.length or 0
        expects = request.header("expect") is not None and request.version >= (1, 1) and length > 0
        try:
            ticket = self.app.admit(request)
        except Refusal as refusal:
            return self.refuse_early(refusal, request, length, expects)
        try:
            if expects and not self.buffer:
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.read_body(length)
            response = self.app.serve(ticket, body)
        except Refusal as refusal:
            close = refusal.close or not request.keep_alive
            self.send(refusal.response(), request, close)
            return not close
        except OSError:
            raise
        except Exception:
            traceback.print_exc()
            refusal = Refusal(500, "internal_error", "a defect of this server; see its stderr")
            self.send(refusal.response(), request, True)
            return False
        if response.drop:
            raise OSError("dropped on purpose")
        self.send(response, request, not request.keep_alive)
        return request.keep_alive

    def refuse_early(self, refusal, request, length, expects):
        """Answers before the body is read, so that a client which looks can stop sending."""
        response = refusal.response() if not isinstance(refusal, Injected) else refusal.fault
        if response.drop:
            raise OSError("dropped on purpose")
        too_long = length > self.options.max_body
        close = refusal.close or too_long or expects or not request.keep_alive
        self.send(response, request, close)
        if close:
            return False
        try:
            self.read_body(length)
        except Refusal:
            return False  # one answer is out already
        return True

    def close_lingering(self):
        """Closes so that the peer gets the answer: with input unread, close() is a reset."""
        deadline = time.monotonic() + LINGER_SECONDS
        try:
            self.sock.settimeout(1.0)
            if isinstance(self.sock, ssl.SSLSocket):
                try:
                    self.sock.unwrap()
                except (OSError, ValueError):
                    pass  # close_notify is out; the peer need not answer it
            self.sock.shutdown(socket.SHUT_WR)
            drained = 0
            while drained < LINGER_BYTES and time.monotonic() < deadline:
                data = self.sock.recv(256 * 1024)
                if not data:
                    break
                drained += len(data)
        except (OSError, ValueError):
            pass
        finally:
            self.sock.close()


class Injected(Refusal):
    """A fault asked for on the command line, answered in place of the request."""

    def __init__(self, fault):
        super().__init__(fault.status, "injected", "injected fault")
        self.fault = fault
