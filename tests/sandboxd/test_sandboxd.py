#!/usr/bin/env python3
"""The self-test of sandboxd: python3 tests/sandboxd/test_sandboxd.py

Every server is started here, on a free loopback port, and stopped by its own process id.
"""

import sys

sys.dont_write_bytecode = True

import base64
import datetime
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from languages import shebang_language
from runner import Control, Runner
from wire import encode_chunked

KEY = "unsb-sk-test0-vault-unlck-12345"
PUBLIC = "unsb-pk-test0-vault-unlck-12345"
SECRET = "unsb-sk-pair0-vault-unlck-54321"
MEGABYTE = 1024 * 1024
PATIENCE = 20.0

# Takes a lock that lives as long as any process holds it, then tells that it is there.
HOLD = """
import fcntl, os, sys, time
def hold():
    handle = open(os.environ["LOCK"], "a")
    fcntl.flock(handle, fcntl.LOCK_EX)
    open(os.environ["LOCK"] + ".ready", "w").close()
    time.sleep(600)
"""


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


class Sandboxd:
    """A running server, and requests to it."""

    def __init__(self, *options, temp=None):
        env = dict(os.environ)
        if temp:
            env["TMPDIR"] = temp
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "sandboxd.py"), "--exit-with-parent", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
        line = self.process.stdout.readline().decode("utf-8")
        prefix = "sandboxd: listening on "
        if not line.startswith(prefix):
            self.stop()
            raise AssertionError("no server: %r" % line)
        self.url = line[len(prefix):].strip()
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def stop(self):
        if self.process.returncode is not None:
            return self.process.returncode
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return status

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def request(self, method, target, body=None, headers=None, key=KEY):
        """-> (status, answer, headers); the answer is decoded where it is JSON."""
        connection = self.connect()
        try:
            return exchange(connection, method, target, body, headers, key)
        finally:
            connection.close()

    def post(self, target, key=KEY, **fields):
        return self.request("POST", target, json_body(fields), key=key)

    def execute(self, language, code, **fields):
        status, answer, _ = self.post("/execute", language=language, code=code, **fields)
        if status != 200:
            raise AssertionError("%d %r" % (status, answer))
        return answer

    def submit(self, language, code, key=KEY, **fields):
        status, answer, _ = self.post("/execute/async", key=key, language=language, code=code,
                                      **fields)
        if status != 202:
            raise AssertionError("%d %r" % (status, answer))
        return answer["job_id"]

    def job(self, job_id, key=KEY):
        return self.request("GET", "/jobs/" + job_id, key=key)[1]

    def finish(self, job_id, key=KEY):
        wait_for(lambda: self.job(job_id, key)["status"] not in ("pending", "running"))
        return self.job(job_id, key)

    def languages(self):
        return self.request("GET", "/languages")[1]["languages"]

    def raw(self, data, half_close=False):
        """Sends bytes as they are; all that comes back until the end."""
        with socket.create_connection((self.host, self.port), timeout=PATIENCE) as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            return receive_all(sock)


def json_body(fields):
    return json.dumps(fields).encode("utf-8")


def exchange(connection, method, target, body=None, headers=None, key=KEY):
    send = {} if key is None else {"Authorization": "Bearer " + key}
    if body is not None:
        send["Content-Type"] = "text/plain" if target.startswith("/run") else "application/json"
    send.update(headers or {})
    connection.request(method, target, body, send)
    response = connection.getresponse()
    data = response.read()
    if response.headers.get("Content-Type") == "application/json" and data:
        data = json.loads(data.decode("utf-8"))
    return response.status, data, response.headers


def receive_all(sock):
    parts = []
    while True:
        data = sock.recv(65536)
        if not data:
            return b"".join(parts)
        parts.append(data)


def lock_is_free(path):
    with open(path, "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class Case(unittest.TestCase):
    """A server for all tests of the class."""

    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.mkdtemp(prefix="sandboxd-test-")
        cls.server = Sandboxd(*cls.OPTIONS, temp=cls.temp)
        cls.available = cls.server.languages()

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        left = [name for name in os.listdir(cls.temp) if name.startswith("sandboxd-")]
        shutil.rmtree(cls.temp, ignore_errors=True)
        if status != 0 or left:
            raise AssertionError("exit status %r, left behind: %r" % (status, left))

    def need(self, language):
        if language not in self.available:
            self.skipTest("%s is not installed" % language)

    def assert_error(self, answer, status, error):
        self.assertEqual((answer[0], answer[1]["error"]), (status, error), answer[1])
        self.assertIsInstance(answer[1]["message"], str)

    def lock_path(self):
        return os.path.join(self.temp, self.id().rpartition(".")[2])

    def check_released(self, path):
        self.assertTrue(os.path.exists(path + ".ready"), "the holder never came up")
        self.assertTrue(lock_is_free(path), "a process outlived its job")


class ExecuteTest(Case):
    def test_result_has_all_fields(self):
        answer = self.server.execute("sh", "echo out; echo err >&2; exit 3")
        self.assertEqual(list(answer), ["success", "stdout", "stderr", "exit_code", "language",
                                        "job_id", "artifacts", "execution_mode", "network_mode",
                                        "total_time_ms"])
        self.assertIs(answer["success"], False)
        self.assertEqual((answer["stdout"], answer["stderr"]), ("out\n", "err\n"))
        self.assertEqual((answer["exit_code"], answer["language"]), (3, "sh"))
        self.assertEqual((answer["artifacts"], answer["network_mode"]), ([], "zerotrust"))
        self.assertIsInstance(answer["total_time_ms"], int)

    def test_hello_in_each_language(self):
        programs = {
            "awk": 'BEGIN { print "hello" }', "bash": "echo hello", "sh": "echo hello",
            "c": '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }',
            "cpp": '#include <cstdio>\nint main() { std::puts("hello"); }',
            "fortran": "program a\nwrite(*, '(a)') 'hello'\nend program",
            "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println("hello") }\n',
            "java": 'class A { public static void main(String[] a) '
                    '{ System.out.println("hello"); } }',
            "javascript": 'console.log("hello")', "typescript": 'console.log("hello" as string)',
            "lua": 'print("hello")', "ocaml": 'print_endline "hello"', "perl": 'print "hello\\n";',
            "php": "<?php echo \"hello\\n\";", "python": 'print("hello")', "ruby": 'puts "hello"',
            "r": 'cat("hello\\n")', "rust": 'fn main() { println!("hello"); }',
            "tcl": "puts hello", "zsh": "echo hello",
        }
        for language in self.available:
            if language in programs:
                with self.subTest(language):
                    answer = self.server.execute(language, programs[language])
                    self.assertEqual((answer["stdout"], answer["exit_code"]), ("hello\n", 0),
                                     answer["stderr"])
                    self.assertIs(answer["success"], True)

    def test_death_by_signal(self):
        answer = self.server.execute("sh", "kill -KILL $$")
        self.assertEqual((answer["exit_code"], answer["stderr"]), (137, ""))

    def test_environment_is_the_requests_alone(self):
        answer = self.server.execute("python", "import os, json; print(json.dumps(dict("
                                     "os.environ)), os.getcwd())", env={"NAME": "v=\u00e9\n",
                                                                        "dotted.name": ""})
        environment, _, directory = answer["stdout"].rstrip("\n").rpartition(" ")
        environment = json.loads(environment)
        self.assertEqual(environment["NAME"], "v=\u00e9\n")
        self.assertEqual(environment["dotted.name"], "")
        self.assertEqual(environment["HOME"], directory)
        extra = set(environment) - {"NAME", "dotted.name", "HOME", "PATH", "LANG", "TMPDIR",
                                    "SANDBOXD_MARK", "LC_CTYPE"}
        self.assertEqual(extra, set())

    def test_env_that_no_process_can_take(self):
        answer = self.server.post("/execute", language="sh", code="", env={"A": "x" * MEGABYTE * 4})
        self.assert_error(answer, 500, "execution_failed")

    def test_bytes_that_are_not_text(self):
        answer = self.server.execute(
            "python", "import os; os.write(1, b'a\\xff\\x00\\xf0\\x9f\\x98\\x80\\x1b\"\\\\z')")
        self.assertEqual(answer["stdout"], "a\ufffd\0\U0001f600\x1b\"\\z")

    def test_large_output(self):
        connection = self.server.connect()
        body = json_body({"language": "python",
                          "code": "import sys; sys.stdout.write('0123456789' * 10000000)"})
        status, answer, _ = exchange(connection, "POST", "/execute", body)
        self.assertEqual((status, len(answer["stdout"])), (200, 100000000))
        self.assertTrue(answer["stdout"].startswith("01234") and answer["success"])
        connection.close()

    def test_compile_error_is_a_result(self):
        self.need("c")
        answer = self.server.execute("c", "int main(void) { return nothing; }",
                                     return_artifact=True)
        self.assertIs(answer["success"], False)
        self.assertNotEqual(answer["exit_code"], 0)
        self.assertIn("nothing", answer["stderr"])
        self.assertEqual(answer["artifacts"], [])

    def test_artifact(self):
        self.need("c")
        answer = self.server.execute("c", "int main(void) { return 7; }", return_artifact=True)
        self.assertEqual(answer["exit_code"], 7)
        self.assertEqual([item["filename"] for item in answer["artifacts"]], ["a.out"])
        path = os.path.join(self.temp, "artifact")
        with open(path, "wb") as handle:
            handle.write(base64.b64decode(answer["artifacts"][0]["content_base64"], validate=True))
        os.chmod(path, 0o700)
        self.assertEqual(subprocess.call([path]), 7)

    def test_wasm_artifact(self):
        self.need("c")
        if not (shutil.which("clang") and shutil.which("wasm-ld")):
            self.skipTest("clang or wasm-ld is not installed")
        answer = self.server.execute("c", "int add(int a, int b) { return a + b; }\n"
                                     "int main(void) { return add(1, -1); }",
                                     return_wasm_artifact=True)
        if "error" in answer:
            self.skipTest("clang has no wasm32 target")
        self.assertEqual([item["filename"] for item in answer["artifacts"]], ["a.wasm"])
        binary = base64.b64decode(answer["artifacts"][0]["content_base64"])
        self.assertTrue(binary.startswith(b"\0asm\1\0\0\0"))

    def test_no_wasm_from_python(self):
        answer = self.server.execute("python", "", return_wasm_artifact=True)
        self.assertIs(answer["success"], True)
        self.assertEqual(answer["artifacts"], [])
        self.assertIn("WebAssembly", answer["error"])

    def test_network_mode_is_echoed_and_applied(self):
        code = ("import socket\ns = socket.socket()\ns.settimeout(10)\n"
                "print(s.connect_ex(('127.0.0.1', %d)))" % self.server.port)
        answer = self.server.execute("python", code, network_mode="semitrusted")
        self.assertEqual((answer["network_mode"], answer["stdout"]), ("semitrusted", "0\n"))
        answer = self.server.execute("python", code, network_mode="zerotrust")
        self.assertEqual(answer["network_mode"], "zerotrust")
        if Runner().cut_network is not None:
            self.assertNotEqual(answer["stdout"], "0\n")


class RequestTest(Case):
    """What /execute refuses."""

    def refused(self, body, status, error):
        if not isinstance(body, bytes):
            body = json_body(body)
        for target in ("/execute", "/execute/async"):
            self.assert_error(self.server.request("POST", target, body), status, error)

    def with_field(self, **fields):
        return dict({"language": "sh", "code": "true"}, **fields)

    def test_json(self):
        for body in (b"", b"{", b"{}x", b'{"ttl": NaN}', b'{"ttl": -Infinity}', b'{"code": "\xff"}',
                     b'{"code": "\\ud800"}', b'{"code": "\\udc00\\ud800"}', b"\xef\xbb\xbf{}",
                     b'{"code": "\n"}', b"{'code': 1}", b'{"ttl": 01}', b'{"code": "\xed\xa0\x80"}',
                     b'{"a":1,}', b"[" * 200000):
            with self.subTest(body[:30]):
                self.refused(body, 400, "invalid_json")
        self.refused(b"[]", 400, "invalid_request")

    def test_equal_names_and_pairs_are_json(self):
        body = b'{"language": "x", "language": "sh", "code": "echo \\ud83d\\ude00"}'
        status, answer, _ = self.server.request("POST", "/execute", body)
        self.assertEqual((status, answer["stdout"]), (200, "\U0001f600\n"))

    def test_fields(self):
        self.refused({"code": ""}, 400, "missing_field")
        self.refused({"language": "sh"}, 400, "missing_field")
        self.refused(self.with_field(languages="sh"), 400, "unknown_field")
        self.refused(self.with_field(language="klingon"), 400, "unsupported_language")
        for fields in ({"language": 1}, {"code": None}, {"env": []}, {"env": None},
                       {"env": {"A": 1}}, {"env": {"A=B": ""}}, {"env": {"": ""}},
                       {"env": {"A": "\0"}}, {"network_mode": "open"}, {"network_mode": True},
                       {"return_artifact": "true"}, {"return_wasm_artifact": 1},
                       {"input_files": {}}, {"input_files": ["x"]}, {"input_files": None},
                       {"input_files": [{"content": 1}]},
                       {"input_files": [{"content": "", "filename": 1}]}):
            with self.subTest(fields):
                self.refused(self.with_field(**fields), 400, "invalid_field")

    def test_ttl(self):
        for ttl in (0, 901, -1, True, "60", 1.5, 60.0, None):
            with self.subTest(ttl):
                self.refused(self.with_field(ttl=ttl), 400, "invalid_field")
        for ttl in (1, 2, 899, 900):
            self.assertIs(self.server.execute("sh", "true", ttl=ttl)["success"], True)

    def files(self, *items):
        return self.with_field(input_files=list(items))

    def test_files_arrive(self):
        answer = self.server.execute("python", "import os\nfor n in ('data.csv', '1', '\u00e9'):\n"
                                     "  print(n, open(n, 'rb').read())",
                                     input_files=[{"filename": "data.csv", "content": "bmFtZQ=="},
                                                  {"content": "AP8="},
                                                  {"filename": "\u00e9", "content": ""}])
        self.assertEqual(answer["stdout"], "data.csv b'name'\n1 b'\\x00\\xff'\n\u00e9 b''\n",
                         answer["stderr"])

    def test_file_named_like_the_source(self):
        for language, name in (("python", "main.py"), ("sh", "main.sh")):
            code = "import sys; print(1)" if language == "python" else "echo 1"
            answer = self.server.execute(language, code,
                                         input_files=[{"filename": name, "content": "eA=="}])
            self.assertEqual(answer["stdout"], "1\n")

    def test_file_count(self):
        for count in (9, 10):
            answer = self.server.execute("sh", "ls | grep -c '^[0-9]$'",
                                         input_files=[{"content": "eA=="}] * count)
            self.assertEqual(answer["stdout"], "%d\n" % count)
        self.refused(self.files(*[{"content": "eA=="}] * 11), 400, "too_many_files")

    def test_file_names(self):
        for name in ("", ".", "..", "a/b", "/a", "a..b", "..a", "a\\b", "a\0", "x" * 257,
                     "\u00e9" * 257):
            with self.subTest(name[:5]):
                self.refused(self.files({"filename": name, "content": ""}), 400,
                             "invalid_filename")
        for length in (255, 256):
            answer = self.server.execute("sh", "true", input_files=[{"filename": "x" * length,
                                                                     "content": ""}])
            self.assertIs(answer["success"], True)
            self.assertEqual("left out" in answer["stderr"], length > 255)
        self.refused(self.files({"filename": "a", "content": ""}, {"filename": "a", "content": ""}),
                     400, "duplicate_filename")
        self.refused(self.files({"filename": "1", "content": ""}, {"content": ""}), 400,
                     "duplicate_filename")
        self.refused(self.files({"filename": "a"}), 400, "missing_field")
        self.refused(self.files({"content": "", "name": "a"}), 400, "unknown_field")

    def test_base64(self):
        for text in ("A", "AA", "AAA", "AA=", "AA==\n", "A A=", "AB==", "AAB=", "A===", "AA==AA==",
                     "_w==", "\u00e9A==", "=", "===="):
            with self.subTest(text):
                self.refused(self.files({"content": text}), 400, "invalid_base64")

    def test_file_sizes(self):
        count = "import os; print(sum(os.path.getsize(n) for n in os.listdir('.') if n.isdigit()))"

        def content(size):
            return {"content": base64.b64encode(b"\xa5" * size).decode("ascii")}

        for sizes in ((5 * MEGABYTE - 1,), (5 * MEGABYTE,), (5 * MEGABYTE, 5 * MEGABYTE - 1),
                      (5 * MEGABYTE, 5 * MEGABYTE)):
            answer = self.server.execute("python", count,
                                         input_files=[content(size) for size in sizes])
            self.assertEqual(answer["stdout"], "%d\n" % sum(sizes))
        self.assert_error(self.server.post("/execute", **self.files(content(5 * MEGABYTE + 1))),
                          413, "file_too_large")
        sizes = (4 * MEGABYTE, 4 * MEGABYTE, 2 * MEGABYTE + 1)
        self.assert_error(self.server.post("/execute", **self.files(*map(content, sizes))),
                          413, "files_too_large")


class RunTest(Case):
    def run_code(self, code, query=""):
        return self.server.request("POST", "/run" + query, code)

    def test_detection(self):
        status, answer, _ = self.run_code(b"#!/usr/bin/env python3\nprint('x')")
        self.assertEqual((status, answer["stdout"]), (200, "x\n"))
        self.assertEqual((answer["language"], answer["detected_language"]), ("python", "python"))

    def test_compiled(self):
        self.need("c")
        _, answer, _ = self.run_code(b"#!/usr/bin/env gcc\nint main(void) { return 4; }",
                                     "?return_artifact=true&return_wasm_artifact=false")
        self.assertEqual((answer["exit_code"], answer["language"]), (4, "c"), answer["stderr"])
        self.assertEqual(len(answer["artifacts"]), 1)

    def test_parameters(self):
        env = urllib.parse.quote(json.dumps({"A": "1 + 2 & \u00e9%"}))
        status, answer, _ = self.run_code(b"#!/bin/sh\nprintf %s \"$A\"",
                                          "?env=%s&ttl=5&network_mode=semitrusted" % env)
        self.assertEqual((status, answer["stdout"]), (200, "1 + 2 & \u00e9%"))
        self.assertEqual(answer["network_mode"], "semitrusted")
        answer = self.run_code(b"#!/bin/sh\nprintf %s \"$A\"", "?env=%7B%22A%22%3A%22a+b%22%7D")[1]
        self.assertEqual(answer["stdout"], "a b")

    def test_refusals(self):
        for query, error in (("?ttl=0", "invalid_field"), ("?ttl=901", "invalid_field"),
                             ("?ttl=", "invalid_field"), ("?ttl=+5", "invalid_field"),
                             ("?ttl=1e1", "invalid_field"), ("?return_artifact=1", "invalid_field"),
                             ("?network_mode=none", "invalid_field"), ("?env=%5B%5D",
                                                                       "invalid_field"),
                             ("?env=%7B", "invalid_json"), ("?env=%ff", "invalid_query"),
                             ("?ttl=5&ttl=5", "invalid_query"), ("?language=sh", "invalid_query"),
                             ("?ttl", "invalid_query")):
            with self.subTest(query):
                self.assert_error(self.run_code(b"#!/bin/sh\n", query), 400, error)
        for code in (b"", b"echo", b"#!", b"#!/bin/unknown\n", b" #!/bin/sh\n", b"#!/usr/bin/env\n",
                     b"\xef\xbb\xbf#!/bin/sh\n"):
            with self.subTest(code):
                self.assert_error(self.run_code(code), 400, "language_not_detected")

    def test_code_need_not_be_text(self):
        _, answer, _ = self.run_code(b"#!/bin/sh\nprintf '\xff\x01'")
        self.assertEqual(answer["stdout"], "\ufffd\x01")

    def test_async(self):
        status, answer, _ = self.server.request("POST", "/run/async", b"#!/bin/sh\necho x")
        self.assertEqual((status, answer["status"]), (202, "pending"))
        job = self.server.finish(answer["job_id"])
        self.assertEqual(job["result"]["detected_language"], "sh")
        self.assertEqual(job["result"]["stdout"], "x\n")
        self.assertNotIn("job_id", job["result"])

    def test_shebangs(self):
        for line, language in ((b"#!/usr/bin/python3.11", "python"), (b"#! /bin/bash -e", "bash"),
                               (b"#!/usr/bin/env -S node --flag", "javascript"),
                               (b"#!/usr/bin/env -Snode --flag", "javascript"),
                               (b"#!/usr/bin/env -i A=1 ruby", "ruby"), (b"#!lua5.4", "lua"),
                               (b"#!/usr/bin/awk -f", "awk"), (b"#!/usr/bin/tclsh8.6\r", "tcl"),
                               (b"#!/usr/bin/g++-12", "cpp"), (b"#!/usr/bin/Rscript", "r"),
                               (b"#!/bin/env php", "php"), (b"#!/usr/bin/perl -w", "perl"),
                               (b"#!/opt/x/zork", None), (b"#!", None), (b"# !/bin/sh", None)):
            with self.subTest(line):
                self.assertEqual(shebang_language(line + b"\ncode"), language)


class JobTest(Case):
    OPTIONS = ("--workers", "1", "--key", KEY, "--key", "other-key")

    def test_life_of_a_job(self):
        before = int(time.time())
        job_id = self.server.submit("sh", "echo hi")
        self.assertRegex(job_id, r"^job_[0-9]+_[0-9a-f]+$")
        job = self.server.finish(job_id)
        self.assertEqual(list(job), ["job_id", "status", "created_at", "started_at",
                                     "completed_at", "result"])
        self.assertEqual((job["job_id"], job["status"]), (job_id, "completed"))
        self.assertEqual(job["result"]["stdout"], "hi\n")
        self.assertNotIn("job_id", job["result"])
        times = [before, job["created_at"], job["started_at"], job["completed_at"],
                 int(time.time())]
        self.assertEqual(times, sorted(times))
        self.assert_error(self.server.request("DELETE", "/jobs/" + job_id), 409,
                          "job_already_finished")

    def test_program_that_fails_completes(self):
        job = self.server.finish(self.server.submit("sh", "exit 2"))
        self.assertEqual((job["status"], job["result"]["exit_code"]), ("completed", 2))

    def test_job_that_cannot_start_fails(self):
        job = self.server.finish(self.server.submit("sh", "", env={"A": "x" * MEGABYTE * 4}))
        self.assertEqual(job["status"], "failed")
        self.assertIn("could not start", job["error"])
        self.assertNotIn("result", job)

    def test_queue_list_and_cancel(self):
        lock = self.lock_path()
        code = HOLD + "print('partial \u00e9', flush=True)\nif os.fork() == 0:\n" \
            "    os.setsid()\n    hold()\ntime.sleep(600)"
        running = self.server.submit("python", code, env={"LOCK": lock})
        waiting = self.server.submit("sh", "true")
        wait_for(lambda: os.path.exists(lock + ".ready"))
        self.assertEqual(self.server.job(running)["status"], "running")
        job = self.server.job(waiting)
        self.assertEqual(job["status"], "pending")
        self.assertEqual(list(job), ["job_id", "status", "created_at"])
        jobs = self.server.request("GET", "/jobs")[1]["jobs"]
        self.assertEqual({(item["job_id"], item["status"], item["language"]) for item in jobs},
                         {(running, "running", "python"), (waiting, "pending", "sh")})
        self.assertRegex(jobs[0]["submitted_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(self.server.request("GET", "/jobs", key="other-key")[1], {"jobs": []})
        for method in ("GET", "DELETE"):
            self.assert_error(self.server.request(method, "/jobs/" + running, key="other-key"),
                              404, "job_not_found")

        status, answer, _ = self.server.request("DELETE", "/jobs/" + waiting)
        self.assertEqual((status, answer["result"]["stdout"]), (200, ""))
        self.assertEqual(self.server.job(waiting)["status"], "cancelled")
        status, answer, _ = self.server.request("DELETE", "/jobs/" + running)
        self.check_released(lock)
        self.assertEqual((status, list(answer)), (200, ["message", "job_id", "result"]))
        self.assertEqual((answer["message"], answer["job_id"]), ("Job cancelled", running))
        result = answer["result"]
        self.assertEqual((result["stdout"], result["exit_code"], result["success"]),
                         ("partial \u00e9\n", -1, False))
        job = self.server.job(running)
        self.assertEqual((job["status"], job["result"]), ("cancelled", result))
        self.assertEqual(self.server.request("GET", "/jobs")[1], {"jobs": []})
        self.assert_error(self.server.request("DELETE", "/jobs/" + running), 409,
                          "job_already_finished")

    def test_sync_job_is_a_job(self):
        lock = self.lock_path()
        connection = self.server.connect()
        body = json_body({"language": "python", "code": HOLD + "print(1, flush=True)\nhold()",
                          "env": {"LOCK": lock}})
        connection.request("POST", "/execute", body, {"Authorization": "Bearer " + KEY,
                                                      "Content-Type": "application/json"})
        wait_for(lambda: os.path.exists(lock + ".ready"))
        (item,) = self.server.request("GET", "/jobs")[1]["jobs"]
        self.assertEqual(self.server.request("DELETE", "/jobs/" + item["job_id"])[0], 200)
        answer = json.loads(connection.getresponse().read().decode("utf-8"))
        connection.close()
        self.assertEqual((answer["exit_code"], answer["stdout"]), (-1, "1\n"))
        self.assertEqual(self.server.job(item["job_id"])["status"], "cancelled")

    def test_sync_job_outlives_its_client(self):
        path = self.lock_path()
        connection = self.server.connect()
        body = json_body({"language": "sh", "code": 'sleep 0.3; echo done > "$OUT"',
                          "env": {"OUT": path}})
        connection.request("POST", "/execute", body, {"Authorization": "Bearer " + KEY,
                                                      "Content-Type": "application/json"})
        connection.close()
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path) == 5)

    def test_unknown_ids(self):
        for job_id in ("nothing", "job_1_a", "%2F", "a%20b", "%C3%A9"):
            self.assert_error(self.server.request("GET", "/jobs/" + job_id), 404, "job_not_found")

    def test_id_is_decoded(self):
        job_id = self.server.submit("sh", "true")
        self.assertEqual(self.server.finish(job_id.replace("_", "%5F"))["job_id"], job_id)


class TimeoutTest(Case):
    def test_sync_kills_children_too(self):
        lock = self.lock_path()
        code = HOLD + "print('partial', flush=True)\nif os.fork() == 0:\n    os.setsid()\n" \
            "    if os.fork() == 0:\n        hold()\n    os._exit(0)\ntime.sleep(600)"
        answer = self.server.execute("python", code, ttl=2, env={"LOCK": lock})
        self.check_released(lock)
        self.assertEqual((answer["success"], answer["exit_code"], answer["stdout"]),
                         (False, 124, "partial\n"))
        self.assertEqual(answer["error"], "execution timed out after 2 s")

    def test_async(self):
        job = self.server.finish(self.server.submit("sh", "echo partial; sleep 600", ttl=1))
        self.assertEqual((job["status"], job["result"]["stdout"]), ("timeout", "partial\n"))
        self.assertIn("timed out", job["error"])
        self.assertIs(job["result"]["success"], False)

    def test_program_that_ignores_signals(self):
        answer = self.server.execute("sh", "trap '' TERM INT HUP; while :; do sleep 1; done", ttl=1)
        self.assertEqual(answer["exit_code"], 124)

    def test_compiling_counts(self):
        self.need("c")
        endless = '#if __INCLUDE_LEVEL__ < 100\n' + '#include __FILE__\n' * 2 + '#endif\n'
        answer = self.server.execute("c", endless + "int main(void) { return 0; }", ttl=1)
        self.assertEqual((answer["success"], answer["exit_code"]), (False, 124))

    def test_background_process_does_not_hold_the_answer(self):
        lock = self.lock_path()
        code = HOLD + "import signal\nif os.fork() == 0:\n    os.setsid()\n    hold()\n" \
            "while not os.path.exists(os.environ['LOCK'] + '.ready'):\n    time.sleep(0.01)\n" \
            "print('done')"
        answer = self.server.execute("python", code, ttl=30, env={"LOCK": lock})
        self.check_released(lock)
        self.assertEqual((answer["stdout"], answer["exit_code"]), ("done\n", 0))


class KillWithoutNamespacesTest(unittest.TestCase):
    """What remains where the system has no PID namespaces for us."""

    def setUp(self):
        if not os.path.isdir("/proc/self"):
            self.skipTest("no /proc")
        self.runner = Runner()
        self.runner.open_network = []
        self.runner.pid_namespace = False
        self.temp = tempfile.mkdtemp(prefix="sandboxd-test-")
        self.addCleanup(shutil.rmtree, self.temp, True)

    def check(self, program, ended, seconds):
        lock = os.path.join(self.temp, "lock")
        code = HOLD + "if os.fork() == 0:\n    os.setsid()\n    hold()\n" \
            "while not os.path.exists(os.environ['LOCK'] + '.ready'):\n    time.sleep(0.01)\n" \
            "print('there', flush=True)\n" + program
        outcome = self.runner.run([sys.executable, "-c", code], self.temp, {"LOCK": lock}, True,
                                  time.monotonic() + seconds, Control(), MEGABYTE)
        self.assertEqual((outcome.ended, outcome.stdout), (ended, b"there\n"), outcome.stderr)
        self.assertTrue(lock_is_free(lock))

    def test_end(self):
        self.check("pass", "exit", 60)

    def test_deadline(self):
        self.check("time.sleep(600)", "timeout", 3)


class LimitTest(Case):
    OPTIONS = ("--concurrency", "2", "--workers", "1", "--max-output", "1000", "--max-body",
               "100000")

    def test_concurrency(self):
        first = self.server.submit("sh", "sleep 600")
        second = self.server.submit("sh", "sleep 600")
        for target in ("/execute", "/execute/async"):
            answer = self.server.post(target, language="sh", code="")
            self.assert_error(answer, 429, "concurrency_limit_reached")
            self.assertEqual(answer[1]["concurrency_limit"], 2)
            self.assertEqual(answer[2]["Retry-After"], "1")
        self.server.request("DELETE", "/jobs/" + second)
        self.assertEqual(self.server.post("/execute", language="sh", code="")[0], 200)
        self.server.request("DELETE", "/jobs/" + first)

    def test_output(self):
        for size in (999, 1000):
            answer = self.server.execute("python", "print('x' * %d, end='')" % size)
            self.assertEqual((len(answer["stdout"]), answer["success"]), (size, True))
        code = "print('x' * 1001, end='')"
        answer = self.server.execute("python", code)
        self.assertEqual((len(answer["stdout"]), answer["success"]), (1000, False))
        self.assertEqual((answer["error"], answer["exit_code"]), ("output_limit_exceeded", 137))
        job = self.server.finish(self.server.submit("python", code))
        self.assertEqual((job["status"], job["error"]), ("failed", "output_limit_exceeded"))

    def test_body(self):
        code = "#!/bin/sh\n"
        for size in (99999, 100000):
            self.assertEqual(self.server.request("POST", "/run", code.ljust(size, "#"))[0], 200)
        answer = self.server.request("POST", "/run", code.ljust(100001, "#"))
        self.assert_error(answer, 413, "request_too_large")
        self.assertEqual(answer[2]["Connection"], "close")

    def test_large_refused_body_does_not_reset(self):
        answer = self.server.request("POST", "/execute", b" " * (20 * MEGABYTE))
        self.assert_error(answer, 413, "request_too_large")

    def test_refusal_comes_before_the_body(self):
        with socket.create_connection((self.server.host, self.server.port),
                                      timeout=PATIENCE) as sock:
            sock.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n"
                         b"Authorization: Bearer " + KEY.encode("ascii") + b"\r\n\r\n")
            self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 413 "))

    def test_key_limits(self):
        answer = self.server.request("POST", "/keys/validate", b"")[1]
        self.assertEqual(answer, {"valid": True, "tier": "local", "concurrency": 2})


class AuthorizationTest(Case):
    OPTIONS = ("--key", KEY, "--key-pair", PUBLIC, SECRET)

    def signed(self, method, target, body=None, when=0, key=PUBLIC, secret=SECRET, change=None):
        stamp = str(int(time.time()) + when)
        text = ("%s:%s:%s:" % (stamp, method, target)).encode("ascii") + (body or b"")
        signature = hmac.new(secret.encode("ascii"), text, hashlib.sha256).hexdigest()
        headers = {"X-Timestamp": stamp, "X-Signature": signature}
        headers.update(change or {})
        headers = {name: value for name, value in headers.items() if value is not None}
        return self.server.request(method, target, body, headers, key)

    def test_bearer(self):
        request = self.server.request
        self.assert_error(request("GET", "/jobs", key=None), 401, "missing_authorization")
        self.assert_error(request("GET", "/jobs", key="wrong"), 401, "invalid_api_key")
        self.assert_error(request("GET", "/jobs", key=SECRET), 401, "secret_key_sent")
        for value in ("Basic eA==", "Bearer", "bearer " + KEY, "Bearer  " + KEY,
                      "Bearer " + KEY + " x"):
            answer = request("GET", "/jobs", headers={"Authorization": value}, key=None)
            self.assert_error(answer, 401, "invalid_authorization")
            self.assertEqual(answer[2]["WWW-Authenticate"], "Bearer")

    def test_refused_upload_gets_its_answer(self):
        answer = self.server.request("POST", "/execute", b" " * (14 * MEGABYTE), key="wrong")
        self.assert_error(answer, 401, "invalid_api_key")

    def test_signed(self):
        self.assertEqual(self.signed("GET", "/jobs")[0], 200)
        body = json_body({"language": "sh", "code": "echo \u00e9"})
        self.assertEqual(self.signed("POST", "/execute", body)[0], 200)
        status, answer, _ = self.signed("POST", "/run?ttl=5&env=%7B%7D", b"#!/bin/sh\n")
        self.assertEqual(status, 200)
        job_id = self.signed("POST", "/execute/async", body)[1]["job_id"]
        self.assertEqual(self.signed("GET", "/jobs/" + job_id)[0], 200)
        self.assert_error(self.server.request("GET", "/jobs/" + job_id), 404, "job_not_found")
        self.assertEqual(self.signed("POST", "/keys/validate", b"{}")[1]["valid"], True)

    def test_signature_must_match(self):
        refused = self.assert_error
        refused(self.signed("GET", "/jobs", secret="wrong"), 401, "invalid_signature")
        refused(self.signed("GET", "/jobs", change={"X-Signature": "00"}), 401,
                "invalid_signature")
        refused(self.signed("GET", "/jobs", change={"X-Signature": None}), 401,
                "missing_signature")
        refused(self.signed("GET", "/jobs", change={"X-Timestamp": None}), 401,
                "missing_timestamp")
        refused(self.signed("GET", "/jobs", change={"X-Timestamp": "now"}), 401,
                "invalid_timestamp")
        refused(self.signed("GET", "/jobs", key=KEY), 401, "invalid_signature")
        body = json_body({"language": "sh", "code": ""})
        stamp = str(int(time.time()))
        signature = hmac.new(SECRET.encode("ascii"), ("%s:POST:/execute:" % stamp).encode("ascii"),
                             hashlib.sha256).hexdigest()
        refused(self.server.request("POST", "/execute", body,
                                    {"X-Timestamp": stamp, "X-Signature": signature}, PUBLIC),
                401, "invalid_signature")

    def test_clock(self):
        for when in (-290, 290):
            self.assertEqual(self.signed("GET", "/jobs", when=when)[0], 200)
        for when in (-310, 310):
            answer = self.signed("GET", "/jobs", when=when)
            self.assert_error(answer, 401, "timestamp_out_of_range")
            self.assertIn("timestamp", answer[1]["message"])

    def test_keys_validate(self):
        request = self.server.request
        self.assertEqual(request("POST", "/keys/validate", b"")[1],
                         {"valid": True, "tier": "local"})
        self.assertEqual(request("POST", "/keys/validate", b"{}", key="wrong")[1],
                         {"valid": False, "reason": "unknown_key"})
        self.assert_error(request("POST", "/keys/validate", b"", key=None), 401,
                          "missing_authorization")
        self.assert_error(request("POST", "/keys/validate", b"[]"), 400, "invalid_request")


class SignedOnlyTest(AuthorizationTest):
    OPTIONS = ("--dialect", "live", "--signed-only", "--key", KEY, "--key-pair", PUBLIC, SECRET)

    def test_bearer(self):
        request = self.server.request
        self.assert_error(request("GET", "/jobs"), 401, "missing_signature")
        self.assert_error(request("POST", "/execute", b"{}"), 401, "missing_signature")
        self.assert_error(request("POST", "/keys/validate", b""), 401, "missing_signature")
        self.assert_error(request("GET", "/jobs", key=SECRET), 401, "secret_key_sent")
        for target in ("/languages", "/health"):
            self.assertEqual(request("GET", target)[0], 200)
            self.assertEqual(self.signed("GET", target)[0], 200)
            self.assert_error(self.signed("GET", target, secret="wrong"), 401,
                              "invalid_signature")

    def test_signed(self):
        self.assertEqual(self.signed("GET", "/jobs")[1], [])
        body = json_body({"language": "sh", "code": "echo \u00e9"})
        self.assertEqual(self.signed("POST", "/execute", body)[0], 202)
        self.assertEqual(self.signed("POST", "/run?ttl=5&env=%7B%7D", b"#!/bin/sh\n")[0], 202)

    def test_clock(self):
        answer = self.signed("GET", "/jobs", when=-310)
        self.assert_error(answer, 401, "invalid_timestamp")
        self.assertIn("timestamp", answer[1]["message"])

    def test_keys_validate(self):
        answer = self.signed("POST", "/keys/validate", b"")[1]
        self.assertEqual((answer["valid"], answer["public_key"]), (True, PUBLIC))
        status, answer, _ = self.signed("POST", "/keys/validate", b"", key="unsb-pk-other")
        self.assertEqual((status, answer["reason"]), (401, "invalid_key"))


class RateTest(Case):
    # setUpClass takes one of the requests.
    OPTIONS = ("--rate-limit", "4", "--key", KEY, "--key", "other-key")

    def test_rate(self):
        answer = self.server.request("POST", "/keys/validate", b"")[1]
        self.assertEqual((answer["rate_per_minute"], answer["burst"]), (4, 4))
        for _ in range(2):
            self.assertEqual(self.server.request("GET", "/jobs")[0], 200)
        answer = self.server.request("GET", "/jobs")
        self.assert_error(answer, 429, "rate_limit_exceeded")
        self.assertIn(int(answer[2]["Retry-After"]), range(1, 61))
        self.assertEqual(answer[1]["retry_after"], int(answer[2]["Retry-After"]))
        self.assertEqual(self.server.request("GET", "/jobs", key="other-key")[0], 200)


class HttpTest(Case):
    AUTH = b"Authorization: Bearer " + KEY.encode("ascii") + b"\r\n"

    def status(self, data):
        answer = self.server.raw(data, half_close=True)
        self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer[:80])
        return int(answer[9:12])

    def get(self, target=b"/jobs", fields=b"", host=b"Host: x\r\n"):
        return b"GET " + target + b" HTTP/1.1\r\n" + host + self.AUTH + fields + b"\r\n"

    def test_well_formed(self):
        for data in (self.get(), self.get(fields=b"X-Empty:\r\n"),
                     self.get(fields=b"X:\t a b \r\n"), self.get(host=b"Host: [::1]:80\r\n"),
                     self.get(fields=b"Content-Length: 0\r\n"),
                     self.get(target=b"/%6Aobs?"),
                     self.get(host=b"").replace(b"HTTP/1.1", b"HTTP/1.0")):
            with self.subTest(data):
                self.assertEqual(self.status(data), 200)

    def test_malformed(self):
        for data in (self.get(host=b""), self.get(host=b"Host: x\r\nHost: x\r\n"),
                     self.get(host=b"Host: a b\r\n"), self.get(host=b"Host:\r\n"),
                     self.get().replace(b"\r\n", b"\n"), self.get().replace(b"\r\nHost", b"\nHost"),
                     self.get(fields=b"X: a\rb\r\n"), b"\r\n" + self.get(),
                     self.get(fields=b"X : a\r\n"), self.get(fields=b"X: a\r\n b\r\n"),
                     self.get(fields=b"X\r\n"), self.get(fields=b": a\r\n"),
                     self.get(fields=b"X: \0\r\n"), self.get(fields=b"X: \xe9\r\n"),
                     self.get(target=b"http://x/jobs"), self.get(target=b"*"),
                     self.get(target=b"/jobs/%"), self.get(target=b"/jobs/%G0"),
                     self.get(target=b"/jobs/a b"), self.get(target=b"/jobs/\xc3\xa9"),
                     self.get(target=b'/jobs/"'), self.get(target=b"/jobs#a"),
                     self.get(target=b"/jobs/%ff"), b"GET  /jobs HTTP/1.1\r\n\r\n",
                     self.get().replace(b"HTTP/1.1", b"http/1.1"), self.get()[:-4],
                     self.get(fields=b"Content-Length: 5\r\n") + b"12345",
                     self.get(fields=b"Content-Length: x\r\n"),
                     self.get(fields=b"Content-Length: +1\r\n"),
                     self.get(fields=b"Content-Length: 0\r\nContent-Length: 0\r\n"),
                     self.get(fields=b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
                     self.get(target=b"/jobs?x=1"), self.get(fields=self.AUTH)):
            with self.subTest(data[:60]):
                self.assertEqual(self.status(data), 400)

    def test_other_refusals(self):
        get = self.get()
        self.assertEqual(self.status(get.replace(b"HTTP/1.1", b"HTTP/2.0")), 505)
        self.assertEqual(self.status(self.get(fields=b"Expect: more\r\n")), 417)
        self.assertEqual(self.status(self.get(target=b"/" + b"a" * 40000)), 414)
        self.assertEqual(self.status(self.get(fields=b"X: " + b"a" * 70000 + b"\r\n")), 431)
        self.assertEqual(self.status(self.get(fields=b"X: a\r\n" * 100)), 431)
        post = self.get(target=b"/run").replace(b"GET", b"POST")
        self.assertEqual(self.status(post), 411)
        chunked = post[:-2] + b"Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
        self.assertEqual(self.status(chunked + encode_chunked(b"#!/bin/sh\n")), 411)
        # A body that ends early is no request.
        short = post[:-2] + b"Content-Length: 20\r\nContent-Type: text/plain\r\n\r\n#!/bin/sh\n"
        self.assertEqual(self.status(short), 400)

    def test_paths_and_methods(self):
        for method, target in (("GET", "/"), ("GET", "/job"), ("POST", "/execute/"),
                               ("GET", "/jobs/"), ("GET", "/jobs/a/b"), ("POST", "/execute/sync")):
            self.assert_error(self.server.request(method, target), 404, "not_found")
        for method, target, allow in (("GET", "/execute", "POST"), ("PUT", "/run", "POST"),
                                      ("POST", "/jobs", "GET"), ("GET", "/keys/validate", "POST"),
                                      ("POST", "/jobs/a", "DELETE, GET"),
                                      ("DELETE", "/languages", "GET")):
            answer = self.server.request(method, target)
            self.assert_error(answer, 405, "method_not_allowed")
            self.assertEqual(answer[2]["Allow"], allow)
        status, data, _ = self.server.request("HEAD", "/jobs")
        self.assertEqual((status, data), (405, b""))

    def test_content_types(self):
        for target, kind, status in (("/execute", "text/plain", 415), ("/execute", "", 415),
                                     ("/run", "application/json", 415),
                                     ("/run", "text/plain; charset=latin1", 415),
                                     ("/run", "text/plain; charset=utf-8", 200),
                                     ("/run", "text/plain", 200)):
            answer = self.server.request("POST", target, b"#!/bin/sh\n", {"Content-Type": kind})
            self.assertEqual(answer[0], status)

    def test_keep_alive(self):
        connection = self.server.connect()
        connection.connect()
        sock = connection.sock
        body = json_body({"language": "sh", "code": "echo x"})
        for _ in range(3):
            self.assertEqual(exchange(connection, "POST", "/execute", body)[0], 200)
            self.assertEqual(exchange(connection, "GET", "/nothing")[0], 404)
            self.assertEqual(exchange(connection, "POST", "/execute", body, key="wrong")[0], 401)
            self.assertEqual(exchange(connection, "POST", "/execute", b"{")[0], 400)
        self.assertIs(connection.sock, sock)
        headers = exchange(connection, "GET", "/jobs", headers={"Connection": "close"})[2]
        self.assertEqual(headers["Connection"], "close")
        connection.close()

    def test_pipelining(self):
        answer = self.server.raw(self.get() + self.get(target=b"/languages",
                                                       fields=b"Connection: close\r\n"))
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK\r\n"), 2)
        self.assertLess(answer.index(b'"jobs"'), answer.index(b'"languages"'))

    def test_http_1_0_is_closed(self):
        answer = self.server.raw(self.get().replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertIn(b"\r\nConnection: close\r\n", answer)

    def test_expect(self):
        post = (b"POST /run HTTP/1.1\r\nHost: x\r\n" + self.AUTH + b"Content-Type: text/plain\r\n"
                b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
        with socket.create_connection((self.server.host, self.server.port),
                                      timeout=PATIENCE) as sock:
            sock.sendall(post)
            self.assertEqual(sock.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(b"#!/bin/sh\n")
            self.assertTrue(receive_all(sock).startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertEqual(self.status(post.replace(b"/run", b"/nothing")), 404)

    def test_request_in_pieces(self):
        data = self.get(fields=b"Connection: close\r\n")
        with socket.create_connection((self.server.host, self.server.port),
                                      timeout=PATIENCE) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for index in range(len(data)):
                sock.sendall(data[index:index + 1])
            self.assertTrue(receive_all(sock).startswith(b"HTTP/1.1 200 OK\r\n"))


class ChunkedTest(Case):
    OPTIONS = ("--chunked", "--ascii")

    def test_chunked_and_ascii(self):
        answer = self.server.raw(
            b"POST /run HTTP/1.1\r\nHost: x\r\n" + HttpTest.AUTH + b"Content-Type: text/plain\r\n"
            b"Connection: close\r\nContent-Length: 39\r\n\r\n"
            b"#!/bin/sh\nprintf '\xc3\xa9 \xf0\x9f\x98\x80 \\0 %s' 12345\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b"\r\nTransfer-Encoding: chunked", head)
        self.assertNotIn(b"Content-Length", head)
        self.assertTrue(body.endswith(b"\r\n0\r\nX-Sandboxd-Trailer: end\r\n\r\n"))
        answer = self.server.execute("sh", "printf '\u00e9 \U0001f600 \\0'")
        self.assertEqual(answer["stdout"], "\u00e9 \U0001f600 \0")
        body.decode("ascii")

    def test_large(self):
        answer = self.server.execute("python", "print('x' * 3000000)")
        self.assertEqual(len(answer["stdout"]), 3000001)


class FaultTest(unittest.TestCase):
    def start(self, *options):
        server = Sandboxd(*options)
        self.addCleanup(server.stop)
        return server

    def test_early_404(self):
        server = self.start("--early-404", "2")
        job_id = server.submit("sh", "true")
        statuses = [server.request("GET", "/jobs/" + job_id)[0] for _ in range(4)]
        self.assertEqual(statuses, [404, 404, 200, 200])

    def test_flaky(self):
        server = self.start("--flaky", "2")
        seen = []
        for _ in range(8):
            try:
                status, _, headers = server.request("GET", "/jobs")
                seen.append(status)
                if status == 503:
                    self.assertEqual(headers["Retry-After"], "0")
                    self.assertEqual(headers["Content-Type"], "text/html")
            except (http.client.HTTPException, OSError):
                seen.append(None)
        self.assertEqual(seen, [200, 503, 200, None, 200, 503, 200, None])

    def test_fail_first(self):
        with tempfile.TemporaryDirectory() as temp:
            journal = os.path.join(temp, "journal")
            server = self.start("--fail-first", "2", "502", "--journal", journal)
            body = {"language": "sh", "code": "echo"}
            statuses = [server.post("/execute", **body)[0] for _ in range(3)]
            self.assertEqual(statuses, [502, 502, 200])
            with open(journal) as handle:
                self.assertEqual(len(handle.readlines()), 1)

    def test_journal(self):
        with tempfile.TemporaryDirectory() as temp:
            journal = os.path.join(temp, "journal")
            server = self.start("--journal", journal)
            first = server.execute("sh", "echo")["job_id"]
            second = server.submit("sh", "true")
            server.finish(second)
            server.post("/execute", language="sh")
            with open(journal) as handle:
                lines = handle.read().splitlines()
            self.assertEqual(lines, ["%s sh %s" % (job_id, hashlib.sha256(code).hexdigest())
                                     for job_id, code in ((first, b"echo"), (second, b"true"))])

    def test_idle_timeout(self):
        server = self.start("--idle-timeout", "0.2")
        with socket.create_connection((server.host, server.port), timeout=PATIENCE) as sock:
            self.assertEqual(sock.recv(1), b"")


class LiveTest(Case):
    """The preset, a whole conversation in it."""

    OPTIONS = ("--dialect", "live", "--workers", "1")
    TIME = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z"

    def run_pending(self, target="/execute", **fields):
        status, answer, _ = self.server.post(target, **fields)
        self.assertEqual((status, answer["status"]), (202, "pending"), answer)
        return self.server.finish(answer["job_id"])

    def test_execute_is_a_job(self):
        status, answer, _ = self.server.post("/execute", language="sh", code="echo x; exit 3")
        self.assertEqual((status, list(answer)), (202, ["job_id", "status", "message"]))
        job = self.server.finish(answer["job_id"])
        self.assertEqual(set(job), {"job_id", "status", "language", "network_mode", "created_at",
                                    "started_at", "completed_at", "error", "success", "stdout",
                                    "stderr", "exit_code", "artifacts", "total_time_ms"})
        self.assertEqual((job["stdout"], job["exit_code"], job["success"], job["error"]),
                         ("x\n", 3, False, None))
        for name in ("created_at", "started_at", "completed_at"):
            self.assertRegex(job[name], self.TIME)

    def test_run_is_a_job(self):
        for target in ("/run", "/run/async"):
            status, answer, _ = self.server.request("POST", target, b"#!/bin/sh\necho x")
            self.assertEqual((status, answer["detected_language"]), (202, "sh"))
            job = self.server.finish(answer["job_id"])
            self.assertEqual((job["stdout"], job["detected_language"]), ("x\n", "sh"))

    def test_list_and_cancel(self):
        lock = self.lock_path()
        running = self.server.submit("python", HOLD + "print('partial', flush=True)\nhold()",
                                     env={"LOCK": lock})
        wait_for(lambda: os.path.exists(lock + ".ready"))
        (item,) = self.server.request("GET", "/jobs")[1]
        self.assertRegex(item.pop("created_at"), self.TIME)
        self.assertEqual(item, {"job_id": running, "status": "running", "language": "python",
                                "network_mode": "zerotrust"})
        status, answer, _ = self.server.request("DELETE", "/jobs/" + running)
        self.assertRegex(answer.pop("completed_at"), self.TIME)
        self.assertEqual((status, answer), (200, {
            "job_id": running, "status": "cancelled", "message": "Job cancelled",
            "success": False, "stdout": "partial\n", "stderr": "", "artifacts": []}))
        self.assertEqual(self.server.request("GET", "/jobs")[1], [])

    def test_timeout(self):
        job = self.run_pending(language="sh", code="echo x; sleep 600", ttl=1)
        self.assertEqual((job["status"], job["stdout"], job["exit_code"]), ("timeout", "x\n", 124))
        self.assertIn("timed out", job["error"])

    def test_artifacts(self):
        job = self.run_pending(language="python", code="", return_wasm_artifact=True)
        self.assertEqual(job["artifacts"], [{"type": "error",
                                             "error": "no WebAssembly from python here"}])
        self.assertIsNone(job["error"])
        self.need("c")
        job = self.run_pending(language="c", code="int main(void) { return 0; }",
                               return_artifact=True)
        (item,) = job["artifacts"]
        self.assertEqual(list(item), ["type", "filename", "data"])
        self.assertEqual((item["type"], item["filename"]), ("base64", "a.out"))
        self.assertTrue(base64.b64decode(item["data"], validate=True))

    def test_languages_and_health_are_open(self):
        for key in (None, "wrong"):
            answer = self.server.request("GET", "/languages", key=key)[1]
            self.assertEqual(answer["count"], len(answer["languages"]))
            self.assertEqual(answer["aliases"]["py"], "python")
            self.assertTrue(set(answer["aliases"].values()) <= set(answer["languages"]))
            self.assertEqual(self.server.request("GET", "/health", key=key)[1], {"status": "ok"})
            self.assertEqual(self.server.request("HEAD", "/health", key=key)[:2], (200, b""))
        self.assert_error(self.server.request("GET", "/jobs", key=None), 401,
                          "missing_authorization")

    def test_keys(self):
        answer = self.server.request("POST", "/keys/validate", b"")[1]
        self.assertEqual(list(answer), ["valid", "tier", "status", "public_key",
                                        "valid_through_datetime", "valid_for_human"])
        self.assertIsInstance(answer["tier"], int)
        self.assertRegex(answer["valid_through_datetime"], self.TIME)
        status, answer, _ = self.server.request("POST", "/keys/validate", b"", key="wrong")
        self.assertEqual((status, answer), (401, {"valid": False, "reason": "invalid_key"}))

    def test_vcpu(self):
        for vcpu in (1, 8):
            job = self.run_pending(language="sh", code="echo $SANDBOXD_VCPU", vcpu=vcpu)
            self.assertEqual(job["stdout"], "%d\n" % vcpu)
        answer = self.server.request("POST", "/run?vcpu=2", b"#!/bin/sh\necho $SANDBOXD_VCPU")[1]
        self.assertEqual(self.server.finish(answer["job_id"])["stdout"], "2\n")
        for vcpu in (0, 9, True, "1", 1.0):
            self.assert_error(self.server.post("/execute", language="sh", code="", vcpu=vcpu), 400,
                              "invalid_field")

    def test_file_limits(self):
        files = [{"filename": "a/b/%d" % number, "content": "eA=="} for number in range(1000)]
        job = self.run_pending(language="sh", code="ls a/b | wc -l; cat a/b/999",
                               input_files=files)
        self.assertEqual(job["stdout"].split(), ["1000", "x"])
        content = base64.b64encode(bytes(5 * MEGABYTE + 1)).decode("ascii")
        job = self.run_pending(language="sh", code="wc -c <0", input_files=[{"content": content}])
        self.assertEqual(int(job["stdout"]), 5 * MEGABYTE + 1)
        for names, error in ((["/a"], "invalid_filename"), (["a/"], "invalid_filename"),
                             (["a//b"], "invalid_filename"), (["a/../b"], "invalid_filename"),
                             (["./a"], "invalid_filename"), (["a\\b"], "invalid_filename"),
                             (["a/b", "a"], "duplicate_filename"),
                             (["a", "a/b/c"], "duplicate_filename")):
            answer = self.server.post("/execute", language="sh", code="", input_files=[
                {"filename": name, "content": ""} for name in names])
            self.assert_error(answer, 400, error)
        answer = self.server.post("/execute", language="sh", code="",
                                  input_files=[{"content": ""}] * 1001)
        self.assert_error(answer, 400, "too_many_files")


class TraitTest(unittest.TestCase):
    """Single traits, the rest as on the page unless said otherwise."""

    def start(self, *options):
        server = Sandboxd(*options)
        self.addCleanup(server.stop)
        return server

    def test_traits_of_the_preset_can_be_taken_back(self):
        server = self.start("--dialect", "live", "--no-iso-times", "--no-flat", "--root-arrays",
                            "no", "--no-aliases", "--pending", "no", "--artifacts",
                            "content_base64", "--no-artifact-errors", "--key-answers", "page",
                            "--no-open-languages", "--no-vcpu", "--file-limits", "page",
                            "--retry-after")
        answer = server.execute("python", "", return_wasm_artifact=True)
        self.assertEqual(answer["execution_mode"], "pooled")
        self.assertIn("WebAssembly", answer["error"])
        job = server.finish(server.submit("sh", "true"))
        self.assertEqual(list(job), ["job_id", "status", "created_at", "started_at",
                                     "completed_at", "result"])
        self.assertIsInstance(job["created_at"], int)
        self.assertEqual(server.request("GET", "/jobs")[1], {"jobs": []})
        self.assertEqual(list(server.request("GET", "/languages")[1]), ["languages"])
        self.assertEqual(server.request("GET", "/languages", key=None)[0], 401)
        self.assertEqual(server.post("/execute", language="sh", code="", vcpu=1)[0], 400)
        self.assertEqual(server.request("POST", "/keys/validate", b"", key="wrong")[1],
                         {"valid": False, "reason": "unknown_key"})

    def test_pending_with_200(self):
        server = self.start("--pending", "200")
        status, answer, _ = server.post("/execute", language="sh", code="echo x")
        self.assertEqual((status, list(answer)), (200, ["job_id", "status"]))
        self.assertEqual(server.finish(answer["job_id"])["result"]["stdout"], "x\n")
        self.assertEqual(server.post("/execute/async", language="sh", code="")[0], 202)

    def test_iso_times_with_offset(self):
        server = self.start("--iso-times", "--time-offset=-03:30")
        before = int(time.time())
        job = server.finish(server.submit("sh", "true"))
        stamps = [datetime.datetime.fromisoformat(job[name]).timestamp()
                  for name in ("created_at", "started_at", "completed_at")]
        self.assertEqual(stamps, sorted(stamps))
        self.assertTrue(before <= stamps[0] and stamps[2] <= time.time())
        self.assertRegex(job["created_at"], r"\.\d{6}-03:30\Z")
        running = server.submit("sh", "sleep 600")
        (item,) = server.request("GET", "/jobs")[1]["jobs"]
        self.assertRegex(item["submitted_at"], r"\.\d{6}-03:30\Z")
        server.request("DELETE", "/jobs/" + running)

    def test_root_arrays(self):
        server = self.start("--root-arrays")
        self.assertIn("python", server.request("GET", "/languages")[1])
        job_id = server.submit("sh", "sleep 600")
        (item,) = server.request("GET", "/jobs")[1]
        self.assertRegex(item["created_at"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        self.assertNotIn("submitted_at", item)
        server.request("DELETE", "/jobs/" + job_id)

    def test_artifact_shapes(self):
        if not (shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")):
            self.skipTest("no C compiler is installed")
        wanted = {
            ("content_base64",): ["filename", "content_base64"],
            ("described",): ["filename", "mime_type", "content_base64", "size"],
            ("data", "--artifact-names", "name"): ["type", "name", "data"],
            ("content", "--artifact-order", "content-first"): ["content", "filename"],
            ("single",): ["type", "filename", "data"],
        }
        for options, members in wanted.items():
            with self.subTest(options):
                server = self.start("--artifacts", *options, "--artifact-errors")
                answer = server.execute("c", "int main(void) { return 0; }", return_artifact=True)
                item = answer["artifact"] if options == ("single",) else answer["artifacts"][0]
                self.assertEqual(list(item), members)
                content = [item[name] for name in ("content_base64", "data", "content")
                           if name in item]
                data = base64.b64decode(content[0], validate=True)
                self.assertEqual(item.get("size", len(data)), len(data))
                answer = server.execute("python", "", return_wasm_artifact=True)
                item = (answer["wasm_artifact"] if options == ("single",)
                        else answer["artifacts"][0])
                self.assertEqual(item, {"type": "error",
                                        "error": "no WebAssembly from python here"})
                self.assertNotIn("error", answer)
                self.assertEqual("artifacts" in answer, options != ("single",))

    def test_delete_204(self):
        server = self.start("--delete-204", "--chunked")
        job_id = server.submit("sh", "sleep 600")
        status, body, headers = server.request("DELETE", "/jobs/" + job_id)
        self.assertEqual((status, body), (204, b""))
        for name in ("Content-Length", "Transfer-Encoding", "Content-Type"):
            self.assertNotIn(name, headers)
        self.assertEqual(server.job(job_id)["status"], "cancelled")

    def test_error_shapes(self):
        for options, shown in ((("--error-objects",),
                                {"error": {"code": "job_not_found", "message": "no such job"},
                                 "status": 404}),
                               (("--error-detail",), {"errors": {"detail": "no such job"},
                                                      "status": 404}),
                               (("--error-detail", "detail"), {"detail": "no such job",
                                                               "status": 404})):
            with self.subTest(options):
                server = self.start(*options)
                self.assertEqual(server.request("GET", "/jobs/a")[1], shown)
                # what is malformed is refused before there is a request
                status, _, body = server.raw(b"GET\r\n\r\n").partition(b"\r\n\r\n")
                self.assertIn(b" 400 ", status)
                self.assertEqual(set(json.loads(body.decode("utf-8"))), set(shown))

    def test_no_retry_after(self):
        server = self.start("--no-retry-after", "--concurrency", "1", "--rate-limit", "3")
        server.submit("sh", "sleep 600")
        status, answer, headers = server.post("/execute", language="sh", code="")
        self.assertEqual((status, answer), (429, {
            "error": "concurrency_limit_reached", "message": "too many jobs at once",
            "active_executions": 1, "concurrency_limit": 1}))
        self.assertNotIn("Retry-After", headers)
        server.request("GET", "/jobs")
        status, answer, headers = server.request("GET", "/jobs")
        self.assertEqual((status, answer["error"]), (429, "rate_limit_exceeded"))
        self.assertEqual(("Retry-After" in headers, "retry_after" in answer), (False, False))

    def test_key_answers(self):
        server = self.start("--key-answers", "short", "--rate-limit", "9", "--concurrency", "3",
                            "--expired-key", "old")
        answer = server.request("POST", "/keys/validate", b"")[1]
        self.assertIsInstance(answer.pop("expires_at"), int)
        self.assertEqual(answer, {"valid": True, "tier": 1, "rate_limit": 9, "concurrency": 3})
        status, answer, _ = server.request("POST", "/keys/validate", b"", key="old")
        self.assertEqual((status, answer["valid"], answer["reason"]), (401, False, "expired"))
        self.assertIn("old", answer["renew_url"])
        status, answer, _ = server.request("GET", "/jobs", key="old")
        self.assertEqual((status, answer["error"], answer["reason"]),
                         (401, "invalid_api_key", "expired"))

    def test_binary_output(self):
        code = r"import os; os.write(1, b'a\xff\xe2\x82\"\\\x80\xc3\xa9')"
        body = json_body({"language": "python", "code": code})
        post = (b"POST /execute HTTP/1.1\r\nHost: x\r\n" + HttpTest.AUTH + b"Connection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
        for options, text in (
                ((), b'a\xef\xbf\xbd\xef\xbf\xbd\\"\\\\\xef\xbf\xbd\xc3\xa9'),
                (("--ascii",), b'a\\ufffd\\ufffd\\"\\\\\\ufffd\\u00e9'),
                (("--binary", "surrogates"), b'a\\udcff\\udce2\\udc82\\"\\\\\\udc80\xc3\xa9'),
                (("--binary", "surrogates", "--ascii"),
                 b'a\\udcff\\udce2\\udc82\\"\\\\\\udc80\\u00e9'),
                (("--binary", "raw"), b'a\xff\xe2\x82\\"\\\\\x80\xc3\xa9'),
                (("--binary", "raw", "--ascii"), b'a\xff\xe2\x82\\"\\\\\x80\\u00e9')):
            with self.subTest(options):
                self.assertIn(b'"stdout": "' + text + b'"', self.start(*options).raw(post))

    def test_raw_controls(self):
        code = r"print('\0\x01\x1f\x7f\t\b\\u0001\"\r\u00e9\U0001f600')"
        body = json_body({"language": "python", "code": code})
        answer = self.start("--raw-controls", "--ascii").raw(
            b"POST /execute HTTP/1.1\r\nHost: x\r\n" + HttpTest.AUTH + b"Connection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertIn(b'"\0\x01\x1f\x7f\t\b\\\\u0001\\"\r\\u00e9\\ud83d\\ude00\n"', answer)

    def test_fractions(self):
        server = self.start("--fractions")
        job = server.finish(server.submit("sh", "true"))
        for value, part in ((job["created_at"], 0.25), (job["completed_at"], 0.25),
                            (job["result"]["total_time_ms"], 0.7)):
            self.assertAlmostEqual(value % 1, part)

    def test_oddities(self):
        server = self.start("--odd", "success-number", "--odd", "time-text", "--odd", "lists")
        answer = server.execute("sh", "true")
        self.assertEqual((type(answer["success"]), answer["success"]), (int, 1))
        self.assertRegex(answer["total_time_ms"], r"\A\d+\Z")
        self.assertEqual(answer["artifacts"], {})
        self.assertEqual(server.request("GET", "/jobs")[1], {"jobs": {}})
        server = self.start("--odd", "no-success", "--odd", "null-items", "--odd", "status-word",
                            "--odd", "accepted-running")
        answer = server.execute("sh", "true")
        self.assertEqual((answer["artifacts"], "success" in answer), ([None], False))
        self.assertIsNone(server.languages()[-1])
        status, answer, _ = server.post("/execute/async", language="sh", code="")
        self.assertEqual((status, answer["status"]), (202, "running"))
        self.assertEqual(server.finish(answer["job_id"])["status"], "finished")
        server = self.start("--odd", "no-status", "--pending")
        job_id = server.post("/execute", language="sh", code="echo x")[1]["job_id"]
        wait_for(lambda: "status" not in server.job(job_id))
        self.assertEqual(server.job(job_id)["result"]["stdout"], "x\n")
        server = self.start("--odd", "success-text", "--odd", "bom", "--odd", "tail")
        answer = server.raw(HttpTest().get(fields=b"Connection: close\r\n"))
        self.assertTrue(answer.endswith(b'\r\n\r\n\xef\xbb\xbf{"jobs": []}\n\0 }] end\n'))

    def test_accept_extra(self):
        server = self.start("--accept-extra", "priority", "--accept-extra", "labels")
        answer = server.execute("sh", 'printf %s "$SANDBOXD_EXTRA"', priority=None,
                                labels={"a": [1, "\u00e9"]})
        self.assertEqual(json.loads(answer["stdout"]), {"priority": None,
                                                        "labels": {"a": [1, "\u00e9"]}})
        self.assertEqual(server.execute("sh", 'echo "$SANDBOXD_EXTRA"')["stdout"], "\n")
        self.assertEqual(server.post("/execute", language="sh", code="", color=1)[0], 400)

    def test_files_in_a_relative_directory(self):
        server = self.start("--files-in", "in/put")
        answer = server.execute("sh", 'cat in/put/x "$SANDBOXD_INPUT/x"; ls',
                                input_files=[{"filename": "x", "content": "eQo="}])
        self.assertEqual(answer["stdout"], "y\ny\nin\nmain.sh\n")

    def test_files_in_an_absolute_directory(self):
        with tempfile.TemporaryDirectory() as temp:
            place = os.path.join(temp, "deep", "input")
            server = self.start("--files-in", place)
            other = self.start("--files-in", place)
            code = 'cat "$SANDBOXD_INPUT/x"'
            if Runner().can_mount(place):
                code += "; sleep 0.2; cat %s/x" % place
            else: # where portable programs look, too
                code += "; sleep 0.2; cat x"
            # at once, with files of one name
            jobs = [(server if number % 2 else other, number) for number in range(6)]
            ids = [peer.submit("sh", code, input_files=[
                {"filename": "x", "content": base64.b64encode(b"%d" % number).decode("ascii")}])
                for peer, number in jobs]
            for (peer, number), job_id in zip(jobs, ids):
                result = peer.finish(job_id)["result"]
                self.assertEqual(result["stdout"], str(number) * code.count("cat"),
                                 result["stderr"])
            self.assertEqual(os.listdir(place), [])
            # whoever made the directory removes it, unless another server uses it still
            other.stop()
            self.assertTrue(os.path.exists(place))
            server.stop()
            self.assertFalse(os.path.exists(place))

    def test_files_in_may_not_hide_the_jobs(self):
        server = subprocess.run([sys.executable, os.path.join(HERE, "sandboxd.py"), "--files-in",
                                 tempfile.gettempdir()], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual((server.returncode, server.stdout), (1, b""))
        self.assertIn(b"--files-in", server.stderr)

    def test_restart(self):
        for options, seen in ((("--restart-after", "3"), [200, 503, 404]),
                              (("--restart-after-polls", "2"), [200, 200, 503, 404]),
                              (("--restart-after", "3", "--restart-silent"), [200, 404, 404])):
            with self.subTest(options):
                server = self.start(*options)
                server.request("GET", "/languages")
                job_id = server.submit("sh", "sleep 600")
                answers = [server.request("GET", "/jobs/" + job_id) for _ in seen]
                self.assertEqual([answer[0] for answer in answers], seen)
                for status, _, headers in answers:
                    self.assertNotIn("Retry-After", headers, status)
                job_id = server.submit("sh", "echo x")
                self.assertEqual(server.finish(job_id)["result"]["stdout"], "x\n")

    def test_restart_ends_what_ran(self):
        server = self.start("--restart-after", "1")
        with tempfile.TemporaryDirectory() as temp:
            lock = os.path.join(temp, "lock")
            connection = server.connect()
            body = json_body({"language": "python", "code": HOLD + "hold()", "env": {"LOCK": lock}})
            connection.request("POST", "/execute", body, {"Authorization": "Bearer " + KEY,
                                                          "Content-Type": "application/json"})
            wait_for(lambda: os.path.exists(lock + ".ready"))
            self.assertEqual(server.request("GET", "/jobs")[0], 503)
            with self.assertRaises((http.client.HTTPException, OSError)):
                connection.getresponse()
            connection.close()
            wait_for(lambda: lock_is_free(lock))
            self.assertEqual(server.request("GET", "/jobs")[1], {"jobs": []})

    def test_restart_ends_sessions_and_services(self):
        server = self.start("--restart-after", "2")
        session = server.post("/sessions")[1]["session_id"]
        service = server.post("/services", name="a")[1]["service_id"]
        self.assertEqual(server.request("GET", "/sessions/" + session)[0], 503)
        self.assertEqual(server.request("GET", "/sessions/" + session)[0], 404)
        self.assertEqual(server.request("GET", "/services/" + service)[0], 404)

    def test_storm(self):
        server = self.start("--storm", "2", "--early-404", "1")
        job_id = server.submit("sh", "true")
        answers = [server.request("GET", "/jobs/" + job_id) for _ in range(4)]
        self.assertEqual([answer[0] for answer in answers], [404, 429, 429, 200])
        for _, _, headers in answers:
            self.assertNotIn("Retry-After", headers)
        self.assertEqual([answer[1].get("error") for answer in answers[1:3]],
                         ["concurrency_limit_reached", "rate_limit_exceeded"])
        self.assertEqual((answers[1][1]["active_executions"],
                          answers[1][1]["concurrency_limit"]), (1, 1))

    def test_storm_every(self):
        with tempfile.TemporaryDirectory() as temp:
            journal = os.path.join(temp, "journal")
            server = self.start("--storm-every", "2", "--journal", journal)
            answers = [server.post("/execute", language="sh", code="echo") for _ in range(4)]
            self.assertEqual([answer[0] for answer in answers], [200, 429, 200, 429])
            with open(journal) as handle:
                self.assertEqual(len(handle.readlines()), 2)


class SessionTest(Case):
    OPTIONS = ("--key", KEY, "--key", "other-key")

    def open(self, **fields):
        status, answer, _ = self.server.post("/sessions", **fields)
        self.assertEqual((status, answer["status"]), (201, "running"), answer)
        self.addCleanup(self.server.request, "DELETE", "/sessions/" + answer["session_id"])
        return answer["session_id"]

    def command(self, session, command, key=KEY):
        return self.server.post("/sessions/%s/execute" % session, key=key, command=command)

    def check(self, session, command, stdout="", stderr="", exit_code=0):
        status, answer, _ = self.command(session, command)
        self.assertEqual((status, answer), (200, {"stdout": stdout, "stderr": stderr,
                                                  "exit_code": exit_code}))

    def shells(self):
        return [shell for shell in ("bash", "sh", "zsh") if shutil.which(shell)]

    def test_state_is_kept(self):
        for shell in self.shells():
            with self.subTest(shell):
                session = self.open(shell=shell)
                self.check(session, "NAME='a b'; f() { echo \"$NAME $1\"; }; mkdir -p d; cd d")
                self.check(session, "f x; basename \"$PWD\"; echo y >file", "a b x\nd\n")
                self.check(session, "cat file; echo err >&2; (exit 7)", "y\n", "err\n", 7)
                self.check(session, "false", exit_code=1)
                self.check(session, "cat; echo '\u00e9'", "\u00e9\n")
                self.check(session, "cat <<E\n1\n2\nE\necho 3", "1\n2\n3\n")
                status, answer, _ = self.command(session, "if (")
                self.assertEqual((status, answer["stdout"]), (200, ""))
                self.assertNotEqual((answer["exit_code"], answer["stderr"]), (0, ""))
                self.check(session, "printf '\\377'; echo $NAME", "\ufffda b\n")

    def test_sessions_are_apart(self):
        first, second = self.open(), self.open()
        self.check(first, "A=1; echo x >file")
        self.check(second, "echo \"<$A>\"; ls", "<>\n")
        listed = self.server.request("GET", "/sessions")[1]
        self.assertEqual(listed["count"], len(listed["sessions"]))
        self.assertTrue({first, second} <= {item["id"] for item in listed["sessions"]})
        self.assertEqual(self.server.request("GET", "/sessions", key="other-key")[1],
                         {"sessions": [], "count": 0})
        for answer in (self.server.request("GET", "/sessions/" + first, key="other-key"),
                       self.server.request("DELETE", "/sessions/" + first, key="other-key"),
                       self.command(first, "true", key="other-key"),
                       self.command("nothing", "true")):
            self.assert_error(answer, 404, "session_not_found")

    def test_request(self):
        session = self.open(network_mode="semitrusted", ttl=0, multiplexer="tmux", vcpu=2,
                            input_files=[{"filename": "x", "content": "eQo="}])
        self.check(session, "cat x; echo $SANDBOXD_VCPU", "y\n2\n")
        self.assertNotIn("remaining_ttl", self.server.request("GET", "/sessions/" + session)[1])
        for fields, error in (({"ttl": -1}, "invalid_field"), ({"ttl": 86401}, "invalid_field"),
                              ({"shell": "fish"}, "invalid_field"), ({"vcpu": 9}, "invalid_field"),
                              ({"shell": []}, "invalid_field"),
                              ({"multiplexer": "x"}, "invalid_field"),
                              ({"network_mode": "x"}, "invalid_field"), ({"name": "x"},
                                                                         "unknown_field")):
            self.assert_error(self.server.post("/sessions", **fields), 400, error)
        for fields, error in (({}, "missing_field"), ({"command": ""}, "invalid_field"),
                              ({"command": 1}, "invalid_field"), ({"command": "\0"},
                                                                  "invalid_field"),
                              ({"command": "true", "ttl": 1}, "unknown_field")):
            answer = self.server.post("/sessions/%s/execute" % session, **fields)
            self.assert_error(answer, 400, error)
        self.assertEqual(self.server.post("/sessions?audit=1")[0], 201)
        self.assert_error(self.server.post("/sessions?x=1"), 400, "invalid_query")

    def test_shell_that_ends(self):
        session = self.open()
        self.check(session, "echo x; exit 3", "x\n", exit_code=3)
        self.assert_error(self.command(session, "true"), 409, "session_not_running")
        self.assertEqual(self.server.request("GET", "/sessions/" + session)[1]["status"],
                         "terminated")

    def test_time_limit(self):
        session = self.open(ttl=1)
        self.check(session, "echo x; sleep 600", "x\n", exit_code=124)
        self.assert_error(self.command(session, "true"), 409, "session_not_running")

    def test_delete_ends_everything(self):
        lock = self.lock_path()
        session = self.open()
        with tempfile.NamedTemporaryFile("w", suffix=".py", dir=self.temp) as program:
            program.write(HOLD + "if os.fork() == 0:\n    os.setsid()\n    hold()\n")
            program.flush()
            self.check(session, "LOCK=%s %s %s" % (lock, sys.executable, program.name))
            wait_for(lambda: os.path.exists(lock + ".ready"))
        self.check(session, "echo still there", "still there\n")
        status, answer, _ = self.server.request("DELETE", "/sessions/" + session)
        self.assertEqual((status, answer["session_id"]), (200, session))
        self.check_released(lock)
        self.assert_error(self.command(session, "true"), 404, "session_not_found")

    def test_limit(self):
        made = []
        for _ in range(17):
            status, answer, _ = self.server.post("/sessions", key="other-key")
            if status != 201:
                break
            made.append(answer["session_id"])
        self.assertEqual((status, len(made), answer["concurrency_limit"]), (429, 16, 16))
        for session in made:
            self.server.request("DELETE", "/sessions/" + session, key="other-key")
        status, answer, _ = self.server.post("/sessions", key="other-key")
        self.assertEqual(status, 201)
        self.server.request("DELETE", "/sessions/" + answer["session_id"], key="other-key")

    def test_output_limit_and_journal(self):
        with tempfile.TemporaryDirectory() as temp:
            journal = os.path.join(temp, "journal")
            server = Sandboxd("--max-output", "1000", "--journal", journal)
            self.addCleanup(server.stop)
            session = server.post("/sessions")[1]["session_id"]
            target = "/sessions/%s/execute" % session
            answer = server.post(target, command="while :; do echo 123456789; done")[1]
            self.assertEqual((len(answer["stdout"]), answer["exit_code"]), (1000, 137))
            self.assertEqual(server.post(target, command="true")[0], 409)
            with open(journal) as handle:
                (line,) = handle.read().splitlines()
            self.assertEqual(line.split()[0], session)

    def test_in_the_live_dialect(self):
        server = Sandboxd("--dialect", "live", "--binary", "surrogates", "--files-in", "in")
        self.addCleanup(server.stop)
        answer = server.post("/sessions", ttl=60, input_files=[{"content": "eA=="}])[1]
        self.assertRegex(answer["created_at"], LiveTest.TIME)
        self.assertRegex(answer["expires_at"], LiveTest.TIME)
        target = "/sessions/%s/execute" % answer["session_id"]
        self.assertEqual(server.post(target, command="cat in/0; printf '\\377'")[1],
                         {"stdout": "x\udcff", "stderr": "", "exit_code": 0})


class ServiceTest(Case):
    OPTIONS = ("--key", KEY, "--key", "other-key")

    def open(self, name, **fields):
        status, answer, _ = self.server.post("/services", name=name, **fields)
        self.assertEqual((status, answer["state"]), (201, "running"), answer)
        self.addCleanup(self.server.request, "DELETE", "/services/" + answer["service_id"])
        return answer["service_id"]

    def command(self, service, command, **fields):
        status, answer, _ = self.server.post("/services/%s/execute" % service, command=command,
                                             **fields)
        self.assertEqual((status, list(answer)), (202, ["job_id"]), answer)
        return answer["job_id"]

    def run_command(self, service, command, **fields):
        return self.server.finish(self.command(service, command, **fields))

    def test_commands_are_jobs_with_files_in_common(self):
        service = self.open("web", ports=[80], vcpu=2, bootstrap="sleep 0.1; echo b >boot",
                            input_files=[{"filename": "x", "content": "eQo="}])
        job = self.run_command(service, "cat x; A=1; echo kept >file; echo $SANDBOXD_VCPU >&2; "
                               "exit 4")
        result = job["result"]
        self.assertEqual((job["status"], result["stdout"], result["stderr"], result["exit_code"]),
                         ("completed", "y\n", "2\n", 4))
        for content in ("eg==", "ego="):
            result = self.run_command(service, "while ! test -s boot; do sleep 0.1; done; cat "
                                      "boot file x; echo $A", input_files=[
                                          {"filename": "x", "content": content}])["result"]
        self.assertEqual(result["stdout"], "b\nkept\nz\n\n")
        (item,) = self.server.request("GET", "/services")[1]["services"]
        self.assertEqual(item, {"id": service, "name": "web", "state": "running", "ports": [80]})
        self.assertEqual(self.server.request("GET", "/services/" + service)[1], item)

    def test_timeout_is_in_milliseconds(self):
        service = self.open("slow")
        job = self.run_command(service, "echo x; sleep 600", timeout=300)
        self.assertEqual((job["status"], job["result"]["stdout"]), ("timeout", "x\n"))
        self.assertEqual(job["error"], "execution timed out after 0.3 s")

    def test_refusals(self):
        service = self.open("one")
        self.assert_error(self.server.post("/services", name="one"), 409, "name_taken")
        for fields, error in (({}, "missing_field"), ({"name": ""}, "invalid_field"),
                              ({"name": "a", "ports": [0]}, "invalid_field"),
                              ({"name": "a", "ports": 80}, "invalid_field"),
                              ({"name": "a", "color": 1}, "unknown_field")):
            self.assert_error(self.server.post("/services", **fields), 400, error)
        target = "/services/%s/execute" % service
        for fields in ({"command": "x", "timeout": 0}, {"command": "x", "timeout": 900001},
                       {"command": "x", "timeout": "1"}, {"command": ""}):
            self.assert_error(self.server.post(target, **fields), 400, "invalid_field")
        self.assert_error(self.server.post(target, key="other-key", command="x"), 404,
                          "service_not_found")
        self.assertEqual(self.server.request("GET", "/services", key="other-key")[1]["count"], 0)

    def test_delete_ends_its_jobs(self):
        lock = self.lock_path()
        service = self.open("gone", input_files=[
            {"filename": "hold.py", "content": base64.b64encode(
                (HOLD + "hold()").encode("ascii")).decode("ascii")}])
        job_id = self.command(service, "LOCK=%s %s hold.py" % (lock, sys.executable))
        wait_for(lambda: os.path.exists(lock + ".ready"))
        status, answer, _ = self.server.request("DELETE", "/services/" + service)
        self.assertEqual((status, answer["service_id"]), (200, service))
        self.check_released(lock)
        self.assertEqual(self.server.job(job_id)["status"], "cancelled")
        self.assert_error(self.server.request("GET", "/services/" + service), 404,
                          "service_not_found")


class SudoTest(Case):
    OPTIONS = ("--sudo", "123456", "--delete-204")

    def test_challenge(self):
        for kind, fields in (("session", {}), ("service", {"name": "a"})):
            with self.subTest(kind):
                ids = [self.server.post("/%ss" % kind, **dict(fields, **extra))[1][kind + "_id"]
                       for extra in ({}, {"name": "b"} if fields else {})]
                targets = ["/%ss/%s" % (kind, name) for name in ids]

                def delete(target, code=None, challenge=None):
                    headers = {"X-Sudo-OTP": code, "X-Sudo-Challenge": challenge}
                    return self.server.request("DELETE", target, headers={
                        name: value for name, value in headers.items() if value is not None})

                challenges = []
                for target in targets:
                    answer = delete(target)
                    self.assert_error(answer, 428, "sudo_required")
                    challenges.append(answer[1]["challenge_id"])
                first, second = challenges
                for code, challenge, error in (("123456", second, "invalid_challenge"),
                                               ("123456", "x", "invalid_challenge"),
                                               ("123456", None, "invalid_challenge"),
                                               (None, first, "invalid_otp"),
                                               ("654321", first, "invalid_otp")):
                    self.assert_error(delete(targets[0], code, challenge), 403, error)
                self.assertEqual(self.server.request("GET", targets[0])[0], 200)
                for target, challenge in zip(targets, challenges):
                    self.assertEqual(delete(target, "123456", challenge)[:2], (204, b""))
                    self.assertEqual(self.server.request("GET", target)[0], 404)


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("openssl is not installed")
        cls.temp = tempfile.mkdtemp(prefix="sandboxd-test-")
        cls.cert = os.path.join(cls.temp, "cert.pem")
        key = os.path.join(cls.temp, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", cls.cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.server = Sandboxd("--tls", cls.cert, key, "--host", "localhost")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.temp)

    def connect(self):
        context = ssl.create_default_context(cafile=self.cert)
        return http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=PATIENCE,
                                           context=context)

    def test_requests(self):
        self.assertTrue(self.server.url.startswith("https://127.0.0.1:"))
        connection = self.connect()
        for size in (10, 3000000):
            body = json_body({"language": "python", "code": "print('x' * %d)" % size})
            status, answer, _ = exchange(connection, "POST", "/execute", body)
            self.assertEqual((status, len(answer["stdout"])), (200, size + 1))
        body = json_body({"language": "sh", "code": "wc -c <0", "input_files": [
            {"content": base64.b64encode(bytes(5 * MEGABYTE)).decode("ascii")}]})
        self.assertEqual(exchange(connection, "POST", "/execute", body)[1]["stdout"].strip(),
                         str(5 * MEGABYTE))
        connection.close()

    def test_large_refused_body(self):
        connection = self.connect()
        status, answer, _ = exchange(connection, "POST", "/execute", b" " * (33 * MEGABYTE))
        self.assertEqual((status, answer["error"]), (413, "request_too_large"))
        connection.close()

    def test_end_is_announced(self):
        context = ssl.create_default_context(cafile=self.cert)
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname="localhost",
                                     suppress_ragged_eofs=False) as sock:
                sock.sendall(b"GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertTrue(receive_all(sock).startswith(b"HTTP/1.1 401 "))

    def test_plain_http_does_no_harm(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            try:
                receive_all(sock)
            except ConnectionError:
                pass
        self.test_requests()


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.mkdtemp(prefix="sandboxd-test-")
        self.addCleanup(shutil.rmtree, self.temp, True)

    def run_server(self, *options):
        return subprocess.run([sys.executable, os.path.join(HERE, "sandboxd.py"), *options],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE)

    def test_loopback_only(self):
        for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", "::ffff:127.0.0.1", "",
                     "128.0.0.1"):
            done = self.run_server("--host", host)
            self.assertEqual((done.returncode, done.stdout), (2, b""), host)
            self.assertIn(b"loopback addresses only", done.stderr)

    def test_other_loopback_addresses(self):
        for host in ("127.0.0.2", "::1"):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.bind((host, 0))
            except OSError:
                continue
            server = Sandboxd("--host", host)
            try:
                self.assertEqual(server.host, host)
                self.assertEqual(server.request("GET", "/jobs")[0], 200)
            finally:
                server.stop()

    def test_wrong_options(self):
        for options in (["--port", "70000"], ["--workers", "0"], ["--fail-first", "1", "200"],
                        ["--tls", "only-one"]):
            self.assertEqual(self.run_server(*options).returncode, 2)

    def test_port_in_use(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(1)
            done = self.run_server("--port", str(sock.getsockname()[1]))
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"cannot start", done.stderr)

    def start_holder(self):
        lock = os.path.join(self.temp, "lock")
        server = Sandboxd(temp=self.temp)
        server.submit("python", HOLD + "if os.fork() == 0:\n    os.setsid()\n    hold()\nhold()",
                      env={"LOCK": lock})
        server.submit("sh", "sleep 600")
        wait_for(lambda: os.path.exists(lock + ".ready"))
        session = server.post("/sessions")[1]["session_id"]
        service = server.post("/services", name="a")[1]["service_id"]
        program = os.path.join(self.temp, "hold.py")
        with open(program, "w") as handle:
            handle.write(HOLD + "if os.fork() == 0:\n    os.setsid()\n    hold()\n")
        for number, target in enumerate(("/sessions/" + session, "/services/" + service)):
            command = "LOCK=%s%d %s %s; echo x" % (lock, number, sys.executable, program)
            server.post(target + "/execute", command=command + ("; sleep 600" * number))
            wait_for(lambda: os.path.exists("%s%d.ready" % (lock, number)))
        return server, (lock, lock + "0", lock + "1")

    def check_signal(self, number):
        server, locks = self.start_holder()
        idle = socket.create_connection((server.host, server.port), timeout=PATIENCE)
        server.process.send_signal(number)
        self.assertEqual(server.process.wait(PATIENCE), 0)
        server.process.stdout.close()
        idle.close()
        wait_for(lambda: all(map(lock_is_free, locks)))
        self.assertEqual([name for name in os.listdir(self.temp) if name.startswith("sandboxd-")],
                         [])

    def test_sigterm(self):
        self.check_signal(signal.SIGTERM)

    def test_sigint(self):
        self.check_signal(signal.SIGINT)

    def test_sigkill_takes_the_jobs_along(self):
        runner = Runner()
        if not runner.pid_namespace or not any("setpriv" in word for word in runner.open_network):
            self.skipTest("needs PID namespaces and setpriv")
        server, locks = self.start_holder()
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()
        wait_for(lambda: all(map(lock_is_free, locks)))

    def test_exit_with_parent(self):
        code = ("import subprocess, sys\n"
                "p = subprocess.Popen([sys.executable, sys.argv[1], '--exit-with-parent'],"
                " stdout=subprocess.PIPE)\n"
                "sys.stdout.write(p.stdout.readline().decode())\n")
        done = subprocess.run([sys.executable, "-c", code, os.path.join(HERE, "sandboxd.py")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE)
        port = int(done.stdout.rpartition(b":")[2])

        def refused():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
            except ConnectionRefusedError:
                return True
            return False
        wait_for(refused)

    def test_says_that_it_is_no_sandbox(self):
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "sandboxd.py"), "--quiet"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        line = process.stdout.readline()
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertRegex(line, rb"\Asandboxd: listening on http://127\.0\.0\.1:[0-9]+\n\Z")
        self.assertEqual(out, b"")
        self.assertEqual(err.count(b"\n"), 1)
        self.assertIn(b"no sandbox", err)

    def test_imports_leave_nothing_in_the_tree(self):
        self.assertFalse(os.path.exists(os.path.join(HERE, "__pycache__")))


if __name__ == "__main__":
    unittest.main()
