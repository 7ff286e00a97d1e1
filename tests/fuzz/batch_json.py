"""Cases for the JSON reader, and what Python's json makes of them, as batch.c would print it."""
import itertools
import json
import re
import struct

STRICT, LENIENT, SKIP = 0, 0x80, 0x40
DEPTH = 32  # UNSB_JSON_DEPTH
POWER_MAX = 0x1000  # UNSBI_POWER_MAX

# Where the reader differs from Python's on purpose
RULES = {
    "depth": "nests more than %d deep: RFC 8259 section 9 lets a parser set limits" % DEPTH,
    "surrogates": "an escape of half a surrogate pair, strictly read (RFC 8259 section 8.2)",
    "halves": "the same, leniently read: the byte that Python means by it (PEP 383), or U+FFFD",
    "mark": "bytes before the document that are no ASCII, as of a byte order mark, leniently read "
            "(section 8.1)",
    "skip": "a value was passed over; what Python refuses may be taken (unsb_json_skip)",
    "digits": "a number of more than 64 bits or an exponent from 40960 on: RFC 8259 section 6 lets "
              "a parser set limits; as many digits as fit, and it says so",
}

NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?)(\d+))?")


def number(text):
    """What the reader promises of the number, in the form that batch.c writes."""
    sign, whole, fraction, power_sign, power = NUMBER.fullmatch(text).groups()
    fraction = fraction or ""
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return {"i": 0}
    # as many digits as 64 bits hold; dropped zeros do no harm
    kept = digits[:20] if len(digits) < 20 or int(digits[:20]) < 1 << 64 else digits[:19]
    dropped = digits[len(kept):]
    exponent, huge = 0, False
    for digit in power or "":
        huge = exponent >= POWER_MAX
        exponent = exponent if huge else exponent * 10 + int(digit)
    exponent = (-exponent if power_sign == "-" else exponent) - len(fraction) + len(dropped)
    written = int(kept), exponent
    inexact = huge or dropped.strip("0") != ""
    short = kept.rstrip("0")
    exponent += len(kept) - len(short)
    if not inexact and 0 <= exponent <= 19:
        value = int(sign + short) * 10 ** exponent
        if -1 << 63 <= value < 1 << 63:
            return {"i": value}
    made = {"n": "%s%s%se%d" % ("~" if inexact else "", sign, short, exponent)}
    if written[0] < 10 ** 15 and -22 <= written[1] <= 22:
        made["d"] = struct.pack(">d", float(text)).hex()
    return made


def constant(text):
    raise ValueError(text)  # NaN and Infinity are Python's own


def members(pairs):
    return {"o": [part for pair in pairs for part in pair]}


DECODERS = {way: json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=constant,
                                  object_pairs_hook=members, strict=way == STRICT)
            for way in (STRICT, LENIENT)}
ENCODER = json.JSONEncoder(separators=(",", ":"))
HALF = re.compile("[\ud800-\udfff]")
NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def depth_of(value):
    """Of what `members` and lists make"""
    if isinstance(value, dict):
        value = value.get("o")
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def prune(value, depth=0):
    """Without what batch.c passes over"""
    if isinstance(value, dict) and "o" in value:
        if depth == 2:
            return "~"
        parts = value["o"]
        return {"o": [part for key, each in zip(parts[::2], parts[1::2])
                      for part in (key, "~" if "a" <= key[:1] <= "h" else prune(each, depth + 1))]}
    if isinstance(value, list):
        return "~" if depth == 2 else [prune(each, depth + 1) for each in value]
    return value


def normal(value):
    """The strings as bytes that may or may not be UTF-8."""
    if isinstance(value, str):
        value = NO_BYTE.sub("\ufffd", value).encode("utf-8", "surrogateescape")
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return [normal(each) for each in value]
    if isinstance(value, dict) and "o" in value:
        return {"o": normal(value["o"])}
    return value


def expected(data, way):
    """The line, None for any refusal; and the rules that made it other than Python's."""
    rules = []
    lenient = way & LENIENT
    try:
        if lenient:
            stripped = data.lstrip(b" \t\r\n" + bytes(range(0x80, 0x100)))
            if stripped != data.lstrip(b" \t\r\n"):
                rules.append("mark")
            text = stripped.decode("utf-8", "surrogateescape")
        else:
            text = data.decode()
        value = DECODERS[lenient].decode(text)
        if way & SKIP:
            value = prune(value)
            rules.append("skip")
        if depth_of(value) > DEPTH:
            return "-depth", ["depth"]
    except RecursionError:
        return None, ["depth"]
    except ValueError:
        return None, []
    line = ENCODER.encode(value)
    if '"~' in line and '{"n":"~' in line:
        rules.append("digits")
    if "\\ud" in line and HALF.search(strings_of(value)):
        if not lenient:
            return "-utf8", ["surrogates"]
        rules.append("halves")
        line = ENCODER.encode(normal(value))
    return "+" + line, rules


def strings_of(value):
    """All its strings, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(strings_of, value))
    return strings_of(value["o"]) if isinstance(value, dict) and "o" in value else ""


def compare(data, way, line):
    """(what differs, or None; the rules that were met)"""
    want, rules = expected(data, way)
    if want is None and way & SKIP: # whether it is refused depends on where the fault is
        return None, rules
    if want is None:
        return (None if line[0] == "-" else "Python refuses it"), rules
    if line == want:
        return None, rules
    if rules in (["depth"], ["surrogates"]) and line in ("-depth", "-utf8"):
        return None, rules  # both are there, and one comes first
    return "Python has " + want, rules


# ---- cases ----

NUMBERS = """0 -0 1 -1 12 0.0 -0.0 0e0 0E+5 1.5 -1.5e-3 1e5 5.23e2 523.0 1E400 -1E-400 1e9999
1e10000 1e-9999 1e-10000 1e40959 1e40960 1e-40959 1e-40960 0e99999 1e00000000001 1e+00000099999 123456789012345678901234567890 0.1
0.2 0.3 3.14 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
9007199254740993 18446744073709551615 18446744073709551616 18446744073709551615000
184467440737095516160e-1 1e22 1e23 18446744073709551615.5 99999999999999999999 10000000000000000000
100000000000000000000 2147483648 0.000000000000000000000000000001 1.000000000000000000000000000001
4.35 0.1e1 1e-22 123456789012345e22 999999999999999e22 1234567890123456e-22 922337203685477580.7e1
92233720368547758070e-1 -922337203685477580.8e1 1.7976931348623157e308 4.9e-324
2.2250738585072011e-308 0.5 00 01 -01 1. .1 +1 - -. -e 1e 1e+ 1e- 1.e1 0.e1 1.5. 1e1.5 1ee1 1e+-1
--1 0x10 1a 1_0 1e5e5 Infinity -Infinity NaN nan inf 1,5 0-1 1+1""".split()
LITERALS = """true false null True TRUE tru fals nul nulll truefalse true1 t f n none undefined
nan""".split()
STRINGS_IN = [s.encode("utf-8", "surrogatepass") for s in (
    "", "a", "\u00e9\u20ac\U0001f600", "\\n\\t\\r\\b\\f\\/\\\\\\\"", "\\u0000", "\\u00e9\\u20AC",
    "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\ud83d\\ud83d\\ude00", "\\ud83dx", "\\ud83d\\n",
    "\\ud83d\\u0041", "\\udc80\\udcff", "\\udc7f\\udd00", "\\uDBFF\\uDFFF", "\\ud800\\udc80",
    "\\u12", "\\u123g", "\\u", "\\uD83D\\", "\\x41", "\\a", "\\'", "\\0", "\\U0041", "\\", "\\\\\\",
    "\u007f", "\u2028\u2029", "\ufeff", "\ufffe\uffff", "\x00", "\x01", "\x1f", "\n", "\t", "\r",
    "\\ud83d\\\\ude00", "\\u+123", "\\u 123", "\\u-123", "\ud800", "\udfff", "\\/", "'", "\\uFEFF",
    "\\u0022", "\\u005c")] + [
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2\x80", b"\xdf\xbf", b"\xe0\x80\x80",
    b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xed\xb0\x80",
    b"\xef\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\xe2\x28\xa1",
    b"\xf0\x9f\x98\\u0041", b"\xc3\xc3\xa9", b"\\ud83d\x80", b"\xc3\\udca9"]
STRUCTURES = [s.encode("latin-1") for s in (
    "", " ", "[]", "{}", "[[]]", "[{}]", "[1]", "[1,2]", "[1 ,2 ]", " [ ] ", "[", "]", "{", "}",
    "[}", "{]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1:2]", "[1;2]", "[[1]",
    "[1]]", "[1],", "[1]1", "[]{}", "1 2", ",1", ":", "{\"a\"}", "{\"a\":}", "{\"a\":1",
    "{\"a\":1,", "{\"a\":1,}", "{,}", "{:1}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\",1}",
    "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{1:1}", "{null:1}", "{[]:1}", "{a:1}", "{'a':1}",
    "{\"a\":1;\"b\":2}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":1}", "{\"\":0}", "{\"a\":{\"a\":{}}}",
    "[\"a\",]", "{\"a\":[1,{\"b\":[]}],\"c\":\"d\"}", "[1]//x", "[1]/**/", "/**/[1]", "#x\n1",
    "[1]\x00", "\x00", "[\x00]", "[\v1]", "[\f1]", "[\xa01]", "[\x851]", "\xef\xbb\xbf[1]",
    "\xef\xbb\xbf", "\xef\xbb[1]", "[1]\xef\xbb\xbf", "[\xef\xbb\xbf1]", "\"a", "a\"", "\"\"\"\"",
    "\"a\" \"b\"", "'a'", "`a`", "\"a\"b", "[\"a]", "[\"a\"", "[\\n]", "\\u005b]", "*", "&",
    "[\"\",\"\"\"]", "<.>", "[<null>]", "\xe5", "[\xe5]", "[1\xe5]", "{\"a\xe5\":1}", "{\xe5:1}",
    "\xff\xfe[\x00]\x00", "\x00[\x00]", "[1]\n", "\n[1]", "\t\r\n [1]\t\r\n ", "[1]\r", "2@", "@",
    "[1,\n2\n,3]", "{\"a\":1}}", "{\"a\":1}#")]
STRUCTURES += [b"[" * n + b"]" * n for n in (31, 32, 33, 34, 100)]
STRUCTURES += [b'{"a":' * n + b"1" + b"}" * n for n in (31, 32, 33, 34, 100)]
STRUCTURES += [b'[{"a":' * n + b"[]" + b"}]" * n for n in (15, 16, 17)]
STRUCTURES += [b"[" * n for n in (31, 32, 33, 900)] + [b'{"a":' * n for n in (32, 33, 900)]
BYTES = (b'[]{},:"\\/ \t\r\n0123456789-+.eEtrufalsnduD8cC\x00\x1f\x7f'
         b"\x80\xbf\xc2\xe2\xed\xef\xbb\xbf\xf4\xff")


def hard_cases():
    tokens = [t.encode() for t in NUMBERS + LITERALS] + [b'"%s"' % s for s in STRINGS_IN]
    documents = STRUCTURES + tokens
    for token in tokens:
        documents += [b"[%s]" % token, b"[%s,%s]" % (token, token), b' {"k" : %s } ' % token,
                      token + b" ", token + b"x", b"{%s:%s}" % (token, token), b"[%s" % token]
    # halves of pairs in a row: what each becomes must not depend on the pieces
    halves = [b"\\ud83d", b"\\ude00", b"\\udc80", b"\\u0041", b"\\n", b"x", b"\x80"]
    for parts in itertools.chain(itertools.product(halves, repeat=2),
                                 itertools.product(halves, repeat=3)):
        for piece in range(15):
            yield b'"%s"' % b"".join(parts), LENIENT | piece
    for document in documents:
        for way in STRICT, LENIENT, SKIP, SKIP | LENIENT:
            for piece in 0, 1, 2, 3:
                yield document, way | piece


def space(random):
    return random.choice((b"", b"", b"", b"", b"", b" ", b"\n", b"\t", b"\r\n", b"  "))


def value(random, depth):
    kind = random.random()
    if depth > 0 and kind < 0.25:
        return b"[%s]" % b",".join(space(random) + value(random, depth - 1) + space(random)
                                   for _ in range(random.randrange(4)))
    if depth > 0 and kind < 0.5:
        return b"{%s}" % b",".join(space(random) + string(random) + space(random) + b":" +
                                   space(random) + value(random, depth - 1)
                                   for _ in range(random.randrange(4)))
    if kind < 0.7:
        return string(random)
    if kind < 0.9:
        return any_number(random)
    return random.choice((b"true", b"false", b"null"))


def string(random):
    if random.random() < 0.3:
        return b'"%s"' % random.choice(STRINGS_IN)
    return b'"%s"' % b"".join(
        random.choice(STRINGS_IN[:7]) if random.random() < 0.3 else
        b"%c" % random.randrange(0x61, 0x6e) for _ in range(random.randrange(9)))


def any_number(random):
    if random.random() < 0.3:
        return random.choice(NUMBERS).encode()
    bits = random.choice((1, 8, 32, 53, 64, 65, 90))
    made = random.choice(("", "-")) + str(random.getrandbits(bits))
    if random.random() < 0.5:
        made += "." + "0" * random.choice((0, 0, 1, 5, 20)) + str(random.getrandbits(20))
    if random.random() < 0.5:
        made += "%s%s%d" % (random.choice("eE"), random.choice(("", "+", "-")),
                            random.getrandbits(random.choice((2, 5, 9, 14))))
    return made.encode()


def mutate(random, data, pieces):
    data = bytearray(data)
    for _ in range(random.choice((0, 0, 1, 1, 1, 2, 3))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(7)
        if kind == 0:
            data[at:at + 1] = b""
        elif kind == 1:
            data[at:at + 1] = bytes((random.choice(BYTES),))
        elif kind == 2:
            data[at:at] = bytes((random.choice(BYTES),))
        elif kind == 3:
            data[at:at] = random.choice(pieces)
        elif kind == 4:
            data[at:at] = data[at:at + random.randrange(1, 9)]
        elif kind == 5:
            del data[at:at + random.randrange(1, 9)]
        else:
            del data[at:]
    return bytes(data)


def random_cases(random, count):
    pieces = STRINGS_IN + STRUCTURES[:30] + [t.encode() for t in NUMBERS + LITERALS]
    for _ in range(count):
        document = space(random) + value(random, random.randrange(5)) + space(random)
        yield (mutate(random, document, pieces),
               random.choice((STRICT, LENIENT)) | random.choice((0, 0, SKIP)) |
               random.choice((0, 0, 1, 2, 3, 5, 8, 40)))
