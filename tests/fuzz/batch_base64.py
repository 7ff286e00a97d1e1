"""Cases for the base64 decoder, and what Python's binascii makes of them."""
import base64
import binascii

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
RULES = {"bits": "set bits beneath the padding are refused (RFC 4648 section 3.5)"}


def compare(data, _way, line):
    try:
        decoded = binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        decoded = None
    if decoded is not None and base64.b64encode(decoded) != data:
        return (None if line == "-" else "set bits beneath the padding"), ["bits"]
    wanted = "-" if decoded is None else "+" + decoded.hex()
    return (None if line == wanted else "Python has " + wanted), []


def hard_cases():
    texts = [b"", b"=", b"==", b"===", b"====", b"A", b"AA", b"AAA", b"AAAA", b"A===", b"AA==",
             b"AA=", b"AAA=", b"AA=A", b"A=AA", b"=AAA", b"AA==AAAA", b"AAA=AAAA", b"AAAA=",
             b"AAAA==", b"AAAA====", b"AA===", b"AAA==", b"AA= =", b"AA=\n=", b" AAAA", b"AAAA ",
             b"AA AA", b"AAAA\n", b"AAAA\r\n", b"AAAA\0"]
    for last in ALPHABET: # every value of the bits beneath the padding
        texts += [b"A%c==" % last, b"AA%c=" % last, b"AAAAA%c==" % last, b"//%c=" % last]
    for byte in range(256):
        texts += [b"%cAAA" % byte, b"AAA%c" % byte, b"AA%c=" % byte, b"AAAA%cAAA" % byte]
    for text in texts:
        for piece in 0, 1, 2, 3, 5:
            yield text, piece


def random_cases(random, count):
    for _ in range(count):
        text = bytearray(base64.b64encode(random.randbytes(random.randrange(40))))
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            at = random.randrange(len(text) + 1)
            kind = random.randrange(4)
            if kind < 2:
                text[at:at + kind] = bytes((random.choice(ALPHABET + b"====-_ \n\0\xff"),))
            elif kind == 2:
                text[at:at + 1] = b""
            else:
                text[at:at] = random.choice((b"=", b"==", b"AAAA", b"AA==", b"\r\n"))
        yield bytes(text), random.choice((0, 0, 1, 2, 3, 7))
