"""The fuzzers' first inputs, and the corpora as text.

    python3 fuzz/seeds.py seeds TARGET DIRECTORY   writes the inputs below
    python3 fuzz/seeds.py unpack FILE DIRECTORY    writes those of a corpus, if there is one
    python3 fuzz/seeds.py pack FILE FIRST SECOND   makes a corpus of what the directory FIRST has,
                                                   then what SECOND has, the shortest first, as
                                                   long as it has no more bytes than LIMITS

A corpus has one input a line, in base64."""
import base64
import hashlib
import json
import os
import sys

RESULT = {
    "success": True, "stdout": "Hello \u00e9\u20ac\U0001f600\n\0", "stderr": "", "exit_code": 0,
    "language": "python", "job_id": "a1b2", "execution_mode": "pooled", "total_time_ms": 5.23e2,
    "artifacts": [{"filename": "a.out", "content_base64": "AAECAwQ="},
                  {"content_base64": "", "filename": "b"}],
    "x": [{"y": [None, 1.5, -0]}],
}
JOB = {"job_id": "c3", "status": "completed", "created_at": 1, "started_at": 2, "completed_at": 3,
       "result": RESULT}
JOBS = {"jobs": [{"job_id": "j1", "status": "running", "language": "python",
                  "submitted_at": "2024-01-15T10:30:00Z"}]}


def response(value, status="200 OK", fields=""):
    body = json.dumps(value).encode()
    head = "HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, fields, len(body))
    return head.encode() + body


def chunked(value):
    body = json.dumps(value, ensure_ascii=False).encode()
    out = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for i in range(0, len(body), 20):
        piece = body[i:i + 20]
        out += b"%x;e=1\r\n" % len(piece) + piece + b"\r\n"
    return out + b"0\r\nT: x\r\n\r\n"


KEY = {"valid": True, "tier": "x", "burst": 5}
# TLS 1.2: a ServerHello (ECDHE-RSA, AES-128-GCM), an empty list of certificates; an alert
HELLO = bytes([40, 1]) + bytes.fromhex(
    "16030300310200002d03035d" + "5e" * 31 + "00c02f000005ff01000100" +
    "16030300070b000003000000")
ALERT = bytes([3, 0]) + bytes.fromhex("15030300020228")
SEEDS = {
    "client_execute": bytes([8, 3, 255]) + response(RESULT) + response(JOB) + response(JOBS),
    "client_chunked": bytes([8, 0, 6]) + chunked(RESULT),
    "client_job": bytes([2, 64, 20]) + chunked(JOB),
    "client_wait": bytes([3, 0, 20]) + response({"status": "running"}) + response(JOB),
    "client_list": bytes([4, 1, 9]) + response(JOBS) + response({"languages": ["c"]}) +
                   response(KEY),
    "client_error": bytes([0, 129, 30]) + response(
        {"error": "rate", "message": "m"}, "429 Too Many Requests", "Retry-After: 3\r\n") +
                    response(RESULT),
    "client_close": bytes([7, 2, 30]) + b"HTTP/1.0 200 OK\r\n\r\nbody until the end",
    "parts_json": bytes([0, 6]) + json.dumps(JOB).encode(),
    "parts_numbers": bytes([0, 2]) +
                     b'[0,-1,5.23e2,1E+5,1e-3,9223372036854775807,"\\ud83d\\ude00\\u0000"]',
    "parts_http": bytes([1, 4]) + chunked(RESULT),
    "parts_head": bytes([1, 2]) +
                  b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 503 Busy\r\n"
                  b"Content-Length: 2\r\nConnection: close, x\r\n y\r\n"
                  b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\nhi",
    "parts_base64": bytes([2, 2]) + base64.b64encode(bytes(range(40))),
    "json_job": bytes([6]) + json.dumps(JOB).encode(),
    "json_numbers": bytes([0]) + b'[0,-1,5.23e2,1E+5,1e-3,9223372036854775807,"\\ud83d\\ude00"]',
    "json_halves": bytes([5]) + b'"\\ud83d\\ud83dx\\udc80\\ud83d\\ude00"',
    "base64_text": bytes([2]) + base64.b64encode(bytes(range(40))),
    "request_files": bytes([9, 15, 1, 2, 3]) + b"python\0A\0b\0x.txt\0hello\0y\0\0print(1)",
    "request_plain": bytes([0, 0, 0, 0, 0]) + b"sh\0echo \"\\n\xc3\xa9",
    "proxy_open": bytes([6]) + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03\x03",
    "proxy_refuses": bytes([30]) + b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\nno",
    "bearssl_hello": HELLO, "mbedtls_hello": HELLO, "openssl_hello": HELLO,
    "bearssl_alert": ALERT, "mbedtls_alert": ALERT, "openssl_alert": ALERT,
    "diff_json": bytes([0, 6, 3]) + json.dumps(JOB).encode(),
    "diff_http": bytes([1, 4, 0]) + chunked(RESULT),
    "diff_base64": bytes([2, 0, 0]) + base64.b64encode(bytes(range(200))),
}

LIMITS = 60000, 20000


def write(directory, name, content):
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)


def seeds(target, directory):
    for name, content in SEEDS.items():
        if name.split("_")[0] == target:
            write(directory, name, content)


def unpack(path, directory):
    if os.path.exists(path):
        with open(path, encoding="ascii") as file:
            for line in file:
                content = base64.b64decode(line, validate=False)
                write(directory, "corpus_" + hashlib.sha1(content).hexdigest(), content)


def pack(path, first, second):
    size, all_inputs, lines = 0, set(), []
    for directory, limit in zip((first, second), LIMITS):
        inputs = set()
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as file:
                inputs.add(file.read())
        for content in sorted(inputs - all_inputs, key=lambda content: (len(content), content)):
            line = base64.b64encode(content).decode() + "\n"
            if size + len(line) <= limit:
                lines.append(line)
                size += len(line)
        all_inputs |= inputs
    with open(path, "w", encoding="ascii") as file:
        file.writelines(sorted(lines, key=lambda line: (len(line), line)))
    print("%d of %d inputs, %d bytes" % (len(lines), len(all_inputs), size))


{"seeds": seeds, "unpack": unpack, "pack": pack}[sys.argv[1]](*sys.argv[2:])
