"""The API: which request is allowed, by whom, and what answers it."""

import collections
import hashlib
import hmac
import math
import re
import threading
import time
import urllib.parse

from faults import Faults
from jobs import no_such_job
from services import Services
from sessions import Sessions
from sudo import Sudo
from validate import Rules, parse_execute, parse_json, parse_query, parse_run
from wire import Refusal, Response

CLOCK_DRIFT = 300
RATE_WINDOW = 60.0

_WITH_ID = ("jobs", "sessions", "services")


class Ticket:
    """A request whose head is in order. `secret` is set when its body must match a signature."""

    def __init__(self, request, handler, argument):
        self.request = request
        self.handler = handler
        self.argument = argument
        self.owner = None
        self.known = True
        self.secret = None


class Api:
    def __init__(self, options, executor, table, journal):
        self.options = options
        self.languages = executor.languages
        self.table = table
        self.rules = Rules(options)
        self.faults = Faults(options, self.forget)
        self.keys = set(options.key)
        self.pairs = dict(options.key_pair)
        self._lock = threading.Lock()
        self._recent = {}
        self._routes = {
            "execute": {"POST": self.execute},
            "execute/async": {"POST": self.execute_async},
            "run": {"POST": self.run},
            "run/async": {"POST": self.run_async},
            "jobs": {"GET": self.list_jobs},
            "jobs/{id}": {"GET": self.get_job, "DELETE": self.delete_job},
            "languages": {"GET": self.list_languages},
            "health": {"GET": self.health, "HEAD": self.health},
            "keys/validate": {"POST": self.validate_key},
        }
        sudo = Sudo(options.sudo)
        self.sessions = Sessions(executor, self.rules, sudo, journal)
        self.services = Services(executor, table, self.rules, sudo)
        self._routes.update(self.sessions.routes())
        self._routes.update(self.services.routes())

    # ---- before the body ---------------------------------------------------------------

    def admit(self, request):
        """Everything that can be refused by the head alone. Returns the ticket for serve()."""
        self.faults.request(request)
        ticket = self._route(request)
        self._authorize(ticket)
        self._limit_rate(ticket)
        self._check_body_fields(request)
        return ticket

    def _route(self, request):
        try:
            segments = [urllib.parse.unquote(part, errors="strict")
                        for part in request.path[1:].split("/")]
        except UnicodeDecodeError:
            raise Refusal(400, "bad_request", "the path is not UTF-8") from None
        argument = None
        name = "/".join(segments)
        if len(segments) >= 2 and segments[0] in _WITH_ID and segments[1]:
            argument = segments[1]
            name = "/".join([segments[0], "{id}"] + segments[2:])
        methods = self._routes.get(name)
        if methods is None:
            raise Refusal(404, "not_found", "no such endpoint")
        if request.method not in methods:
            raise Refusal(405, "method_not_allowed", "not a method of this endpoint",
                          headers=[("Allow", ", ".join(sorted(methods)))])
        if not name.startswith("run"):
            parse_query(request.query, ("audit",) if name.startswith("sessions") else ())
        return Ticket(request, methods[request.method], argument)

    def _authorize(self, ticket):
        request = ticket.request
        open_to_all = (self.options.open_languages
                       and ticket.handler in (self.list_languages, self.health))
        if open_to_all and request.header("x-signature") is None:
            return
        value = request.header("authorization")
        if value is None:
            raise _unauthorized("missing_authorization", "no Authorization header field")
        match = re.fullmatch(r"Bearer ([!-~]+)", value)
        if not match:
            raise _unauthorized("invalid_authorization", "not of the form: Bearer <key>")
        key = match.group(1)
        signed = (request.header("x-timestamp") is not None
                  or request.header("x-signature") is not None)
        ticket.owner = key
        if key in self.options.expired_key:
            if ticket.handler != self.validate_key:
                raise _unauthorized("invalid_api_key", "the key has expired", reason="expired")
            ticket.known = False
        elif key in self.pairs:
            self._check_timestamp(request)
            if request.header("x-signature") is None:
                raise _unauthorized("missing_signature", "a public key needs X-Signature")
            ticket.secret = self.pairs[key]
        elif key in self.pairs.values() and key not in self.keys:
            raise _unauthorized("secret_key_sent", "the secret key of a pair is never sent")
        elif key in self.keys:
            if signed:
                raise _unauthorized("invalid_signature", "this key is no pair's public key")
            if self.options.signed_only:
                raise _unauthorized("missing_signature", "only signed requests are taken here")
        elif ticket.handler == self.validate_key:
            ticket.known = False
        else:
            raise _unauthorized("invalid_api_key", "unknown API key")

    def _check_timestamp(self, request):
        value = request.header("x-timestamp")
        if value is None:
            raise _unauthorized("missing_timestamp", "a public key needs X-Timestamp")
        if not re.fullmatch(r"[0-9]{1,12}", value):
            raise _unauthorized("invalid_timestamp", "the timestamp is not Unix seconds")
        if abs(time.time() - int(value)) > CLOCK_DRIFT:
            raise _unauthorized("timestamp_out_of_range",
                                "the timestamp is more than 5 minutes off this server's clock")

    def _limit_rate(self, ticket):
        limit = self.options.rate_limit
        if not limit:
            return
        now = time.monotonic()
        with self._lock:
            recent = self._recent.setdefault(ticket.owner, collections.deque())
            while recent and recent[0] <= now - RATE_WINDOW:
                recent.popleft()
            if len(recent) < limit:
                recent.append(now)
                return
            wait = max(1, math.ceil(recent[0] + RATE_WINDOW - now))
        raise Refusal(429, "rate_limit_exceeded", "more than %d requests a minute" % limit,
                      headers=[("Retry-After", str(wait))], retry_after=wait)

    def _check_body_fields(self, request):
        if request.method != "POST":
            if request.length:
                raise Refusal(400, "unexpected_body", "a %s has no body here" % request.method)
            return
        if request.length is None:
            raise Refusal(411, "length_required", "a body needs Content-Length here", close=True)
        if request.length > self.options.max_body:
            raise Refusal(413, "request_too_large",
                          "a body of more than %d bytes" % self.options.max_body, close=True)
        raw = request.path.startswith("/run")
        if request.path == "/keys/validate" and request.length == 0:
            return
        wanted = "text/plain" if raw else "application/json"
        if not _is_type(request.header("content-type"), wanted):
            raise Refusal(415, "unsupported_media_type", "the Content-Type must be " + wanted)

    # ---- with the body -----------------------------------------------------------------

    def serve(self, ticket, body):
        if ticket.secret is not None:
            self._check_signature(ticket, body)
        return ticket.handler(ticket, body)

    def _check_signature(self, ticket, body):
        request = ticket.request
        text = "%s:%s:%s:" % (request.header("x-timestamp"), request.method, request.target)
        signature = hmac.new(ticket.secret.encode("utf-8"), text.encode("ascii") + body,
                             hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, request.header("x-signature")):
            raise _unauthorized("invalid_signature", "the signature does not match the request")

    def execute(self, ticket, body):
        return self._run_now(ticket, parse_execute(body, self.languages, self.rules))

    def execute_async(self, ticket, body):
        return self._run_later(ticket, parse_execute(body, self.languages, self.rules))

    def run(self, ticket, body):
        return self._run_now(ticket, self._parse_run(ticket, body))

    def run_async(self, ticket, body):
        return self._run_later(ticket, self._parse_run(ticket, body))

    def _parse_run(self, ticket, body):
        return parse_run(ticket.request.query, body, self.languages, self.rules)

    def _run_now(self, ticket, spec):
        if self.options.pending != "no":
            return self._run_later(ticket, spec, int(self.options.pending))
        job = self.table.execute(ticket.owner, spec)
        if job.forgotten:
            return Response(503, b"", drop=True)  # the service went down with it
        report = job.report
        if report.result is None:
            raise Refusal(500, "execution_failed", report.error, job_id=job.id)
        answer = {}
        for name, value in report.result.items():
            if name == "artifacts":
                answer["job_id"] = job.id
            answer[name] = value
        if report.error is not None:
            answer["error"] = report.error
        return Response(200, answer, kind="result")

    def _run_later(self, ticket, spec, status=202):
        answer = {"status": "pending"}
        if spec.detected:
            answer["detected_language"] = spec.language
        job = self.table.submit(ticket.owner, spec)
        return Response(status, dict(job_id=job.id, **answer), kind="accepted")

    def get_job(self, ticket, _body):
        job = self.table.find(ticket.owner, ticket.argument)
        if self.faults.poll(job):
            raise no_such_job()
        return Response(200, self.table.describe(job), kind="job")

    def delete_job(self, ticket, _body):
        job = self.table.cancel(ticket.owner, ticket.argument)
        return Response(200, self.table.describe(job), kind="cancelled")

    def list_jobs(self, ticket, _body):
        return Response(200, self.table.active(ticket.owner), kind="jobs")

    def list_languages(self, _ticket, _body):
        return Response(200, sorted(self.languages), kind="languages")

    def health(self, _ticket, _body):
        return Response(200, {"status": "ok"})

    def forget(self):
        self.table.forget_all()
        self.sessions.forget_all()
        self.services.forget_all()

    def validate_key(self, ticket, body):
        if body and not isinstance(parse_json(body), dict):
            raise Refusal(400, "invalid_request", "the body is not a JSON object")
        if not ticket.known:
            answer = {"valid": False, "reason": "unknown_key"}
            if ticket.owner in self.options.expired_key:
                answer.update(reason="expired", public_key=ticket.owner)
            return Response(200, answer, kind="key")
        answer = {"valid": True, "tier": "local", "public_key": ticket.owner}
        if self.options.rate_limit:
            answer.update(rate_per_minute=self.options.rate_limit, burst=self.options.rate_limit)
        if self.options.concurrency:
            answer["concurrency"] = self.options.concurrency
        return Response(200, answer, kind="key")


def _unauthorized(error, message, **members):
    return Refusal(401, error, message, headers=[("WWW-Authenticate", "Bearer")], **members)


def _is_type(value, wanted):
    """The media type, alone or with UTF-8 as its charset."""
    if value is None:
        return False
    kind, _, parameter = value.lower().partition(";")
    charset = parameter.strip().replace('"', "")
    return kind.strip() == wanted and charset in ("", "charset=utf-8")
