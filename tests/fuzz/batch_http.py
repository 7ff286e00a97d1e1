"""Cases for the HTTP decoder, and what RFC 9112, http.client and llhttp make of them."""
import http.client
import io
import re

HEAD = 0x80
LIMIT = 32768  # UNSB_HTTP_HEAD_LIMIT

# ---- what is refused, whoever else takes it ----
FAULTS = {
    "status line": "not HTTP/1.x, a space and a code from 100 on (RFC 9112 section 4)",
    "reason": "a control character in the reason (RFC 9112 section 4)",
    "bare CR": "a CR that no LF follows (RFC 9112 section 2.2)",
    "name": "a field's name that is no token, or no colon behind it (RFC 9112 section 5.1)",
    "fold of nothing": "a continuation line without a field before it (RFC 9112 section 2.2)",
    "value": "a control character in a value that matters, NUL in any (RFC 9110 section 5.5)",
    "length": "a Content-Length that is no number, or two that differ (RFC 9112 section 6.3)",
    "coding": "a transfer coding other than chunked, once (RFC 9112 section 6.1; no TE was sent)",
    "length and coding": "both, or chunks in HTTP/1.0 (RFC 9112 section 6.1)",
    "upgrade": "101, but nothing was offered to switch to (RFC 9110 section 7.8)",
    "chunk": "a chunk-size line or the end of a chunk that is malformed (RFC 9112 section 7.1)",
    "trailer": "NUL or a lone LF behind the last chunk (RFC 9112 section 2.2)",
    "size": "a size of more than 64 bits or 20 digits (RFC 9110 section 8.6, RFC 9112 section 7.1)",
    "head size": "a head or chunk-size line beyond the limit (RFC 9110 section 5.4)",
}
# ---- what is taken, though others refuse it or read it otherwise ----
LIBERTIES = {
    "empty lines": "before the status line (RFC 9112 section 2.2, there of requests)",
    "version": "HTTP/1.2 to 1.9 are as 1.1 (RFC 9110 section 2.5)",
    "lone LF": "ends a line of the head, but none after it (RFC 9112 section 2.2)",
    "fold": "a value goes on in the next line (RFC 9112 section 5.2)",
    "control": "control characters in values that do not matter (RFC 9110 section 5.5)",
    "odd bytes": "bytes that http.client takes for the end of a line",
    "length list": "equal lengths, repeated or in a list (RFC 9112 section 6.3)",
    "tab": "beside a length, as a blank (RFC 9110 section 5.6.3)",
    "coding list": "chunked with blanks or empty elements (RFC 9110 section 5.6.1)",
    "interim": "102 to 199 are no responses: one comes after them (RFC 9110 section 15.2)",
    "interim fields": "1xx has no content, and its fields end no connection (section 15.2)",
    "no content": "nor has 204 or 304, whatever its fields say (RFC 9112 section 6.3)",
    "blank after size": "blanks behind a chunk's size (RFC 9112 section 7.1.1, there before ';')",
    "extension": "chunk extensions are not read (RFC 9112 section 7.1.1)",
    "trailers": "nor are trailers (RFC 9112 section 7.1.2)",
    "connection": "close comes before keep-alive, in any list of options (RFC 9112 section 9.3); "
                  "Proxy-Connection is no standard (appendix C.2.2)",
    "many fields": "more than the 100 that http.client takes",
}
RULES = {"cut": "the data ends within a line or head: one of them has seen enough to refuse it",
         **{"refused: " + name: why for name, why in FAULTS.items()},
         **{"taken: " + name: why for name, why in LIBERTIES.items()}}

# Which liberties let the other refuse what is taken here ("-"), or read it otherwise ("+")
LLHTTP = {"version": "-", "lone LF": "-", "fold": "-+", "control": "-", "length list": "-",
          "tab": "-",
          "coding list": "-+", "interim fields": "-+", "no content": "-+",
          "blank after size": "-", "extension": "-", "trailers": "-", "connection": "+"}
PYTHON = {"empty lines": "-", "fold": "-+", "odd bytes": "-+", "length list": "+",
          "coding list": "+", "interim": "-+", "no content": "-+", "many fields": "-"}

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
STATUS = re.compile(rb"HTTP/1\.(\d) (\d\d\d)(?=[ \r]|$)(.*)", re.DOTALL)
CHUNK = re.compile(rb"([0-9A-Fa-f]+)([ \t]*)(;[^\0-\x08\n-\x1f]*)?\r", re.DOTALL)
MATTERS = (b"content-length", b"transfer-encoding", b"connection", b"retry-after")


class Fault(Exception):
    pass


class Short(Exception):
    """The data ends within a line (True), or between lines or in a body (False)."""


class Response:
    """Read from RFC 9112: a fault, or `short`, or where it ends and what it is."""

    def __init__(self, data, head):
        self.data, self.head, self.at = data, head, 0
        self.liberties, self.fault, self.short = set(), None, None
        try:
            self.read()
        except Fault as fault:
            self.fault = fault.args[0]
        except Short as short:
            self.short = short.args[0]

    def line(self):
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Short(self.at < len(self.data))
        line = self.data[self.at:end]
        self.at = end + 1
        return line

    def head_line(self, fault):
        line = self.line()
        if line.endswith(b"\r"):
            line = line[:-1]
        else:
            self.liberties.add("lone LF")
        if b"\r" in line:
            raise Fault("bare CR")
        return line

    def read(self):
        start = 0
        while True:
            self.read_head()
            if self.at - start > LIMIT:
                raise Fault("head size")
            if self.status >= 200:
                break
            if self.status < 100:
                raise Fault("status line")
            if self.status == 101:
                raise Fault("upgrade")
            if self.status != 100:
                self.liberties.add("interim")
            if self.length or self.codings or "close" in self.options or self.minor == 0:
                self.liberties.add("interim fields")
        chunked, length, closes = self.codings > 0, self.length, "close" in self.options
        if chunked and (length is not None or self.minor == 0):
            raise Fault("length and coding")
        if self.minor == 0 and "keep-alive" not in self.options:
            closes = True
        if closes and "keep-alive" in self.options:
            self.liberties.add("connection")
        self.body = b""
        if self.head or self.status in (204, 304):
            self.framing = "n"
            if not self.head and (chunked or length):
                closes = True
                self.liberties.add("no content")
        elif chunked:
            self.framing = "c"
            self.read_chunks()
        elif length is not None:
            self.framing = "l"
            self.body = self.take(length)
        else:
            self.framing = "e"
            closes = True
            self.body = self.take(len(self.data) - self.at)
        self.closes = closes

    def take(self, size):
        if len(self.data) - self.at < size:
            raise Short(False)
        self.at += size
        return self.data[self.at - size:self.at]

    def read_head(self):
        while empty := re.match(rb"\r?\n", self.data[self.at:self.at + 2]):
            self.liberties.add("empty lines")
            self.at += empty.end()
        begin = self.at
        try:
            line = self.head_line("status line")
        except Fault: # which comes first?
            line = self.data[begin:self.at].split(b"\r")[0]
            raise Fault("bare CR" if STATUS.fullmatch(line) else "status line")
        match = STATUS.fullmatch(line)
        if not match:
            raise Fault("status line")
        self.minor, self.status = int(match[1]), int(match[2])
        if self.minor > 1:
            self.liberties.add("version")
        if re.search(rb"[\0-\x08\n-\x1f]", match[3]):
            raise Fault("reason")
        self.length, self.codings, self.options, self.retry = None, 0, set(), "-"
        name, value, count = None, b"", 0
        while True:
            begin = self.at
            if begin == len(self.data): # what is wrong with a value may have shown, or may yet
                raise Short(name in MATTERS)
            fold = self.data[begin:begin + 1] in (b" ", b"\t")
            if not fold and name:
                self.field(name, value)
            if fold and not name:
                raise Fault("fold of nothing")
            if re.match(rb"\r[^\n]", self.data[begin:begin + 2], re.DOTALL):
                raise Fault("bare CR")
            if not fold and self.data[begin:begin + 1] not in (b"\r", b"\n"):
                match = TOKEN.match(self.data, begin)
                after = match and self.data[match.end():match.end() + 2]
                if not match or (after[:1] != b":" and after not in (b"", b"\r")):
                    raise Fault("name")
            line = self.head_line("value")
            if not line and not fold:
                break
            count += 1
            if count > 100:
                self.liberties.add("many fields")
            if fold:
                self.liberties.add("fold")
                more = line
                value += b" " + more
            else:
                name, more = line.split(b":", 1)
                name = name.lower()
                value = more
            if b"\0" in more or (name in MATTERS and re.search(rb"[\0-\x08\n-\x1f]", more)):
                raise Fault("value")
            if name == b"content-length" and b"\t" in more:
                self.liberties.add("tab")
            if re.search(rb"[\0-\x08\n-\x1f\x7f]", more):
                self.liberties.add("control")
            if re.search(rb"[\x0b\x0c\x1c-\x1e\x85]", more):
                self.liberties.add("odd bytes")

    def field(self, name, value):
        parts = [part.strip(b" \t") for part in value.split(b",")]
        if name == b"content-length":
            if len(parts) > 1 or self.length is not None:
                self.liberties.add("length list")
            for part in parts:
                if not re.fullmatch(rb"[0-9]+", part):
                    raise Fault("length")
                if int(part) >= 1 << 64 or len(part) > 20:
                    raise Fault("size")
                if self.length not in (None, int(part)):
                    raise Fault("length")
                self.length = int(part)
        elif name == b"transfer-encoding":
            if value.lower() not in (b"chunked", b" chunked", b"\tchunked"):
                self.liberties.add("coding list")
            for part in parts:
                if part:
                    self.codings += 1
                    if part.lower() != b"chunked" or self.codings > 1:
                        raise Fault("coding")
            if not self.codings:
                raise Fault("coding")
        elif name == b"connection":
            self.options.update(part.lower().decode("latin-1") for part in parts)
            if parts[1:] or re.search(rb"[^ ,a-zA-Z-]", value):
                self.liberties.add("connection")
        elif name == b"retry-after": # RFC 9110 section 10.2.3; a date, or what is neither: 0
            value = parts[-1]
            self.retry = min(int(value), 0xFFFFFFFF) if re.fullmatch(rb"[0-9]+", value) else 0
            digits = re.match(rb"[0-9]*", value)[0]
            if len(digits) > 20 or (digits and int(digits) >= 1 << 64): # whatever comes after it
                self.retry = 0xFFFFFFFF
        elif name == b"proxy-connection":
            self.liberties.add("connection")

    def read_chunks(self):
        while True:
            begin = self.at
            self.liberties_of_line = set()
            size = self.chunk_line()
            if self.at - begin > LIMIT:
                raise Fault("head size")
            if size == 0:
                break
            self.body += self.take(size)
            end = self.data[self.at:self.at + 2]
            if end != b"\r\n"[:len(end)]:
                raise Fault("chunk")
            self.take(2)
        while True:
            line = self.line()
            if b"\0" in line or not line.endswith(b"\r"):
                raise Fault("trailer")
            if b"\r" in line[:-1]:
                raise Fault("bare CR")
            if self.at - begin > LIMIT:
                raise Fault("head size")
            if line == b"\r":
                return
            self.liberties.add("trailers")

    def chunk_line(self):
        line = self.line()
        match = CHUNK.fullmatch(line)
        digits = re.match(rb"[0-9A-Fa-f]*", line)[0]
        if digits and (int(digits, 16) >= 1 << 64 or len(digits) > 20):
            raise Fault("size")
        if not match:
            raise Fault("chunk")
        if match[2]:
            self.liberties.add("blank after size")
        if match[3]:
            self.liberties.add("extension")
        return int(digits, 16)

    def __str__(self):
        total = 0x811C9DC5
        for byte in self.body:
            total = (total ^ byte) * 0x01000193 & 0xFFFFFFFF
        return "+ %d %s %d %d %d %08x" % (self.status, self.framing, self.closes, self.at,
                                          len(self.body), total if self.body else 0)


class Stream(io.BytesIO):
    """What http.client takes for a socket; it stays open, so that it tells how far it was read."""

    def makefile(self, _mode):
        return self

    def close(self):
        pass


def by_python(data, head):
    """status, end, body; "~" or "-" """
    stream = Stream(data)
    try:
        response = http.client.HTTPResponse(stream, method="HEAD" if head else "GET")
        response.begin()
        body = response.read()
        return response.status, stream.tell(), body
    except http.client.IncompleteRead:
        return "~"
    except (http.client.HTTPException, ValueError, OverflowError, MemoryError):
        return "-"


def explained(response, table, kind):
    """The liberties that explain it, as rules"""
    return ["taken: " + name for name in response.liberties if kind in table.get(name, "")]


def compare(data, way, ours, llhttp):
    response = Response(data, way & HEAD)
    rules = []
    # what the RFC says
    if response.fault:
        if ours[0] != "-":
            return "it should be refused: " + response.fault, rules
    elif response.short is not None:
        if ours != "~" and not (response.short and ours[0] == "-"):
            return "it breaks off", rules
    elif ours != "%s %s" % (response, response.retry):
        return "it should be %s %s" % (response, response.retry), rules
    if ours[0] == "+":
        ours = ours.rsplit(" ", 1)[0]
    # what the others say
    fault = ["refused: " + response.fault] if response.fault else []
    if llhttp != ours and not (llhttp[0] == ours[0] == "-"):
        why = fault or explained(response, LLHTTP, "+" if llhttp[0] == ours[0] == "+" else "-")
        if why == ["taken: connection"] and re.sub(r" [01] ", " ", ours, count=1) != re.sub(
                r" [01] ", " ", llhttp, count=1):
            why = [] # whether it closes is all that may differ
        if ours == "~" and llhttp[0] == "-" and (
                response.short or (response.codings and response.length is not None)):
            why = ["cut"] # likewise both fields in a head that has not ended
        elif ours[0] == "-" and llhttp == "~" and response.short:
            why = ["cut"]
        if not why:
            return "llhttp", rules
        rules += why
    python = by_python(data, way & HEAD)
    if ours[0] == "+":
        wanted = response.status, response.at, response.body
        if python != wanted:
            why = explained(response, PYTHON, "-" if python in ("-", "~") else "+")
            if not why:
                return "http.client: %r" % (python,), rules
            rules += why
    elif ours[0] == "-" and not isinstance(python, str):
        rules += fault
    elif ours == "~" and not isinstance(python, str) and not response.short:
        why = explained(response, PYTHON, "+")
        # it takes the end of the stream for the end of the head, and of trailers
        if not why and response.at < len(data):
            return "http.client: %r" % (python,), rules
        rules += why
    return None, rules


# ---- cases ----

STATUS_LINES = [s.encode("latin-1") for s in (
    "HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.1 404 Not Found",
    "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified", "HTTP/1.1 429 Too Many",
    "HTTP/1.1 503 \xe9t\xe9", "HTTP/1.2 200 OK", "HTTP/1.9 200 OK", "HTTP/1.1 999 x",
    "HTTP/1.1 600 x", "HTTP/1.1 205 Reset")]
ODD_STATUS_LINES = [s.encode("latin-1") for s in (
    "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.10 200 OK", "HTTP/1 200 OK", "HTTP/01.1 200 OK",
    "http/1.1 200 OK", "HTTP/11.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK",
    "HTTP/1.1 200\tOK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 x", "HTTP/1.1 000 x",
    "HTTP/1.1 0200 x", "HTTP/1.1 -20 x", "HTTP/1.1 +20 x", "HTTP/1.1 2_0 x", "HTTP/1.1 200OK",
    "HTTP/1.1 OK", "HTTP/1.1", "HTTP/", "ICY 200 OK", "RTSP/1.0 200 OK", "HTP/1.1 200 OK",
    " HTTP/1.1 200 OK", "HTTP/1.1 200 O\x00K", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\rK",
    "HTTP/1.1 200 \x7f", "HTTP/1.1 200 OK\r", "XHTTP/1.1 200 OK",
    "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints",
    "HTTP/1.1 199 x", "HTTP/1,1 200 OK", "HTTP /1.1 200 OK", "HTTP/1.1\r200 OK", "HTTP/x.y 200 OK",
    "HTTP/1.1 2e2 OK", "\xef\xbb\xbfHTTP/1.1 200 OK")]
INTERIM = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
           b"HTTP/1.1 100\r\n\r\n", b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n",
           b"HTTP/1.1 102 x\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n", b"\n",
           b"HTTP/1.0 100 x\r\nConnection: close\r\n\r\n"]
FIELDS = [s.encode("latin-1") for s in (
    "Content-Length: 5", "content-length:5", "CONTENT-LENGTH:\t5 \t", "Content-Length: 0",
    "Content-Length: 00005", "Transfer-Encoding: chunked", "transfer-encoding:Chunked",
    "Connection: close", "Connection: keep-alive", "Connection: Keep-Alive, x",
    "Date: Fri, 31 Dec 1999 23:59:59 GMT", "Content-Type: application/json", "X: y", "X:", "X: ",
    "X: \xe9\xff", "Retry-After: 3", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT",
    "Set-Cookie: a=b; c")]
ODD_FIELDS = [s.encode("latin-1") for s in (
    "Content-Length: 5, 5", "Content-Length: 5,5,5", "Content-Length: 5, 6", "Content-Length: 5,",
    "Content-Length: ,5", "Content-Length:", "Content-Length: ", "Content-Length: +5",
    "Content-Length: -5", "Content-Length: 0x5", "Content-Length: 5x", "Content-Length: 5 5",
    "Content-Length: 5_0", "Content-Length: 5.0", "Content-Length: 5e0", "Content-Length: \"5\"",
    "Content-Length: 18446744073709551615", "Content-Length: 18446744073709551616",
    "Content-Length: 18446744073709551621", "Content-Length: 9223372036854775808",
    "Content-Length: 4294967301", "Content-Length: 99999999999999999999999", "Content-Length: \xb2",
    "Content-Length: 5\x0b", "Content-Length: 5\x00", "Content-Length: 5\r\n 0",
    "Content-Length:\r\n 5", "Content-Length: 5\r\n ", "Content-Length : 5", "Content-Length\t: 5",
    " Content-Length: 5", "Content-Length", "Content-Length 5", "Content_Length: 6",
    "Content-Lengthx: 6", "Content-Lengt: 6", "\xffContent-Length: 6", "Content-Length\x00: 5",
    "Content\r-Length: 5", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: , chunked ,",
    "Transfer-Encoding: ,", "Transfer-Encoding:", "Transfer-Encoding: chunkedchunked",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunke", "Transfer-Encoding: chunked x",
    "Transfer-Encoding: ch unked", "Transfer-Encoding: chunked \t", "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x0c",
    "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chun\r\n ked",
    "Transfer-Encoding: chunked\r\n ", "Transfer-Encoding : chunked",
    "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \xe3hunked", "Transfer_Encoding: chunked",
    "Transfer-Encodin: chunked", "TransferEncoding: chunked", "X: a\r\nTransfer-Encoding: chunked",
    "Connection: close, keep-alive", "Connection: keep-alive, close", "Connection: Close",
    "Connection: closex", "Connection: xclose", "Connection: clo se", "Connection: ,close,",
    "Connection:", "Connection: close;x", "Connection: keep-alive\r\n\tclose",
    "Connection: x, Content-Length", "Connection: upgrade", "Upgrade: h2c",
    "Proxy-Connection: close", "Keep-Alive: timeout=5", "Connection: \x01close", "X: a\r\n b",
    "X: a\r\n\tb\r\n c", "X:\r\n\r\n", " X: a", "\tX", ": x", "X", "X y: z", "X\t: z", "(X): z",
    "X@: z", "X\xe9: z", "X\x7f: z", "X: a\x00b", "X: a\x01b", "X: a\x7fb", "X: a\rb", "X: a\x0bb",
    "X: a\x85b", "X: a\x1cb", "X: a\x0cb", "X: a\nY: b", "X: a\n b", "X: a\r\r", "\r", "\x00",
    "\x00: x", "X\n: y", "Retry-After: x\x01", "Retry-After: 99999999999999999999",
    "!#$%&'*+-.^_`|~: token", "X: " + "y" * 300, "Y" * 300 + ": x", "X:y:z", "X::",
    "Content-Length: 5;", "Content-Length:5\t5")]
FIVE = b"hello"
BODIES = [b"", FIVE, b"5\r\nhello\r\n0\r\n\r\n", b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"]
CHUNKS = [b"5\r\nhello\r\n", b"05\r\nhello\r\n", b"A\r\n0123456789\r\n", b"a\r\n0123456789\r\n",
          b"1\r\nx\r\n"]
ODD_CHUNKS = [s.encode("latin-1") for s in (
    "5 \r\nhello\r\n", "5\t\r\nhello\r\n", "5;x\r\nhello\r\n", "5;x=y\r\nhello\r\n",
    "5;x=\"y;\"\r\nhello\r\n", "5 ;x\r\nhello\r\n", "5; x\r\nhello\r\n", "5;\r\nhello\r\n",
    "5;x=\r\nhello\r\n", "5;\xe9\r\nhello\r\n", "5;x\x00\r\nhello\r\n", "5;x\x01\r\nhello\r\n",
    "5;x\r\r\nhello\r\n", "5;x\nhello\r\n", "5;x\"\r\nhello\r\n", "5;;\r\nhello\r\n",
    "5 x\r\nhello\r\n", "5,x\r\nhello\r\n", "5x\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello\n",
    "5\r\nhello", "5\r\nhello\r", "5\r\nhello\rX", "5\r\nhelloXX", "5\rhello\r\n", "5\r\nhell\r\n",
    "5\r\nhello!\r\n", " 5\r\nhello\r\n", "+5\r\nhello\r\n", "-5\r\nhello\r\n", "0x5\r\nhello\r\n",
    "0X5\r\nhello\r\n", "0_5\r\nhello\r\n", "5_\r\nhello\r\n", "5.\r\nhello\r\n", "g\r\nhello\r\n",
    "\r\nhello\r\n", ";x\r\nhello\r\n", "\r\n", "\n", "5\x00\r\nhello\r\n", "5\x0b\r\nhello\r\n",
    "5\x0c\r\nhello\r\n", "\xb5\r\nhello\r\n", "0000000000000000000000005\r\nhello\r\n",
    "10000000000000005\r\nhello\r\n", "ffffffffffffffff\r\nhello\r\n", "10000000000000000\r\n\r\n",
    "FFFFFFFFFFFFFFFFF\r\nhello\r\n", "8000000000000000\r\nhello\r\n", "100000005\r\nhello\r\n",
    "5\r\r\nhello\r\n", "5\r\n\r\nhello\r\n")]
ENDS = [b"0\r\n\r\n", b"00\r\n\r\n", b"0\r\nT: x\r\n\r\n", b"0\r\nT: x\r\nU: y\r\n\r\n",
        b"0;x\r\n\r\n"]
ODD_ENDS = [s.encode("latin-1") for s in (
    "0\r\n", "0\r\n\r", "0\n\n", "0\r\n\n", "0\r\nT\r\n\r\n", "0\r\n T: x\r\n\r\n",
    "0\r\nT: x\n\r\n", "0\r\nT: x\r\n\n", "0\r\n\r\r\n", "0\r\n\rX",
    "0\r\nContent-Length: 9\r\n\r\n", "0\r\nT: \x00\r\n\r\n", "0\r\nT: \x01\r\n\r\n",
    "0\r\n: x\r\n\r\n", "0\r\n\x00\r\n\r\n", "0\r\nT: x", "0 \r\n\r\n", "0\r\nT : x\r\n\r\n",
    "0\r\nT: x\r\n y\r\n\r\n", "0\r\nT: x\ry\r\n\r\n", "", "0", "-0\r\n\r\n", "0x0\r\n\r\n",
    "0\r\n\x01\r\n\r\n", "0\r\nT: \x85\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\n\r\n\r\n")]
NEXT = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"X", b"\r\n", b"0\r\n\r\n"]
BYTES = bytes(range(0x21)) + b":;,\"=+-_./059xXAagfGhHcCtT\x7f\x80\x85\xa0\xe9\xff"
LENGTH_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def hard_responses():
    for start in STATUS_LINES + ODD_STATUS_LINES:
        for fields in (b"", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
                       b"Transfer-Encoding: chunked\r\n"):
            for body in BODIES:
                yield start + b"\r\n" + fields + b"\r\n" + body + NEXT[1]
                yield start + b"\n" + fields + b"\r\n" + body
    for field in FIELDS + ODD_FIELDS:
        for head in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204 x\r\n",
                     LENGTH_HEAD, CHUNKED_HEAD):
            for body in BODIES:
                yield head + field + b"\r\n\r\n" + body + NEXT[1]
        yield LENGTH_HEAD.replace(b"\r\nC", b"\r\n" + field + b"\r\nC") + b"\r\nhello"
        yield b"HTTP/1.1 200 OK\n" + field + b"\n\n" + BODIES[1]
        for other in FIELDS[:10] + ODD_FIELDS[:40]:
            yield b"HTTP/1.1 200 OK\r\n%s\r\n%s\r\n\r\n%s" % (field, other, BODIES[2])
    for interim in INTERIM:
        for head in LENGTH_HEAD, CHUNKED_HEAD, b"HTTP/1.1 204 x\r\n", interim:
            for body in BODIES:
                yield interim + head + b"\r\n" + body + NEXT[1]
                yield interim + interim + head + b"\r\n" + body
    for chunk in CHUNKS + ODD_CHUNKS:
        for end in ENDS + ODD_ENDS:
            yield CHUNKED_HEAD + b"\r\n" + chunk + end + NEXT[1]
            yield CHUNKED_HEAD + b"\r\n" + CHUNKS[0] + chunk + end
    whole = [LENGTH_HEAD + b"X: y\r\n\r\nhello",
             CHUNKED_HEAD + b"\r\n5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\n",
             b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"]
    for response in whole:
        for at in range(len(response) + 1):
            yield response[:at]
            yield response[:at] + response[at + 1:]
            for byte in BYTES:
                yield response[:at] + bytes((byte,)) + response[at:]
                yield response[:at] + bytes((byte,)) + response[at + 1:]
    for size in LIMIT - 1, LIMIT, LIMIT + 1:
        head = LENGTH_HEAD + b"\r\n"
        yield head[:-2] + b"X: %s\r\n" % (b"y" * (size - len(head) - 5)) + b"\r\nhello"
        yield head[:-2] + b"X: y\r\n" * ((size - len(head)) // 6) + b"Y: %s\r\n\r\nhello" % (
            b"y" * (size - len(head) - (size - len(head)) // 6 * 6 - 5))
        yield b"%s\r\n5;%s\r\nhello\r\n0\r\n\r\n" % (CHUNKED_HEAD, b"x" * (size - 4))
        yield b"%s\r\n0\r\nT: %s\r\n\r\n" % (CHUNKED_HEAD, b"x" * (size - 10))
        yield INTERIM[1] * (size // len(INTERIM[1])) + head + FIVE


def hard_cases():
    for data in hard_responses():
        yield data, 0
        yield data, len(data) % 7 + 1
        yield data, HEAD | len(data) % 5


def random_response(random):
    odd = lambda usual, rare: random.choice(rare if random.random() < 0.08 else usual)
    data = b""
    while random.random() < 0.1:
        data += random.choice(INTERIM)
    data += odd(STATUS_LINES, ODD_STATUS_LINES)
    end = b"\n" if random.random() < 0.05 else b"\r\n"
    data += end
    kind = random.randrange(4)
    fields = [odd(FIELDS[5:], ODD_FIELDS) for _ in range(random.randrange(4))]
    fields += [random.choice(FIELDS[:3])] if kind == 0 else [FIELDS[5]] if kind == 1 else []
    random.shuffle(fields)
    data += b"".join(field + end for field in fields) + end
    if b"hunked" in data:
        data += b"".join(odd(CHUNKS, ODD_CHUNKS) for _ in range(random.randrange(4)))
        data += odd(ENDS, ODD_ENDS)
    else:
        data += FIVE
    return data + random.choice(NEXT)


def mutate(random, data):
    data = bytearray(data)
    for _ in range(random.choice((0, 0, 1, 1, 2, 4))):
        at, kind = random.randrange(len(data) + 1), random.randrange(6)
        if kind == 0:
            data[at:at + 1] = b""
        elif kind == 1:
            data[at:at + 1] = bytes((random.choice(BYTES),))
        elif kind == 2:
            data[at:at] = bytes((random.choice(BYTES),))
        elif kind == 3:
            data[at:at] = random.choice((b"\r\n", b"\n", b"\r", b"\r\n ", b", ", b"\r\n\r\n", b": ",
                                         random.choice(ODD_FIELDS) + b"\r\n"))
        elif kind == 4:
            other = random.randrange(len(data) + 1)
            data[at:at] = data[other:other + random.randrange(1, 30)]
        elif random.random() < 0.3:
            del data[at:]
    return bytes(data)


def random_cases(random, count):
    for _ in range(count):
        yield (mutate(random, random_response(random)),
               random.choice((0, 0, 0, HEAD)) | random.choice((0, 0, 1, 2, 3, 7, 30)))
