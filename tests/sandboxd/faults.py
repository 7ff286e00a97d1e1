"""Faults on request: what goes wrong between a client and the service, at a counted place."""

import threading

from wire import Injected, Refusal, Response

_PROXY_PAGE = b"<html><head><title>%d</title></head><body><h1>Try again</h1></body></html>\n"


def add_options(parser, number):
    add = parser.add_argument_group("faults").add_argument
    add("--fail-first", nargs=2, type=number(1), metavar=("N", "STATUS"),
        help="answer the first N requests with STATUS and an HTML page")
    add("--early-404", type=number(0), default=0, metavar="N",
        help="a job's first N polls find nothing")
    add("--flaky", type=number(0), default=0, metavar="N",
        help="every Nth GET fails: in turn a 503 and a dropped connection")
    add("--storm", type=number(0), default=0, metavar="N",
        help="a job's first N polls (after those of --early-404) are answered 429, without "
        "Retry-After")
    add("--storm-every", type=number(2), metavar="N",
        help="every Nth request is answered 429, without Retry-After, and not carried out")
    add("--restart-after", type=number(0), metavar="N",
        help="after N requests one 503; from then on all earlier jobs, sessions and services "
        "are unknown (404)")
    add("--restart-after-polls", type=number(0), metavar="N",
        help="the same after N polls, of whichever job")
    add("--restart-silent", action="store_true", help="a restart without the 503")


class Faults:
    """`forget` is called once, when the service restarts."""

    def __init__(self, options, forget):
        self._options = options
        self._forget = forget
        self._lock = threading.Lock()
        self._requests = 0
        self._gets = 0
        self._polls = 0
        self._refused = 0
        self._restarted = False

    def request(self, request):
        """Called for every request before anything else. Raises what is to be answered."""
        options = self._options
        with self._lock:
            self._requests += 1
            count = self._requests
            if request.method == "GET":
                self._gets += 1
            gets = self._gets
        first = options.fail_first
        if first and count <= first[0]:
            raise Injected(_proxy(first[1]))
        every = options.flaky
        if every and request.method == "GET" and gets % every == 0:
            # In turn the two ways a poll fails in passing: an answer from a proxy, and none.
            raise Injected(_proxy(503, drop=(gets // every) % 2 == 0))
        self._restart(count, options.restart_after)
        if options.storm_every and count % options.storm_every == 0:
            raise self._storm()

    def poll(self, job):
        """Called for every poll of a job that exists; True when it is to find nothing."""
        options = self._options
        with self._lock:
            self._polls += 1
            count = self._polls
            job.polls += 1
            polls = job.polls
        self._restart(count, options.restart_after_polls)
        if polls <= options.early_404:
            return True
        if polls <= options.early_404 + options.storm:
            raise self._storm()
        return self._restarted and job.forgotten

    def _restart(self, count, after):
        with self._lock:
            due = after is not None and count > after and not self._restarted
            self._restarted = self._restarted or due
        if due:
            self._forget()
            if not self._options.restart_silent:
                raise Injected(Response(503, _PROXY_PAGE % 503, content_type="text/html"))

    def _storm(self):
        """In turn the two reasons that the service gives."""
        with self._lock:
            self._refused += 1
            odd = self._refused % 2 == 1
        if odd:
            return Refusal(429, "concurrency_limit_reached", "too many jobs at once",
                           active_executions=1, concurrency_limit=1)
        return Refusal(429, "rate_limit_exceeded", "too many requests a minute")


def _proxy(status, drop=False):
    """What a proxy before the service might answer: HTML, not JSON."""
    headers = [("Retry-After", "0")] if status in (429, 503) else []
    return Response(status, _PROXY_PAGE % status, headers, "text/html", drop)
