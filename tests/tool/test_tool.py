#!/usr/bin/env python3
"""Drives examples/unsb.c as people and scripts do: against the local service, against services that
misbehave by a script, and on a terminal of its own (a pty).

    UNSB_TOOL=examples/build/unsb python3 -B test_tool.py [-v] [NAME ...]

UNSB_TOOL may be several words ("wine unsb.exe"); what needs POSIX is then left out by tool.sh,
which names what to run. UNSB_TOOL_LONG=1 adds what takes long. UNSB_TEST_PKI: a directory with
ca.pem, localhost.pem and localhost.key (see tests/lib.sh)."""

import base64
import http.server
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = [os.path.abspath(word) if os.path.exists(word) else word
        for word in shlex.split(os.environ.get("UNSB_TOOL", "examples/build/unsb"))]
PKI = os.environ.get("UNSB_TEST_PKI")
LONG = os.environ.get("UNSB_TOOL_LONG") == "1"
PUBLIC, SECRET = "unsb-pk-tests-tools-tests-12345", "unsb-sk-tests-tools-tests-54321"
PATIENCE = 120  # for what ends at once; a bound, not a measure


def long(test):
    """A test that is there only if what takes long is wanted."""
    return test if LONG else None


class Service:
    """The local service, with keys of its own."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "..", "sandboxd", "sandboxd.py"), "--quiet",
             "--exit-with-parent", "--key-pair", PUBLIC, SECRET, *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("sandboxd: listening on "), line
        self.url = line.split()[-1]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()
        self.process.stdout.close()


class Scripted:
    """A service that answers each request as `answer(method, path, body)` says: (status, bytes), or
    None: never. `requests` has what came; `heads` their fields."""

    def __init__(self, answer):
        owner = self
        self.requests, self.heads, self.release = [], [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                owner.heads.append(self.headers)
                owner.requests.append((self.command, self.path, body))
                reply = answer(self.command, self.path, body)
                if reply is None:
                    owner.release.wait(PATIENCE)
                    self.close_connection = True
                    return
                status, data = reply
                if not isinstance(data, bytes):
                    data = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = do_PUT = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def methods(self):
        return [method + " " + path for method, path, _ in self.requests]

    def stop(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def result_of(**members):
    """A job's answer, completed."""
    base = {"job_id": "job_1", "status": "completed", "success": True, "stdout": "", "stderr": "",
            "exit_code": 0, "language": "python", "artifacts": [], "total_time_ms": 5}
    base.update(members)
    return base


def scripted_job(outcome, status=200):
    """A service whose one job ends with `outcome`."""
    def answer(method, path, _):
        if method == "POST":
            return 202, {"job_id": "job_1", "status": "pending"}
        return status, outcome
    return Scripted(answer)


class Case(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.service = Service(*cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="unsb-tool-")
        self.addCleanup(shutil.rmtree, self.dir)

    def environment(self, url=None, **more):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("UNSANDBOX_") and name.lower() not in
               ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "no_color", "unsb_tool")}
        home = os.environ["HOME"] if "wine" in TOOL[0] else self.dir
        env.update(UNSANDBOX_URL=url or self.service.url, UNSANDBOX_PUBLIC_KEY=PUBLIC,
                   UNSANDBOX_SECRET_KEY=SECRET, HOME=home, TERM="xterm")
        env.update(more)
        return {name: value for name, value in env.items() if value is not None}

    def tool(self, *arguments, stdin=b"", url=None, env=None, **keywords):
        keywords.setdefault("stdout", subprocess.PIPE)
        keywords.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([*TOOL, *arguments], input=stdin, cwd=self.dir, timeout=PATIENCE * 2,
                              env=self.environment(url, **(env or {})), **keywords)

    def start(self, *arguments, url=None, env=None, **keywords):
        keywords.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([*TOOL, *arguments], cwd=self.dir, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   env=self.environment(url, **(env or {})), **keywords)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def scripted(self, answer):
        service = answer if isinstance(answer, Scripted) else Scripted(answer)
        self.addCleanup(service.stop)
        return service

    def write(self, name, content, mode=None):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        if mode is not None:
            os.chmod(path, mode)
        return path

    def ends(self, done, status, out=None, err=None):
        shown = (done.returncode, done.stdout[-500:] if done.stdout else done.stdout,
                 done.stderr[-500:] if done.stderr else done.stderr)
        self.assertEqual(done.returncode, status, shown)
        if out is not None:
            self.assertEqual(done.stdout, out, shown)
        if err is not None:
            self.assertRegex(done.stderr.decode("utf-8", "replace"), err)
        return done

    def until(self, condition, what):
        limit = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.02)

    def jobs(self, url=None):
        return json.loads(self.ends(self.tool("jobs", "--json", url=url), 0).stdout)["jobs"]


class Running(Case):
    """What runs, and what comes of it."""

    def test_code(self):
        done = self.ends(self.tool("-s", "python", "print(6 * 7)"), 0, b"42\n")
        self.assertRegex(done.stderr, rb"\Aunsb: job (\S+) \(later: unsb wait \1\)\r?\n\Z")

    def test_quiet(self):
        self.ends(self.tool("-q", "-s", "python", "print(1)"), 0, b"1\n", r"\A\Z")

    def test_file_by_extension(self):
        self.write("hello.py", "import sys\nprint('out')\nprint('err', file=sys.stderr)\n")
        self.ends(self.tool("-q", "hello.py"), 0, b"out\n", r"\Aerr\n\Z")

    def test_file_by_shebang(self):
        for line in ("#!/usr/bin/python3", "#!/usr/bin/env python3.11", "#! /usr/bin/env -S A=1 "
                     "python3 -u", "#!/bin/sh\nexec echo ok #"):
            self.write("script", line + "\nprint('ok')\n")
            self.ends(self.tool("-q", "script"), 0, b"ok\n")

    def test_interpreter_that_only_the_service_knows(self):
        service = self.scripted(scripted_job(result_of(stdout="there")))
        self.write("script", "#!/usr/bin/odd-thing\nx\n")
        self.ends(self.tool("-q", "script", url=service.url), 0, b"there")
        self.assertEqual(service.methods()[0], "POST /run/async")
        done = self.tool("-f", "script", "script", url=service.url)
        self.ends(done, 64, b"", "tells its language")

    def test_stdin(self):
        self.ends(self.tool("-q", "-", stdin=b"#!/usr/bin/env python3\nprint(5)\n"), 0, b"5\n")
        self.ends(self.tool("-q", "-s", "python", "-", stdin=b"print(6)"), 0, b"6\n")
        self.ends(self.tool("-", stdin=b"print(6)"), 64, b"", "language")
        self.ends(self.tool("-s", "python", "-", stdin=b""), 65, b"", "no code")

    def test_exit_status(self):
        for code in (1, 3, 64, 124, 255):
            done = self.tool("-q", "-s", "python", "import sys; sys.exit(%d)" % code)
            self.ends(done, code, b"", r"\A\Z")
        done = self.tool("-q", "-s", "sh", "kill -9 $$")
        self.ends(done, 137, b"")

    def test_odd_exit_codes(self):
        for code, status in ((256, 1), (-1073741819, 5), (3221225477, 5), (-11, 139), (300, 44)):
            service = self.scripted(scripted_job(result_of(exit_code=code, success=False)))
            self.ends(self.tool("-q", "-s", "c", "x", url=service.url), status)

    def test_environment_and_files(self):
        self.write("a.txt", "of a\n")
        os.mkdir(os.path.join(self.dir, "sub"))
        self.write("sub/b.bin", bytes(range(256)))
        code = ("import os\n"
                "def find(n): return [p for p in (n, '/tmp/input/' + n, '/root/input/' + n)"
                " if os.path.exists(p)][0]\n"
                "print(os.environ['NAME'], os.environ['EMPTY'] == '', os.environ['X'])\n"
                "print(open(find('a.txt')).read(), open(find('b.bin'), 'rb').read() =="
                " bytes(range(256)))\n")
        done = self.tool("-q", "-s", "python", code, "-e", "NAME=a=b \u20ac", "-eEMPTY=",
                         "--env=X=y", "-f", "a.txt", "--file", "sub/b.bin",
                         env={"PYTHONIOENCODING": "utf-8"})
        self.ends(done, 0, "a=b \u20ac True y\nof a\n True\n".encode())

    def test_options_reach_the_service(self):
        service = self.scripted(scripted_job(result_of()))
        self.ends(self.tool("-n", "semitrusted", "-v4", "--ttl", "77", "-a", "--wasm", "-s", "c",
                            "int x;", url=service.url), 73, err="sent no artifact")
        sent = json.loads(service.requests[0][2])
        self.assertEqual((sent["network_mode"], sent["vcpu"], sent["ttl"], sent["return_artifact"],
                          sent["return_wasm_artifact"], sent["language"], sent["code"]),
                         ("semitrusted", 4, 77, True, True, "c", "int x;"))
        self.assertEqual(service.methods(), ["POST /execute/async", "GET /jobs/job_1"])

    def test_ttl(self):
        done = self.tool("-q", "-t", "1", "-s", "python",
                         "import time; print('begun', flush=True); time.sleep(60)")
        self.ends(done, 124, b"begun\n", "longer than its ttl of 1 s")

    @long
    def test_output_that_is_no_text(self):
        data = bytes(range(256)) * 40 + "\u20ac\U0001F600".encode() + b"\xff\xc3"
        code = "import sys; sys.stdout.buffer.write(%r); sys.stderr.buffer.write(%r)" % (data, data)
        for how in ("surrogates", "raw"):
            service = Service("--binary", how)
            self.addCleanup(service.stop)
            self.write("odd.py", code)
            done = self.ends(self.tool("-q", "odd.py", url=service.url), 0, data)
            self.assertEqual(done.stderr, data)
            made = json.loads(self.tool("--json", "odd.py", url=service.url).stdout)
            self.assertEqual(base64.b64decode(made["stdout_base64"]), data)
            self.assertNotIn("stdout", made)

    def test_much_output(self):
        done = self.tool("-q", "-s", "python", "print('0123456789' * 1000000)")
        self.ends(done, 0, b"0123456789" * 1000000 + b"\n")

    def test_huge_argument(self):
        size = 20000 if "wine" in TOOL[0] else 120000  # Windows' limit is 32767
        code = "print(len('%s'))" % ("x" * size)
        self.ends(self.tool("-q", "-s", "python", code), 0, b"%d\n" % size)

    def test_json(self):
        code = "import sys; print('o\"\u20ac'); print('e', file=sys.stderr); sys.exit(4)"
        done = self.ends(self.tool("--json", "-q", "-s", "python", code), 4, err=r"\A\Z")
        made = json.loads(done.stdout)
        self.assertEqual((made["stdout"], made["stderr"], made["exit_code"], made["success"],
                          made["status"], made["exit_status"]),
                         ("o\"\u20ac\n", "e\n", 4, False, "completed", 4))

    def test_async_job_wait(self):
        done = self.tool("--async", "-s", "python", "print(7); import sys; sys.exit(9)")
        job = self.ends(done, 0, err="unsb wait").stdout.decode().strip()
        self.ends(self.tool("-q", "wait", job), 9, b"7\n")
        self.ends(self.tool("-q", "wait", job), 9, b"7\n")  # as often as one likes
        text = self.ends(self.tool("job", job), 0).stdout.decode()
        self.assertRegex(text, r"(?m)^job_id +%s\r?$" % re.escape(job))
        self.assertRegex(text, r"(?m)^status +completed\r?$")
        self.assertRegex(text, r"(?m)^exit_code +9\r?$")
        made = json.loads(self.ends(self.tool("job", "--json", job), 0).stdout)
        self.assertEqual((made["stdout"], made["exit_code"]), ("7\n", 9))
        made = json.loads(self.tool("--async", "--json", "-s", "python", "1").stdout)
        self.assertIn(made["status"], ("pending", "running"))

    def test_jobs_and_cancel(self):
        done = self.tool("-q", "--async", "-s", "python",
                         "import time; print('begun', flush=True); time.sleep(300)")
        job = self.ends(done, 0, err=r"\A\Z").stdout.decode().strip()
        self.assertIn(job, self.tool("jobs").stdout.decode())
        self.assertIn(job, [item["job_id"] for item in self.jobs()])
        self.ends(self.tool("wait", "-t", "1", job), 75, b"", "unsb wait")
        self.ends(self.tool("cancel", job), 0, err="job %s cancelled" % job)
        self.assertNotIn(job, [item["job_id"] for item in self.jobs()])
        self.ends(self.tool("wait", job), 130, err="was cancelled")
        self.ends(self.tool("cancel", job), 65, b"", "has ended")

    def test_languages(self):
        names = self.ends(self.tool("languages"), 0).stdout.decode().split("\n")
        self.assertIn("python", [name.strip() for name in names])
        made = json.loads(self.tool("languages", "--json").stdout)["languages"]
        self.assertIn({"name": "python"}, made)

    def test_key(self):
        self.assertRegex(self.ends(self.tool("key"), 0).stdout, rb"(?m)^valid +yes\r?$")
        self.assertIs(json.loads(self.tool("key", "--json").stdout)["valid"], True)
        done = self.tool("key", "-k", "unsb-sk-wrong-wrong-wrong-wrong")
        self.assertEqual(done.returncode, 77, done)

    def test_request(self):
        made = json.loads(self.ends(self.tool("request", "GET", "/languages"), 0).stdout)
        self.assertIn("python", made["languages"])
        body = json.dumps({"language": "python", "code": "print(1)"})
        made = json.loads(self.ends(self.tool("request", "POST", "/execute", "-d", body), 0).stdout)
        self.assertEqual(made["stdout"], "1\n")
        self.write("body", body)
        for stdin, name in ((b"", "@body"), (body.encode(), "@-")):
            done = self.tool("request", "POST", "/execute", "-d", name, stdin=stdin)
            self.assertEqual(json.loads(self.ends(done, 0).stdout)["stdout"], "1\n")
        done = self.tool("request", "GET", "/nowhere")
        self.ends(done, 66, err="404")
        self.assertIn("error", json.loads(done.stdout))
        service = self.scripted(lambda *_: (200, b"ok"))
        self.ends(self.tool("request", "PUT", "/x?y=z", "-H", "X-Sudo-OTP: 12 34", "-d", "b",
                            url=service.url), 0, b"ok")
        self.assertEqual(service.requests, [("PUT", "/x?y=z", b"b")])
        self.assertEqual(service.heads[0]["X-Sudo-OTP"], "12 34")

    def test_accounts(self):
        os.mkdir(os.path.join(self.dir, ".unsandbox"))
        self.write(".unsandbox/accounts.csv",
                   "unsb-pk-other-other-other-other,unsb-sk-wrong-wrong-wrong-wrong\n%s,%s\n"
                   % (PUBLIC, SECRET))
        none = {"UNSANDBOX_PUBLIC_KEY": None, "UNSANDBOX_SECRET_KEY": None}
        self.ends(self.tool("-q", "--account", "1", "-s", "python", "print(1)", env=none), 0)
        self.ends(self.tool("--account", "0", "-s", "python", "print(1)", env=none), 77)
        # beside the environment's keys, too
        self.ends(self.tool("--account", "0", "-s", "python", "print(1)"), 77)
        self.ends(self.tool("--account", "7", "-s", "python", "print(1)"), 78, b"")
        self.ends(self.tool("-q", "-p", PUBLIC, "-k", SECRET, "-s", "python", "print(1)", env=none),
                  0)


class RunningLive(Running):
    """The same with the service as it answers today."""
    options = ("--dialect", "live", "--signed-only", "--files-in", "input")

    test_environment_and_files = None  # where they land is the service's; the page's class has it
    test_output_that_is_no_text = None  # it starts services of its own

    def test_request(self):
        body = json.dumps({"language": "python", "code": "print(1)"})
        made = json.loads(self.ends(self.tool("request", "POST", "/execute", "-d", body), 0).stdout)
        self.assertEqual(made["status"], "pending")

    def test_key(self):
        self.assertRegex(self.ends(self.tool("key"), 0).stdout, rb"(?m)^rate_per_minute|^valid")
        done = self.tool("key", "-k", "unsb-sk-wrong-wrong-wrong-wrong")
        self.assertEqual(done.returncode, 77, done)


class Mistakes(Case):
    """What is wrong before anything is sent, or in what the service answers."""

    def test_usage(self):
        for arguments in ((), ("-s",), ("-s", "python"), ("--nope",), ("-Z",), ("--json=1", "x"),
                          ("-t", "0", "x"), ("-t", "901", "x"), ("-t", "9" * 50, "x"),
                          ("-t", "", "x"), ("-t", "1x", "x"), ("-v", "9", "x"),
                          ("-n", "free", "x"), ("-e", "A", "x"), ("-e", "=b", "x"),
                          ("-H", "x", "key"), ("x.py", "y"), ("jobs", "x"), ("job",),
                          ("wait", "a", "b"), ("cancel",), ("request", "GET"), ("-A", "x"),
                          ("-k", "s" * 300, "x"), ("request", "GET", "/x", "y")):
            done = self.tool(*arguments)
            self.ends(done, 64, b"", r"\Aunsb: ")
        self.ends(self.tool("request", "GET", "no-slash"), 64, b"")
        self.ends(self.tool("wait", ".."), 64, b"")
        self.ends(self.tool("wait", "x" * 100), 64, b"")

    def test_help(self):
        done = self.ends(self.tool("--help"), 0, err=r"\A\Z")
        self.assertIn(b"usage: unsb", done.stdout)
        for option in re.findall(rb"--[a-z-]+", done.stdout):
            self.assertNotIn(b"no option", self.tool(option.decode()).stderr)
        self.assertRegex(self.ends(self.tool("--version"), 0).stdout, rb"\Aunsb [0-9.]+\r?\n\Z")

    def test_options_end(self):
        self.write("-x.py", "print(3)")
        self.ends(self.tool("-q", "--", "-x.py"), 0, b"3\n")
        self.write("jobs", "#!/usr/bin/env python3\nprint(4)")
        self.ends(self.tool("-q", "./jobs"), 0, b"4\n")

    def test_files_that_are_none(self):
        os.mkdir(os.path.join(self.dir, "d.py"))
        self.ends(self.tool("missing.py"), 66, b"", "missing.py: No such file")
        self.ends(self.tool("d.py"), 66, b"", "d.py: ")
        self.ends(self.tool("-s", "python", "1", "-f", "missing"), 66, b"", "missing: No such file")
        self.ends(self.tool("-s", "python", "1", "-f", "d.py"), 66, b"", "d.py: ")
        self.write("big", b"x" * (5 * 1024 * 1024 + 1))
        self.ends(self.tool("-s", "python", "1", "-f", "big"), 65, b"", "big: larger than")
        self.write("a", "x")
        self.ends(self.tool("-s", "python", "1", "-f", "a", "-f", "./a"), 64, b"", "same name")
        many = [word for i in range(11) for word in ("-f", self.write("f%d" % i, "x"))]
        self.ends(self.tool("-s", "python", "1", *many), 65, b"", "more than 10")

    def test_code_that_is_no_text(self):
        self.write("x.py", b"print('\xff')")
        self.ends(self.tool("x.py"), 65, b"", "UTF-8")
        if "wine" not in TOOL[0]:
            self.ends(self.tool("-s", "python", b"print('\xff')"), 65, b"", "UTF-8")
            self.ends(self.tool("-s", "python", "1", "-e", b"A=\xff"), 65, b"", "UTF-8")
        self.write("x.zzz", "print(1)")
        self.ends(self.tool("x.zzz"), 64, b"", "language")

    def test_keys(self):
        none = {"UNSANDBOX_PUBLIC_KEY": None, "UNSANDBOX_SECRET_KEY": None}
        self.ends(self.tool("-s", "python", "1", env=none), 78, b"", "key")
        wrong = {"UNSANDBOX_SECRET_KEY": "unsb-sk-wrong-wrong-wrong-wrong"}
        done = self.ends(self.tool("--json", "-s", "python", "1", env=wrong), 77, err="401")
        error = json.loads(done.stdout)["error"]
        self.assertEqual((error["code"], error["http_status"], error["exit_status"]),
                         (-71, 401, 77))

    @long
    def test_urls(self):
        for url in ("nonsense", "ftp://x", "http://", "https://h:99999", "http://h:1/path?x",
                    "http://example.invalid"):
            self.ends(self.tool("key", url=url), 78, b"", r"\Aunsb: ")
        self.ends(self.tool("key", url="https://%s" % ("x" * 70)), 68, b"", r"\Aunsb: ")

    def test_nobody_there(self):
        with socket.socket() as taken:  # bound, but nobody listens
            taken.bind(("127.0.0.1", 0))
            done = self.tool("key", url="http://127.0.0.1:%d" % taken.getsockname()[1])
        self.ends(done, 69, b"", "connection")

    def test_refusals(self):
        for status, code in ((400, 65), (401, 77), (403, 77), (404, 66), (413, 65), (418, 65),
                             (428, 77), (500, 69), (301, 76)):
            service = self.scripted(lambda *_, status=status: (status, {"error": "e", "message":
                                                                        "because of it"}))
            done = self.ends(self.tool("-s", "python", "1", url=service.url), code, b"",
                             r"\Aunsb: ")
            if status not in (301,):
                self.assertIn(b"because of it", done.stderr)

    @long
    def test_rate_limit(self):
        service = self.scripted(lambda *_: (429, {"error": "rate_limit_exceeded", "message": "m"}))
        self.ends(self.tool("-s", "python", "1", url=service.url), 75, b"", "429")

    def test_answers_that_are_none(self):
        for data in (b"<html>", b"{", b"[]", b"", b"{}"):
            service = self.scripted(lambda *_, data=data: (200, data))
            self.ends(self.tool("-s", "python", "1", url=service.url), 76, b"", r"\Aunsb: ")

    def test_terminal_sequences_in_messages(self):
        evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\nunsb: fake \x7f \u20ac"
        answers = {"POST": (400, {"error": evil, "message": evil})}
        service = self.scripted(lambda method, *_: answers[method])
        done = self.ends(self.tool("-s", "python", "1", url=service.url), 65, b"")
        text = done.stderr.decode()
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
        self.assertIn("\u20ac", text)
        service = self.scripted(lambda *_: (200, {"jobs": [{"job_id": evil, "status": "running",
                                                            "language": evil}]}))
        done = self.ends(self.tool("jobs", url=service.url), 0)
        self.assertNotRegex(done.stdout.decode(), "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

    def test_secrets_stay_secret(self):
        echo = {"error": "bad", "message": "no such key: " + SECRET}
        service = self.scripted(lambda *_: (401, echo))
        for more in ((), ("--verbose",), ("--json",), ("-k", SECRET)):
            done = self.ends(self.tool("-s", "python", "1", *more, url=service.url), 77)
            self.assertNotIn(SECRET.encode(), done.stdout + done.stderr)
        done = self.tool("--verbose", "-s", "python", "1")
        self.assertNotIn(SECRET.encode(), done.stdout + done.stderr)
        for wrong in (("--secret=" + SECRET, "x"), (SECRET,), ("-s", "python", "1", SECRET),
                      ("-e", SECRET, "x"), ("-f", SECRET, "-s", "python", "1"),
                      ("-t", SECRET, "x")):
            done = self.tool(*wrong)
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn(SECRET.encode(), done.stdout + done.stderr, wrong)

    @long
    def test_the_service_forgets_the_job(self):
        service = Service("--restart-after-polls", "1")
        self.addCleanup(service.stop)
        done = self.tool("-s", "python", "import time; time.sleep(30)", url=service.url)
        self.ends(done, 69, b"", "forgotten")

    @long
    def test_unknown_job(self):
        self.ends(self.tool("job", "nonesuch"), 66, b"", "404")
        self.ends(self.tool("cancel", "nonesuch"), 66, b"", "404")
        self.ends(self.tool("wait", "nonesuch"), 66, b"", "404")

    def test_failed_job(self):
        service = self.scripted(scripted_job({"job_id": "job_1", "status": "failed",
                                              "error": "no container"}))
        self.ends(self.tool("-s", "python", "1", url=service.url), 69, b"", "no container")

    @long
    def test_trouble_that_passes(self):
        service = Service("--fail-first", "2", "503", "--early-404", "2")
        self.addCleanup(service.stop)
        self.ends(self.tool("-q", "-s", "python", "print(1)", url=service.url), 0, b"1\n")

    def test_output_twice(self):
        """A field that comes twice is put out once, as far as it is the same."""
        body = json.dumps(result_of(stdout="abc")).replace('"stdout": "abc"',
                                                          '"stdout": "abc", "stdout": "abcdef"')
        service = self.scripted(scripted_job(body.encode()))
        self.ends(self.tool("-q", "-s", "python", "1", url=service.url), 0, b"abcdef")


class Artifacts(Case):
    def fetch(self, *names, more=(), content=b"content", **members):
        items = [dict({"filename": name, "content_base64": base64.b64encode(content).decode()},
                      **members) for name in names]
        service = self.scripted(scripted_job(result_of(artifacts=items, stdout="out\n")))
        return self.tool("-a", "-s", "c", "x", *more, url=service.url)

    def saved(self, directory="."):
        return sorted(os.listdir(os.path.join(self.dir, directory)))

    def test_compiled(self):
        self.write("hello.c", "#include <stdio.h>\nint main(void) { puts(\"far\"); return 0; }\n")
        self.ends(self.tool("-a", "-o", "bin", "hello.c"), 0, b"far\n", r"saved bin/\S+, \d+ bytes")
        name, = self.saved("bin")
        path = os.path.join(self.dir, "bin", name)
        with open(path, "rb") as file:
            self.assertEqual(file.read(4), b"\x7fELF")
        if os.name == "posix" and "wine" not in TOOL[0]:
            self.assertEqual(subprocess.run([path], stdout=subprocess.PIPE).stdout, b"far\n")

    @long
    def test_wasm(self):
        if not shutil.which("wasm-ld") and not shutil.which("wasm-ld-14"):
            self.fail("wasm-ld is missing")
        self.write("hello.c", "int main(void) { return 0; }\n")
        self.ends(self.tool("--wasm", "-o", "bin", "hello.c"), 0)
        name, = self.saved("bin")
        with open(os.path.join(self.dir, "bin", name), "rb") as file:
            self.assertEqual(file.read(4), b"\0asm")

    def test_names_are_no_paths(self):
        names = {"../../x": "_._.._x", "/etc/passwd": "_etc_passwd", "..": "__", ".": "_",
                  ".bashrc": "_bashrc", "a\\b": "a_b", "C:x": "C_x", "CON": "_CON",
                 "nul.txt": "_nul.txt", "com1": "_com1", "LPT9.x.y": "_LPT9.x.y",
                 "COM\u00b9": "_COM\u00b9", "con .x": "_con .x", "a\tb|c": "a_b_c",
                 "-rf": "_rf", "~x": "_x", "end. ": "end__", "a/../../../b": "a_.._.._.._b",
                 "common": "common", "x:$DATA": "x_$DATA", "\u20ac.bin": "\u20ac.bin"}
        done = self.ends(self.fetch(*names, more=("--json", "-o", "all")), 0)
        for item in json.loads(done.stdout)["artifacts"]:
            self.assertIn(item["path"], ("all/" + names[item["name"]],
                                         "all/" + names[item["name"]] + ".1"))
        self.assertEqual(len(self.saved("all")), len(names))
        self.assertLessEqual(set(names.values()), set(self.saved("all")))
        self.assertEqual(self.saved(), ["all"])
        self.ends(self.fetch("", "a\nb\x1b[2Jc", more=("-o", "odd")), 0, b"out\n")
        self.assertEqual(self.saved("odd"), ["a_b_[2Jc", "artifact"])
        done = self.fetch("x" * 1000, "y" * 199 + "\u20ac", more=("-o", "long"))
        self.ends(done, 0)
        self.assertEqual(self.saved("long"), ["x" * 200, "y" * 199])

    def test_nothing_is_overwritten(self):
        self.write("a.out", "mine")
        outside = self.write("outside", "precious")
        os.symlink(outside, os.path.join(self.dir, "link"))
        os.symlink("/nowhere/at/all", os.path.join(self.dir, "dangling"))
        done = self.fetch("a.out", "link", "dangling")
        self.ends(done, 0, b"out\n", r"saved \./a\.out\.1, 7 bytes")
        self.assertEqual(self.saved(), ["a.out", "a.out.1", "dangling", "dangling.1", "link",
                                        "link.1", "outside"])
        for name, content in (("a.out", b"mine"), ("outside", b"precious"), ("link.1", b"content")):
            with open(os.path.join(self.dir, name), "rb") as file:
                self.assertEqual(file.read(), content)

    def test_force(self):
        self.write("a.out", "mine")
        outside = self.write("outside", "precious")
        os.symlink(outside, os.path.join(self.dir, "link"))
        os.mkdir(os.path.join(self.dir, "d"))
        self.ends(self.fetch("a.out", "link", more=("--force",)), 0)
        self.assertFalse(os.path.islink(os.path.join(self.dir, "link")))
        for name, content in (("a.out", b"content"), ("outside", b"precious"),
                              ("link", b"content")):
            with open(os.path.join(self.dir, name), "rb") as file:
                self.assertEqual(file.read(), content)
        self.ends(self.fetch("d", more=("--force",)), 73, b"out\n")

    def test_directory_that_is_none(self):
        self.write("file", "")
        for where in ("file", "no/such/parent"):
            self.ends(self.fetch("x", more=("-o", where)), 73, b"", re.escape(where))

    def test_two_of_one_name(self):
        self.ends(self.fetch("x", "x"), 0)
        self.assertEqual(self.saved(), ["x", "x.1"])

    def test_failures(self):
        service = self.scripted(scripted_job(result_of(
            stdout="out\n", artifacts=[{"type": "error", "error": "did not\x1b link"}])))
        done = self.tool("-a", "--json", "-s", "c", "x", url=service.url)
        self.ends(done, 73, err=r"did not\\x1B link")
        made = json.loads(done.stdout)
        self.assertEqual((made["stdout"], made["exit_code"], made["exit_status"]), ("out\n", 0, 73))
        self.assertEqual(self.saved(), [])
        service = self.scripted(scripted_job(result_of(
            artifacts=[{"filename": "half", "content_base64": "AAAA!AAA"}])))
        done = self.tool("-a", "-s", "c", "x", url=service.url)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.saved(), [])

    def test_content_first(self):
        item = {"content_base64": base64.b64encode(b"content").decode(), "filename": "../late"}
        service = self.scripted(scripted_job(result_of(artifacts=[item])))
        self.ends(self.tool("-a", "-s", "c", "x", url=service.url), 0)
        self.assertEqual(self.saved(), ["artifact"])

    def test_json(self):
        done = self.ends(self.fetch("../x", more=("--json", "-o", "d")), 0)
        made = json.loads(done.stdout)["artifacts"]
        self.assertEqual(made, [{"name": "../x", "path": "d/_._x", "size": 7, "wasm": False}])

    def test_not_asked_for(self):
        service = self.scripted(scripted_job(result_of(
            artifacts=[{"filename": "x", "content_base64": "AAAA"}])))
        self.ends(self.tool("-s", "c", "x", url=service.url), 0)
        self.assertEqual(self.saved(), [])

    def test_nothing_fits(self):
        """A disk that is full: the output comes all the same."""
        if os.geteuid() != 0 or not os.path.isdir("/dev/shm"):
            self.skipTest("only root can mount a small disk")
        small = os.path.join(self.dir, "small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small],
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        try:
            done = self.fetch("x", content=b"x" * 300000, more=("-o", "small"))
            self.ends(done, 73, b"out\n", "No space left")
            self.assertEqual(self.saved("small"), [])
        finally:
            subprocess.run(["umount", small])


class Output(Case):
    """stdout and stderr that do not take what comes."""
    much = "print('x' * 10000000)"

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            for arguments in (("-s", "python", "print(1)"), ("languages",), ("--json", "key"),
                              ("request", "GET", "/languages"), ("--help",), ("--version",),
                              ("--async", "-s", "python", "1")):
                done = self.tool(*arguments, stdout=full)
                self.ends(done, 74, err="stdout: No space left on device")
            done = self.tool("-q", "-s", "python", "import sys; print('e', file=sys.stderr)",
                             stderr=full)
            self.ends(done, 74)

    def test_closed_pipe(self):
        process = self.start("-s", "python", self.much)
        self.assertEqual(process.stdout.read(10), b"x" * 10)
        process.stdout.close()
        err = process.stderr.read().decode()
        self.assertEqual(process.wait(PATIENCE), 74, err)
        self.assertRegex(err, "stdout: Broken pipe")
        self.assertRegex(err, r"unsb wait job_\S+\n\Z")

    @long
    def test_no_stdout_at_all(self):
        for closed, status in ((">&-", 74), ("<&-", 0), ("2>&-", 0)):
            done = subprocess.run(["sh", "-c", '"$@" ' + closed, "sh", *TOOL, "-s", "python",
                                   "print(1)"], cwd=self.dir, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.environment())
            self.assertEqual(done.returncode, status, (closed, done))
        done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *TOOL, "-s", "python",
                               "import sys; print(1, file=sys.stderr)"], cwd=self.dir,
                              env=self.environment())
        self.assertEqual(done.returncode, 74)

    @long
    def test_slow_reader(self):
        process = self.start("-q", "-s", "python", self.much)
        os.set_blocking(process.stdout.fileno(), True)
        time.sleep(1)
        self.assertEqual(len(process.stdout.read()), 10000001)
        self.assertEqual(process.wait(PATIENCE), 0)

    @long
    def test_pipe_that_does_not_block(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        process = subprocess.Popen([*TOOL, "-q", "-s", "python", self.much], stdout=writer,
                                   stdin=subprocess.DEVNULL, env=self.environment())
        os.close(writer)
        time.sleep(1)
        size = 0
        while True:
            piece = os.read(reader, 65536)
            if not piece:
                break
            size += len(piece)
        os.close(reader)
        self.assertEqual((process.wait(PATIENCE), size), (0, 10000001))

    @long
    def test_no_ornaments(self):
        """Where stderr is no terminal, nothing moves and nothing is coloured."""
        done = self.tool("-s", "python", "import time; time.sleep(1)")
        self.assertNotRegex(done.stderr, rb"[\x1b\r]")

    def test_unreadable(self):
        path = self.write("secret.py", "print(1)", 0)
        os.chmod(self.dir, 0o755)
        if os.geteuid() == 0:  # to whom all is readable
            become = {"user": 65534} if sys.version_info >= (3, 9) else None
            copy = os.path.join(self.dir, "unsb")
            shutil.copy(TOOL[-1], copy)
            done = subprocess.run([copy, path], cwd=self.dir, env=self.environment(),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, **become)
        else:
            done = self.tool(path)
        self.ends(done, 66, b"", "Permission denied")


class Terminal:
    """The tool on a terminal of its own."""

    def __init__(self, case, *arguments, url=None, env=None, stdout_too=True):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(case.dir)
                if not stdout_too:
                    os.dup2(os.open("stdout", os.O_WRONLY | os.O_CREAT, 0o600), 1)
                os.execve(TOOL[0], [*TOOL, *arguments], case.environment(url, **(env or {})))
            finally:
                os._exit(127)

    def read(self, seconds=0.1):
        """More of what is on the screen; False at its end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            piece = b""
        self.seen += piece
        return bool(piece)

    def wait_for(self, pattern):
        limit = time.monotonic() + PATIENCE
        while not re.search(pattern, self.seen):
            if not self.read() or time.monotonic() > limit:
                raise AssertionError("%r did not come: %r" % (pattern, self.seen[-1000:]))

    def press(self, keys=b"\x03"):
        os.write(self.fd, keys)

    def end(self):
        """Reads to the end; returns the exit status as a shell has it."""
        limit = time.monotonic() + PATIENCE
        while self.read():
            if time.monotonic() > limit:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("it does not end: %r" % self.seen[-1000:])
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


class OnTerminal(Case):
    sleeper = "import time; print('begun', flush=True); time.sleep(300)"

    def terminal(self, *arguments, **keywords):
        return Terminal(self, *arguments, **keywords)

    def test_spinner(self):
        screen = self.terminal("-s", "python", "import time; time.sleep(2); print('done')")
        self.assertEqual(screen.end(), 0)
        self.assertRegex(screen.seen, rb"\r[-|/\\] running, \d+\.\d s\x1b\[K")
        self.assertTrue(screen.seen.endswith(b"\r\x1b[Kdone\r\n"), screen.seen[-200:])

    def test_colour(self):
        screen = self.terminal("missing.py")
        self.assertEqual(screen.end(), 66)
        self.assertIn(b"\x1b[1;31munsb: \x1b[0mmissing.py", screen.seen)
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            screen = self.terminal("missing.py", env=env)
            self.assertEqual(screen.end(), 66)
            self.assertNotIn(b"\x1b", screen.seen)
        screen = self.terminal("-s", "python", "import time; time.sleep(1)", env={"NO_COLOR": "1"})
        self.assertEqual(screen.end(), 0)
        self.assertNotRegex(screen.seen, rb"\x1b\[[0-9;]*m")

    @long
    def test_dumb_terminal(self):
        screen = self.terminal("-s", "python", "import time; time.sleep(1)", env={"TERM": "dumb"})
        self.assertEqual(screen.end(), 0)
        self.assertNotRegex(screen.seen, rb"\x1b|running")

    def test_output_elsewhere(self):
        screen = self.terminal("-s", "python", "print(1)", stdout_too=False)
        self.assertEqual(screen.end(), 0)
        with open(os.path.join(self.dir, "stdout"), "rb") as file:
            self.assertEqual(file.read(), b"1\n")

    def slow_service(self, take):
        """One that reads `take` bytes of each request, and then no more until it is released."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        release = threading.Event()
        got = []

        def serve():
            try:
                while True:
                    peer, _ = listener.accept()
                    left = take
                    while left > 0:
                        piece = peer.recv(min(left, 65536))
                        if not piece:
                            break
                        left -= len(piece)
                    got.append(peer)
                    release.wait(PATIENCE)
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()

        def stop():
            release.set()
            listener.close()
            for peer in got:
                peer.close()
        self.addCleanup(stop)
        return "http://127.0.0.1:%d" % listener.getsockname()[1], got

    def test_upload(self):
        self.write("big", os.urandom(5000000))
        url, _ = self.slow_service(3000000)
        screen = self.terminal("-s", "python", "1", "-f", "big", url=url)
        screen.wait_for(rb"\r\[####+\.+\] +\d+%  \d\.\d of 5\.0 MB\x1b\[K")
        screen.press()
        self.assertEqual(screen.end(), 130)
        # and one that goes through
        screen = self.terminal("-s", "python", "print(1)", "-f", "big")
        self.assertEqual(screen.end(), 0)

    def test_interrupt_while_running(self):
        screen = self.terminal("-s", "python", self.sleeper)
        screen.wait_for(rb"running")
        self.until(lambda: [job for job in self.jobs() if job["status"] == "running"], "a job")
        time.sleep(1)
        screen.press()
        self.assertEqual(screen.end(), 130)
        self.assertIn(b"cancelled", screen.seen)
        self.assertIn(b"begun\r\n", screen.seen)
        self.assertEqual(self.jobs(), [])

    def test_interrupt_with_json(self):
        process = self.start("--json", "-s", "python", self.sleeper)
        self.until(lambda: [job for job in self.jobs() if job["status"] == "running"], "a job")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        made = json.loads(process.stdout.read())
        self.assertEqual(process.wait(PATIENCE), 130)
        self.assertEqual((made["status"], made["stdout"]), ("cancelled", "begun\n"))

    def test_terminated(self):
        process = self.start("-s", "python", self.sleeper)
        self.until(lambda: [job for job in self.jobs() if job["status"] == "running"], "a job")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 143)
        self.assertEqual(self.jobs(), [])

    def test_interrupt_before_the_answer(self):
        """The request is out: its answer is awaited, and the job that it names cancelled."""
        held = threading.Event()

        def answer(method, _path, _body):
            if method == "POST":
                held.wait(PATIENCE)
                return 202, {"job_id": "job_9", "status": "pending"}
            return 200, {"job_id": "job_9", "status": "cancelled", "message": "Job cancelled"}
        service = self.scripted(answer)
        screen = self.terminal("-s", "python", "1", url=service.url)
        self.until(lambda: service.requests, "a request")
        screen.wait_for(rb"submitting")
        screen.press()
        screen.read(0.5)
        held.set()
        self.assertEqual(screen.end(), 130)
        self.assertEqual(service.methods(), ["POST /execute/async", "DELETE /jobs/job_9"],
                         screen.seen)

    @long
    def test_interrupt_without_an_answer(self):
        service = self.scripted(lambda *_: None)
        for arguments in (("-s", "python", "1"), ("jobs",), ("key",), ("wait", "job_1"),
                          ("cancel", "job_1"), ("request", "GET", "/x")):
            before = len(service.requests)
            screen = self.terminal(*arguments, url=service.url)
            self.until(lambda: len(service.requests) > before, "a request")
            screen.wait_for(rb"\x1b\[K")
            screen.press()
            self.assertEqual(screen.end(), 130, arguments)

    def test_second_interrupt(self):
        def answer(method, _path, _body):
            if method == "DELETE":
                return None
            return 200, {"job_id": "job_1", "status": "running"}
        service = self.scripted(answer)
        screen = self.terminal("-s", "python", "1", url=service.url)
        screen.wait_for(rb"running")
        screen.press()
        self.until(lambda: "DELETE /jobs/job_1" in service.methods(), "the DELETE")
        screen.press()
        self.assertEqual(screen.end(), 130)
        self.assertNotIn(b"could not be cancelled", screen.seen)  # it did not even end its loop

    def test_interrupt_while_stdin_is_read(self):
        process = self.start("-s", "python", "-", stdin=subprocess.PIPE)
        sleeping = []  # it sleeps in read(), and has caught signals since before that
        self.until(lambda: sleeping.append(self.state(process.pid)) or
                   sleeping[-20:] == ["S"] * 20, "it reads")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 130)
        process.stdin.close()

    @staticmethod
    def state(pid):
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0]

    @long
    def test_interrupt_while_output_is_stuck(self):
        process = self.start("-s", "python", Output.much)
        process.stdout.read(1)
        time.sleep(0.5)  # the pipe is full by now
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 130)

    def test_interrupted_wait_leaves_the_job(self):
        job = self.tool("-q", "--async", "-s", "python", self.sleeper).stdout.decode().strip()
        screen = self.terminal("wait", job)
        screen.wait_for(rb"running")
        screen.press()
        self.assertEqual(screen.end(), 130)
        self.assertRegex(screen.seen, rb"the job goes on")
        self.assertEqual([item["job_id"] for item in self.jobs()], [job])
        self.ends(self.tool("cancel", job), 0)

    @long
    def test_ignored_interrupts_stay_ignored(self):
        process = self.start("-q", "-s", "python", "import time; time.sleep(2); print(1)",
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        self.until(self.jobs, "a job")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(process.stdout.read(), b"1\n")

    def test_key_in_the_process_list(self):
        service = self.scripted(lambda *_: None)
        for form in (("-k", SECRET), ("-k" + SECRET,), ("--secret-key=" + SECRET,)):
            before = len(service.requests)
            process = self.start("key", *form, url=service.url)
            self.until(lambda: len(service.requests) > before, "a request")
            with open("/proc/%d/cmdline" % process.pid, "rb") as file:
                line = file.read()
            self.assertIn(b"key", line)
            self.assertNotIn(SECRET.encode(), line)
            self.assertNotIn(b"54321", line)
            process.kill()
            process.wait()


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        if not PKI:
            raise AssertionError("UNSB_TEST_PKI is not set")
        cls.options = ("--tls", PKI + "/localhost.pem", PKI + "/localhost.key")
        super().setUpClass()

    def test_trusted(self):
        url = self.service.url.replace("127.0.0.1", "localhost")
        env = {"SSL_CERT_FILE": PKI + "/ca.pem"}
        self.ends(self.tool("-q", "-s", "python", "print(1)", url=url, env=env), 0, b"1\n")
        self.write("big", os.urandom(3000000))
        code = ("import os; print(sum(os.path.getsize(p) for p in ('big', '/tmp/input/big')"
                " if os.path.exists(p)))")
        self.ends(self.tool("-q", "-s", "python", code, "-f", "big", url=url, env=env), 0,
                  b"3000000\n")
        self.ends(self.tool("-q", "-s", "python", Output.much, url=url, env=env), 0)

    def test_proxy(self):
        asked = []

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_CONNECT(self):
                asked.append(self.path)
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port))) as far:
                    self.send_response(200)
                    self.end_headers()
                    ends = {self.connection: far, far: self.connection}
                    while True:
                        for end in select.select(list(ends), [], [])[0]:
                            data = end.recv(65536)
                            if not data:
                                return
                            ends[end].sendall(data)

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = self.service.url.replace("127.0.0.1", "localhost")
        env = {"SSL_CERT_FILE": PKI + "/ca.pem",
               "HTTPS_PROXY": "http://127.0.0.1:%d" % server.server_port}
        self.ends(self.tool("-q", "-s", "python", "print(1)", url=url, env=env), 0, b"1\n")
        self.assertEqual(set(asked), {url[len("https://"):]})
        env["NO_PROXY"] = "localhost"
        del asked[:]
        self.ends(self.tool("-q", "-s", "python", "print(1)", url=url, env=env), 0, b"1\n")
        self.assertEqual(asked, [])
        env.update(NO_PROXY="", HTTPS_PROXY="socks5://x")
        self.ends(self.tool("key", url=url, env=env), 78, b"")

    def test_not_trusted(self):
        self.ends(self.tool("-s", "python", "print(1)"), 76, b"", "certificate")


class Killed(Case):
    @long
    def test_service_killed_while_the_job_runs(self):
        service = Service()
        process = self.start("-s", "python", OnTerminal.sleeper, url=service.url)
        self.until(lambda: self.jobs(service.url), "a job")
        service.stop(signal.SIGKILL)
        err = process.stderr.read().decode()
        self.assertEqual(process.wait(PATIENCE * 3), 69, err)
        self.assertRegex(err, r"unsb wait job_")


if __name__ == "__main__":
    # What was started in the background has interrupts ignored, and so would the tool.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    unittest.main()
