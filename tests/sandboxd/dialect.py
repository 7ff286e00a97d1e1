"""How answers look: the forms that the service's pages, schema and clients show, each by its name.

The rest of the server makes one canonical answer of each kind. present() turns it into the form
that the options ask for, encode() writes it as JSON. Canonical are: times as Unix seconds with a
fraction, milliseconds with a fraction, output as text in which a byte that is not UTF-8 is a lone
surrogate (Python's surrogateescape), results nested in `result`, artifacts as objects of `kind`,
`filename` and `content_base64`, or of `kind` and `error`.
"""

import argparse
import json
import re
import time

from wire import Response

# What `--dialect live` sets, unless an option of its own says otherwise. All else is the page's.
_LIVE = {"iso_times": True, "flat": True, "root_arrays": "jobs", "aliases": True,
         "pending": "202", "artifacts": "data", "artifact_errors": True, "retry_after": False,
         "key_answers": "live", "open_languages": True, "vcpu": True, "file_limits": "live"}
_PAGE = {"iso_times": False, "flat": False, "root_arrays": "no", "aliases": False,
         "pending": "no", "artifacts": "content_base64", "artifact_errors": False,
         "retry_after": True, "key_answers": "page", "open_languages": False, "vcpu": False,
         "file_limits": "page"}

_SHAPES = ("content_base64", "described", "data", "content", "single")
_ODDITIES = {
    "accepted-running": "a job that has just been accepted is called running",
    "bom": "a byte order mark comes before each document",
    "lists": "an empty list is {}",
    "no-status": "a job that has ended has no status",
    "no-success": "a result has no success",
    "null-items": "each list ends with null",
    "status-word": "a job that has ended has an unknown status, finished",
    "success-number": "success is 1 or 0",
    "success-text": "success is a text",
    "tail": "bytes that are no JSON follow each document",
    "time-text": "total_time_ms is a text",
}
_TIMES = ("created_at", "started_at", "completed_at", "expires_at", "valid_through_datetime",
          "expired_at_datetime")
_MIME = {"artifact": "application/octet-stream", "wasm_artifact": "application/wasm"}
_ALIASES = {"bash": "shell", "cpp": "c++", "go": "golang", "javascript": "js", "python": "py",
            "ruby": "rb", "rust": "rs", "typescript": "ts"}
_RENEW_URL = "https://unsandbox.com/keys/extend?pk="
_YEAR = 365 * 86400


def add_options(parser):
    flag = argparse.BooleanOptionalAction
    group = parser.add_argument_group("the form of answers")
    add = group.add_argument
    add("--dialect", choices=("page", "live"), default="page",
        help="page: the documentation page of 2025-12 (default). live: what the service's clients "
        "show since; a preset of --iso-times --flat --root-arrays jobs --aliases --pending 202 "
        "--artifacts data --artifact-errors --no-retry-after --key-answers live --open-languages "
        "--vcpu --file-limits live, each of which can be set otherwise")
    add("--iso-times", action=flag, help="times as RFC 3339 texts with a fraction")
    add("--time-offset", type=_offset, default=0, metavar="+HH:MM",
        help="the offset of RFC 3339 texts with a fraction, instead of Z")
    add("--flat", action=flag, help="a job's result beside its status, not in `result`")
    add("--root-arrays", nargs="?", const="both", choices=("both", "jobs", "languages", "no"),
        help="GET /jobs (created_at instead of submitted_at) and GET /languages as bare arrays")
    add("--aliases", action=flag, help="GET /languages with aliases and count")
    add("--pending", nargs="?", const="202", choices=("202", "200", "no"),
        help="POST /execute and /run answer at once with this status and a pending job")
    add("--artifacts", choices=_SHAPES,
        help="content_base64: [{filename, content_base64}] (page). described: mime_type and size "
        "with it. data: [{type: base64, filename, data}] (live). content: [{filename, content}]. "
        "single: `artifact` and `wasm_artifact`, each {type: base64, filename, data}")
    add("--artifact-names", choices=("filename", "name"), default="filename",
        help="the member that has an artifact's name")
    add("--artifact-order", choices=("name-first", "content-first"), default="name-first",
        help="whether an artifact's name comes before its content (default) or after")
    add("--artifact-errors", action=flag, help="an artifact that could not be made is an item "
        "{type: error, error}; without, a text beside the artifacts")
    add("--delete-204", action=flag, default=False, help="DELETE answers 204 without a body")
    errors = group.add_mutually_exclusive_group().add_argument
    errors("--error-objects", dest="error_shape", action="store_const", const="object",
           help="errors as {error: {code, message}, status}")
    errors("--error-detail", dest="error_shape", nargs="?", const="errors",
           choices=("errors", "detail"),
           help="errors as {errors: {detail}, status}, or with `detail` as {detail, status}")
    add("--retry-after", action=flag,
        help="429 says when to come back (page); without, it has active_executions (live)")
    add("--key-answers", choices=("page", "live", "short"),
        help="POST /keys/validate: page, the clients' form (live), or llms.txt's form (short)")
    add("--binary", choices=("replace", "surrogates", "raw"), default="replace",
        help="output that is not UTF-8: U+FFFD (default), \\udcXX for each byte, or the bytes")
    add("--raw-controls", action="store_true", help="control characters are not escaped")
    add("--fractions", action="store_true", help="numbers with a fraction: 523.7, 1699564800.25")
    add("--odd", action="append", choices=sorted(_ODDITIES), default=[], metavar="KIND",
        help="a harmless oddity; repeatable. " + ". ".join(
            "%s: %s" % item for item in sorted(_ODDITIES.items())))
    add("--ascii", action="store_true", help="escape all non-ASCII characters in JSON")


def resolve(options):
    """Fills what no option of its own has set from the dialect's preset."""
    for name, value in (_LIVE if options.dialect == "live" else _PAGE).items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def _offset(text):
    match = re.fullmatch(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])", text)
    if not match:
        raise argparse.ArgumentTypeError("not of the form +HH:MM: " + text)
    minutes = int(match.group(2)) * 60 + int(match.group(3))
    return -minutes if match.group(1) == "-" else minutes


class Dialect:
    def __init__(self, options):
        self._options = options
        flat = options.flat
        self._steps = {
            "result": (self._flat_result if flat else self._result,),
            "accepted": (self._flat_accepted if flat else self._accepted, self._odd_accepted),
            "job": (self._flat_job if flat else self._job, self._odd_job),
            "jobs": (self._jobs,),
            "cancelled": (self._flat_cancelled if flat else self._cancelled,),
            "languages": (self._languages,),
            "key": {"page": (self._page_key,), "live": (self._live_key, self._refused_key),
                    "short": (self._short_key, self._refused_key)}[options.key_answers],
            "error": (self._limits, self._clock_error),
        }
        if options.error_shape == "object":
            self._steps["error"] += (self._object_error,)
        elif options.error_shape is not None:
            self._steps["error"] += (self._detail_error,)

    def present(self, response):
        """A canonical answer -> the answer to send. What has no kind is sent as it is."""
        if response.kind is None:
            return response
        if response.kind in ("cancelled", "deleted") and self._options.delete_204:
            return Response(204, b"", response.headers)
        shown = Response(response.status, response.content, response.headers)
        for step in self._steps.get(response.kind, ()):
            step(shown)
        shown.content = self._numbers(shown.content)
        return shown

    # ---- results -----------------------------------------------------------------------

    def _result(self, shown):
        answer = dict(shown.content)
        error = self._place_artifacts(answer) or answer.pop("error", None)
        if error is not None:
            answer["error"] = error
        shown.content = answer

    def _flat_result(self, shown):
        self._result(shown)
        del shown.content["execution_mode"]

    def _place_artifacts(self, answer):
        """Replaces the canonical artifacts. Returns the error that has no place among them."""
        options = self._options
        error = None
        shown = []
        for item in answer["artifacts"]:
            if "error" not in item:
                shown.append((item["kind"], self._artifact(item)))
            elif options.artifact_errors:
                shown.append((item["kind"], {"type": "error", "error": item["error"]}))
            else:
                error = item["error"]
        if options.artifacts == "single":
            del answer["artifacts"]
            answer.update(shown)
        else:
            answer["artifacts"] = [item for _, item in shown]
        return answer.pop("error", None) or error

    def _artifact(self, item):
        shape = self._options.artifacts
        content = item["content_base64"]
        name = [(self._options.artifact_names, item["filename"])]
        members = {"content_base64": [("content_base64", content)],
                   "described": [("mime_type", _MIME[item["kind"]]), ("content_base64", content),
                                 ("size", _decoded_size(content))],
                   "content": [("content", content)]}.get(shape, [("data", content)])
        if self._options.artifact_order == "content-first":
            members = members + name
        else:
            members = name + members
        if shape in ("data", "single"):
            members.insert(0, ("type", "base64"))
        return dict(members)

    # ---- jobs --------------------------------------------------------------------------

    def _accepted(self, shown):
        shown.content = {name: shown.content[name] for name in ("job_id", "status")}

    def _flat_accepted(self, shown):
        shown.content = dict(shown.content, message="Job accepted")

    def _job(self, shown):
        answer = dict(shown.content)
        del answer["language"], answer["network_mode"]
        result = answer.pop("result", None)
        error = answer.pop("error", None)
        if result is not None:
            result = dict(result)
            error = error or self._place_artifacts(result)
        if error is not None:
            answer["error"] = error
        if result is not None:
            answer["result"] = result
        shown.content = answer

    def _flat_job(self, shown):
        answer = dict(shown.content)
        result = answer.pop("result", None)
        if answer["status"] not in ("pending", "running"):
            answer.setdefault("error", None)
        if result is not None:
            result = dict(result)
            answer["error"] = answer["error"] or self._place_artifacts(result)
            del result["execution_mode"]
            answer.update(result)
        shown.content = answer

    def _odd_accepted(self, shown):
        if "accepted-running" in self._options.odd:
            shown.content["status"] = "running"

    def _odd_job(self, shown):
        if shown.content["status"] in ("pending", "running"):
            return
        if "status-word" in self._options.odd:
            shown.content["status"] = "finished"
        if "no-status" in self._options.odd:
            del shown.content["status"]

    def _jobs(self, shown):
        bare = self._options.root_arrays in ("jobs", "both")
        items = []
        for job in shown.content:
            item = {name: job[name] for name in ("job_id", "status", "language")}
            if bare:
                item["network_mode"] = job["network_mode"]
            # Texts, even where a job itself has numbers.
            item["created_at" if bare else "submitted_at"] = self._text_time(job["created_at"])
            items.append(item)
        shown.content = items if bare else {"jobs": items}

    def _cancelled(self, shown):
        job = shown.content
        result = dict(job["result"])
        self._place_artifacts(result)
        shown.content = {"message": "Job cancelled", "job_id": job["job_id"], "result": result}

    def _flat_cancelled(self, shown):
        job = shown.content
        result = dict(job["result"])
        self._place_artifacts(result)
        answer = {"job_id": job["job_id"], "status": job["status"], "message": "Job cancelled"}
        for name in ("success", "stdout", "stderr"):
            answer[name] = result[name]
        answer["completed_at"] = job["completed_at"]
        if "artifacts" in result:
            answer["artifacts"] = result["artifacts"]
        shown.content = answer

    def _languages(self, shown):
        names = shown.content
        if self._options.root_arrays in ("languages", "both"):
            return
        shown.content = {"languages": names}
        if self._options.aliases:
            aliases = {alias: name for name, alias in _ALIASES.items() if name in names}
            shown.content.update(aliases=aliases, count=len(names))

    # ---- keys --------------------------------------------------------------------------

    def _page_key(self, shown):
        key = dict(shown.content)
        key.pop("public_key", None)
        shown.content = key

    def _live_key(self, shown):
        key = shown.content
        if not key["valid"]:
            return
        shown.content = {"valid": True, "tier": 1, "status": "active",
                         "public_key": key["public_key"],
                         "valid_through_datetime": time.time() + _YEAR,
                         "valid_for_human": "365 days"}
        shown.content.update({name: key[name] for name in ("rate_per_minute", "burst",
                                                           "concurrency") if name in key})

    def _short_key(self, shown):
        key = shown.content
        if not key["valid"]:
            return
        shown.content = {"valid": True, "tier": 1, "expires_at": time.time() + _YEAR}
        if "rate_per_minute" in key:
            shown.content["rate_limit"] = key["rate_per_minute"]
        if "concurrency" in key:
            shown.content["concurrency"] = key["concurrency"]

    def _refused_key(self, shown):
        if shown.content["valid"]:
            return
        key = dict(shown.content)
        if key["reason"] == "unknown_key":
            key["reason"] = "invalid_key"
        else:
            key.update(expired_at_datetime=time.time() - 86400, expired_ago="1 day",
                       renew_url=_RENEW_URL + key["public_key"])
            del key["public_key"]
        shown.status = 401
        shown.content = key

    # ---- errors ------------------------------------------------------------------------

    def _limits(self, shown):
        members = dict(shown.content)
        others = [item for item in shown.headers if item[0] != "Retry-After"]
        if shown.status == 429 and not self._options.retry_after:
            members.pop("retry_after", None)
            shown.headers = others
        elif others != shown.headers:
            members.pop("active_executions", None)
        shown.content = members

    def _clock_error(self, shown):
        if (shown.content["error"] == "timestamp_out_of_range"
                and self._options.key_answers != "page"):
            shown.content["error"] = "invalid_timestamp"

    def _object_error(self, shown):
        members = shown.content
        error = {"code": members.pop("error"), "message": members.pop("message")}
        shown.content = dict(error=error, status=shown.status, **members)

    def _detail_error(self, shown):
        members = shown.content
        del members["error"]
        detail = members.pop("message")
        if self._options.error_shape == "errors":
            members = dict(errors={"detail": detail}, status=shown.status, **members)
        else:
            members = dict(detail=detail, status=shown.status, **members)
        shown.content = members

    # ---- values ------------------------------------------------------------------------

    def _numbers(self, value):
        """Times, durations and the oddities of single values, wherever they stand."""
        odd = self._options.odd
        if isinstance(value, list):
            if not value and "lists" in odd:
                return {}
            items = [self._numbers(item) for item in value]
            return items + [None] if "null-items" in odd else items
        if not isinstance(value, dict):
            return value
        return {name: self._member(name, item) for name, item in value.items()
                if name != "success" or "no-success" not in odd}

    def _member(self, name, value):
        options = self._options
        if name in _TIMES and isinstance(value, float):
            return self._time(value)
        if name == "total_time_ms":
            value = int(value) + 0.7 if options.fractions else int(value)
            return str(value) if "time-text" in options.odd else value
        if name == "success" and "success-number" in options.odd:
            return int(value)
        if name == "success" and "success-text" in options.odd:
            return "true" if value else "false"
        return self._numbers(value)

    def _time(self, value):
        if self._options.iso_times:
            return self._text_time(value)
        return int(value) + 0.25 if self._options.fractions else int(value)

    def _text_time(self, value):
        if not self._options.iso_times:
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value))
        offset = self._options.time_offset
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(value + offset * 60))
        text += ".%06d" % (value % 1 * 1000000)
        if not offset:
            return text + "Z"
        return text + "%s%02d:%02d" % ("-" if offset < 0 else "+", *divmod(abs(offset), 60))

    # ---- bytes -------------------------------------------------------------------------

    def encode(self, content):
        """The JSON document, with whatever is asked for that is no JSON."""
        options = self._options
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        if options.binary == "replace":
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if options.raw_controls:
            text = re.sub(r"\\(?:u00[01][0-9a-f]|.)", _unescape_control, text)
        if options.ascii:
            text = re.sub("[^\0-\x7f\ud800-\udfff]", _escape, text)
        # A lone surrogate is either the byte that it stands for, or its own escape sequence.
        data = text.encode("utf-8", "surrogateescape" if options.binary == "raw"
                           else "backslashreplace") + b"\n"
        if "bom" in options.odd:
            data = b"\xef\xbb\xbf" + data
        if "tail" in options.odd:
            data += b"\0 }] end\n"
        return data


def _decoded_size(text):
    return len(text) // 4 * 3 - text[-2:].count("=")


def _escape(match):
    return json.dumps(match.group())[1:-1]


def _unescape_control(match):
    text = match.group()
    return text if text in ('\\"', "\\\\", "\\u") else json.loads('"%s"' % text)
