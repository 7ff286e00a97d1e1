"""Sessions: a shell that stays, and what its commands leave in it (variables, directory, files).

A session's shell is one process of the runner, from its start to its end: time limit, network,
namespaces and clean-up are those of a job. It reads its script from a FIFO. For each command the
server writes one line there, which has the shell read the command from a file, send its output to
two more, and report its exit code through a second FIFO. So a command's output needs no marks, and
a process left in the background holds nothing up.
"""

import hashlib
import os
import secrets
import select
import shlex
import threading
import time

from execution import Workspace, as_text, base_env, write_files
from languages import find
from runner import TIMEOUT_EXIT, Control
from validate import (parse_fields, parse_files, parse_network_mode, parse_range, parse_text,
                      parse_vcpu)
from wire import Refusal, Response

SESSIONS_LIMIT = 16
ENDED_KEPT = 16
TTL_DEFAULT = 3600
TTL_LIMIT = 86400
COMMAND_SECONDS = 900.0
SHELLS = ("bash", "sh", "zsh")

_FOREVER = 20 * 86400.0  # what `ttl` 0 means; more does not fit into a poll's milliseconds
_END_SECONDS = 15.0
_FIELDS = ("network_mode", "ttl", "shell", "multiplexer", "vcpu", "input_files")
# Without `command` a syntax error in what is read would end a POSIX shell. In zsh it would not, and
# `command` means a program there, never a builtin.
_LINE = "%s . %s >%s 2>%s </dev/null; %s echo %d $? >%s\n"


class Session:
    def __init__(self, owner, executor, request):
        self.id = "sess_" + secrets.token_hex(12)
        self.owner = owner
        self.shell = request.shell
        self.created_at = time.time()
        self.expires_at = self.created_at + request.ttl if request.ttl else None
        self.ended = threading.Event()
        self._executor = executor
        self._request = request
        self._space = Workspace(executor.base, self.id)
        self._control = Control()
        self._lock = threading.Lock()  # one command at a time; what ends the shell waits for it
        self._number = 0
        self._exit_code = None
        self._requests_path = os.path.join(self._space.root, "requests")
        self._results_path = os.path.join(self._space.root, "results")
        os.mkfifo(self._requests_path, 0o600)
        os.mkfifo(self._results_path, 0o600)
        # Opened for both directions, so that neither waits for a peer nor ever sees an end.
        self._requests = os.open(self._requests_path, os.O_RDWR)
        self._results = os.open(self._results_path, os.O_RDWR | os.O_NONBLOCK)
        self._received = b""

    def start(self):
        try:
            write_files(self._executor.inputs.folder(self._space), self._request.files)
        finally:
            # It is this thread that removes the workspace.
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        executor, request, space = self._executor, self._request, self._space
        env = base_env(space)
        env.update(executor.inputs.env(space))
        if request.vcpu is not None:
            env["SANDBOXD_VCPU"] = str(request.vcpu)
        command = [find("sh"), "-c", 'exec "$1" <"$2"', "sandboxd", find(self.shell),
                   self._requests_path]
        try:
            outcome = executor.runner.run(
                command, space.work, env, request.network_mode == "semitrusted",
                time.monotonic() + (request.ttl or _FOREVER), self._control, executor.max_output,
                executor.inputs.mount(space))
            self._exit_code = outcome.exit_code
        except OSError:
            self._exit_code = 126
        self.ended.set()
        with self._lock:
            os.close(self._requests)
            os.close(self._results)
            space.remove()

    def execute(self, command, journal):
        with self._lock:
            if self.ended.is_set():
                raise Refusal(409, "session_not_running", "the session's shell has ended")
            if journal is not None:
                digest = hashlib.sha256(command).hexdigest()
                journal.write("%s %s %s\n" % (self.id, self.shell, digest))
            self._number += 1
            paths = [os.path.join(self._space.root, "%d.%s" % (self._number, kind))
                     for kind in ("command", "out", "err")]
            with open(paths[0], "xb") as handle:
                handle.write(command + b"\n")
            builtin = "builtin" if self.shell == "zsh" else "command"
            line = _LINE % (builtin, *map(shlex.quote, paths), builtin, self._number,
                            shlex.quote(self._results_path))
            os.write(self._requests, line.encode("utf-8"))
            exit_code = self._await(paths[1:])
            out, err = (self._take(path) for path in paths[1:])
            os.remove(paths[0])
        return {"stdout": out, "stderr": err, "exit_code": exit_code}

    def _await(self, outputs):
        """The exit code of the command, or that of the shell if it ended with the command."""
        end = time.monotonic() + COMMAND_SECONDS
        while True:
            for line in self._result_lines():
                words = line.split()
                if len(words) == 2 and words[0] == b"%d" % self._number and words[1].isdigit():
                    return int(words[1])
            if self.ended.is_set():
                return self._exit_code
            late = time.monotonic() > end
            if late or sum(map(_size, outputs)) > self._executor.max_output:
                # There is no way to end a command and keep its shell.
                self._control.cancel()
                self.ended.wait(_END_SECONDS)
                return TIMEOUT_EXIT if late else 137

    def _result_lines(self):
        if select.select([self._results], [], [], 0.05)[0]:
            self._received += os.read(self._results, 4096)
        *lines, self._received = self._received.split(b"\n")
        return lines

    def _take(self, path):
        """The output is read up to its limit, and its file removed."""
        try:
            with open(path, "rb") as handle:
                data = handle.read(self._executor.max_output)
            os.remove(path)
        except FileNotFoundError:
            data = b""  # the shell ended before it came to the command
        return as_text(data)

    def end(self):
        """Returns once nothing of it runs any more."""
        self._control.cancel()
        self.ended.wait(_END_SECONDS)

    def describe(self):
        answer = {"id": self.id, "container_name": "unsb-" + self.id[-12:], "shell": self.shell,
                  "status": "terminated" if self.ended.is_set() else "running"}
        if self.expires_at is not None:
            answer["remaining_ttl"] = max(0, int(self.expires_at - time.time()))
        return answer


def _size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


class _SessionRequest:
    """What POST /sessions asks for."""

    def __init__(self, body, rules):
        fields, _ = parse_fields(body, _FIELDS, rules)
        self.network_mode = parse_network_mode(fields.get("network_mode", "zerotrust"))
        self.ttl = parse_range("ttl", fields.get("ttl", TTL_DEFAULT), 0, TTL_LIMIT)
        self.vcpu = parse_vcpu(fields["vcpu"]) if "vcpu" in fields else None
        self.files = parse_files(fields.get("input_files", []), rules)
        here = [shell for shell in SHELLS if find(shell)]
        self.shell = fields.get("shell", here[0])
        if self.shell not in here:
            raise Refusal(400, "invalid_field", "shell must be one of " + ", ".join(here),
                          field="shell")
        if fields.get("multiplexer", "tmux") not in ("tmux", "screen"):
            raise Refusal(400, "invalid_field", "multiplexer must be tmux or screen",
                          field="multiplexer")


class Sessions:
    """The endpoints below /sessions."""

    def __init__(self, executor, rules, sudo, journal):
        self._executor = executor
        self._rules = rules
        self._sudo = sudo
        self._journal = journal
        self._lock = threading.Lock()
        self._sessions = {}

    def routes(self):
        return {"sessions": {"POST": self.create, "GET": self.list},
                "sessions/{id}": {"GET": self.get, "DELETE": self.delete},
                "sessions/{id}/execute": {"POST": self.execute}}

    def create(self, ticket, body):
        request = _SessionRequest(body, self._rules)
        with self._lock:
            own = self._of(ticket.owner)
            active = sum(1 for session in own if not session.ended.is_set())
            if active >= SESSIONS_LIMIT:
                raise Refusal(429, "concurrency_limit_reached", "too many sessions at once",
                              headers=[("Retry-After", "1")], active_executions=active,
                              concurrency_limit=SESSIONS_LIMIT)
            ended = [session for session in own if session.ended.is_set()]
            for session in ended[:max(0, len(ended) - ENDED_KEPT)]:
                del self._sessions[session.id]
            session = Session(ticket.owner, self._executor, request)
            self._sessions[session.id] = session
        session.start()
        shown = session.describe()
        answer = {"session_id": session.id, "container_name": shown["container_name"],
                  "status": shown["status"], "created_at": session.created_at}
        if session.expires_at is not None:
            answer["expires_at"] = session.expires_at
        return Response(201, answer, kind="session")

    def list(self, ticket, _body):
        with self._lock:
            shown = [session.describe() for session in self._of(ticket.owner)]
        return Response(200, {"sessions": shown, "count": len(shown)}, kind="sessions")

    def get(self, ticket, _body):
        return Response(200, self._find(ticket).describe(), kind="session")

    def execute(self, ticket, body):
        fields, _ = parse_fields(body, ("command",), self._rules)
        command = parse_text("command", fields)
        return Response(200, self._find(ticket).execute(command, self._journal), kind="output")

    def delete(self, ticket, _body):
        session = self._find(ticket)
        self._sudo.check(ticket)
        with self._lock:
            self._sessions.pop(session.id, None)
        session.end()
        return Response(200, {"message": "Session terminated", "session_id": session.id},
                        kind="deleted")

    def forget_all(self):
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.end()

    def _of(self, owner):
        return [session for session in self._sessions.values() if session.owner == owner]

    def _find(self, ticket):
        with self._lock:
            session = self._sessions.get(ticket.argument)
        if session is None or session.owner != ticket.owner:
            raise Refusal(404, "session_not_found", "no such session")
        return session
