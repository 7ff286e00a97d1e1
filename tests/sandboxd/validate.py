"""What a request asks for, or a Refusal that says which part of it is wrong.

Unknown fields are refused, although the service may well skip them: here they are a client's typo.
"""

import base64
import binascii
import json
import re
import urllib.parse

from languages import shebang_language
from wire import Refusal

MEGABYTE = 1024 * 1024
FILENAME_LIMIT = 256
TTL_DEFAULT = 60
TTL_LIMIT = 900
VCPU_LIMIT = 8
NETWORK_MODES = ("zerotrust", "semitrusted")

_EXECUTE_FIELDS = ("language", "code", "env", "network_mode", "ttl", "return_artifact",
                   "return_wasm_artifact", "input_files")
_RUN_PARAMETERS = ("env", "network_mode", "ttl", "return_artifact", "return_wasm_artifact")


class Rules:
    """What the options let a request have beyond the page."""

    def __init__(self, options):
        self.vcpu = options.vcpu
        self.extra = frozenset(options.accept_extra)
        live = options.file_limits == "live"
        self.files = 1000 if live else 10
        self.file_bytes = (100 if live else 5) * MEGABYTE
        self.files_bytes = (4096 if live else 10) * MEGABYTE
        self.folders = live

    def known(self, names):
        return names + ("vcpu",) if self.vcpu else names


class Spec:
    """One execution: `code` is bytes, `files` pairs of name and bytes."""

    def __init__(self):
        self.language = None
        self.detected = False
        self.code = b""
        self.env = {}
        self.network_mode = NETWORK_MODES[0]
        self.ttl = TTL_DEFAULT
        self.return_artifact = False
        self.return_wasm_artifact = False
        self.files = []
        self.vcpu = None
        self.extra = {}
        self.space = None  # with one, the code is a command to a shell there


def _invalid(field, message):
    return Refusal(400, "invalid_field", message, field=field)


def _not_json(name):
    raise ValueError("%s is not JSON" % name)


def parse_json(data, where="the body"):
    """RFC 8259 alone: UTF-8, no NaN, no lone surrogates. Of equal names the last wins."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_constant=_not_json)
        _refuse_surrogates(value)
    except RecursionError:
        raise Refusal(400, "invalid_json", where + " is nested too deeply") from None
    except ValueError as problem:
        raise Refusal(400, "invalid_json", "%s is not valid JSON: %s" % (where, problem)) from None
    return value


def _refuse_surrogates(value):
    """A \\ud800 without its partner is no character, and has no UTF-8."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())


def parse_fields(body, known, rules):
    """The members of a request -> those that are known, and those that --accept-extra names."""
    fields = parse_json(body)
    if not isinstance(fields, dict):
        raise Refusal(400, "invalid_request", "the body is not a JSON object")
    extra = {}
    for name in list(fields):
        if name in rules.known(known):
            continue
        if name not in rules.extra:
            raise Refusal(400, "unknown_field", "unknown field: " + name, field=name)
        extra[name] = fields.pop(name)
    return fields, extra


def parse_execute(body, available, rules):
    fields, extra = parse_fields(body, _EXECUTE_FIELDS, rules)
    spec = Spec()
    spec.extra = extra
    for name in ("language", "code"):
        if name not in fields:
            raise Refusal(400, "missing_field", name + " is required", field=name)
        if not isinstance(fields[name], str):
            raise _invalid(name, name + " must be a string")
    spec.language = _language(fields["language"], available)
    spec.code = fields["code"].encode("utf-8")
    if "env" in fields:
        spec.env = _env(fields["env"])
    if "network_mode" in fields:
        spec.network_mode = parse_network_mode(fields["network_mode"])
    if "ttl" in fields:
        spec.ttl = _ttl(fields["ttl"])
    if "vcpu" in fields:
        spec.vcpu = parse_vcpu(fields["vcpu"])
    for name in ("return_artifact", "return_wasm_artifact"):
        if name in fields:
            if not isinstance(fields[name], bool):
                raise _invalid(name, name + " must be true or false")
            setattr(spec, name, fields[name])
    if "input_files" in fields:
        spec.files = parse_files(fields["input_files"], rules)
    return spec


def parse_run(query, body, available, rules):
    parameters = parse_query(query, rules.known(_RUN_PARAMETERS))
    spec = Spec()
    spec.detected = True
    spec.code = body
    if "env" in parameters:
        spec.env = _env(parse_json(parameters["env"], "env"))
    if "network_mode" in parameters:
        spec.network_mode = parse_network_mode(parameters["network_mode"])
    if "ttl" in parameters:
        spec.ttl = _ttl(_digits("ttl", parameters))
    if "vcpu" in parameters:
        spec.vcpu = parse_vcpu(_digits("vcpu", parameters))
    for name in ("return_artifact", "return_wasm_artifact"):
        if name in parameters:
            if parameters[name] not in ("true", "false"):
                raise _invalid(name, name + " must be true or false")
            setattr(spec, name, parameters[name] == "true")
    language = shebang_language(body)
    if language is None:
        what = "an unknown interpreter" if body.startswith(b"#!") else "no shebang line"
        raise Refusal(400, "language_not_detected", "the code has " + what)
    spec.language = _language(language, available)
    return spec


def _digits(name, parameters):
    if not re.fullmatch(r"[0-9]{1,9}", parameters[name]):
        raise _invalid(name, name + " must be an integer")
    return int(parameters[name])


def parse_query(query, known):
    """Form-encoded names and values: %XX, and `+` for a space."""
    parameters = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        try:
            name = urllib.parse.unquote_plus(name, errors="strict")
            value = urllib.parse.unquote_plus(value, errors="strict")
        except UnicodeDecodeError:
            raise Refusal(400, "invalid_query", "the query is not UTF-8") from None
        if not equals or name not in known:
            raise Refusal(400, "invalid_query", "unknown query parameter: " + name, field=name)
        if name in parameters:
            raise Refusal(400, "invalid_query", "given twice: " + name, field=name)
        parameters[name] = value
    return parameters


def _language(name, available):
    if name not in available:
        raise Refusal(400, "unsupported_language", "no such language here: " + name,
                      field="language")
    return name


def _env(value):
    if not isinstance(value, dict):
        raise _invalid("env", "env must be an object of strings")
    for name, text in value.items():
        if not isinstance(text, str):
            raise _invalid("env", "env must be an object of strings")
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise _invalid("env", "env has a name or value that no environment can hold")
    return value


def parse_network_mode(value):
    if value not in NETWORK_MODES:
        raise _invalid("network_mode", "network_mode must be zerotrust or semitrusted")
    return value


def parse_range(name, value, low, high):
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _invalid(name, "%s must be an integer from %d to %d" % (name, low, high))
    return value


def _ttl(value):
    return parse_range("ttl", value, 1, TTL_LIMIT)


def parse_vcpu(value):
    return parse_range("vcpu", value, 1, VCPU_LIMIT)


def parse_ports(items):
    if not isinstance(items, list):
        raise _invalid("ports", "ports must be an array")
    return [parse_range("ports", item, 1, 65535) for item in items]


def parse_text(name, fields):
    """A member that must be there, a text and not empty."""
    if name not in fields:
        raise Refusal(400, "missing_field", name + " is required", field=name)
    if not isinstance(fields[name], str) or not fields[name] or "\0" in fields[name]:
        raise _invalid(name, name + " must be a string, not empty and without NUL")
    return fields[name].encode("utf-8")


def parse_files(items, rules):
    if not isinstance(items, list):
        raise _invalid("input_files", "input_files must be an array")
    if len(items) > rules.files:
        raise Refusal(400, "too_many_files", "at most %d input files" % rules.files,
                      field="input_files")
    files = []
    names = set()
    total = 0
    for index, item in enumerate(items):
        name, content = _file(index, item, rules)
        if name in names:
            raise Refusal(400, "duplicate_filename", "two input files have one name: " + name,
                          field="input_files")
        total += len(content)
        if total > rules.files_bytes:
            raise Refusal(413, "files_too_large",
                          "input files of more than %d bytes in all" % rules.files_bytes,
                          field="input_files")
        names.add(name)
        files.append((name, content))
    for name in names:
        while "/" in name:
            name = name.rpartition("/")[0]
            if name in names:
                raise Refusal(400, "duplicate_filename", "a file and a folder have one name: "
                              + name, field="input_files")
    return files


def _file(index, item, rules):
    if not isinstance(item, dict):
        raise _invalid("input_files", "an input file must be an object")
    for name in item:
        if name not in ("filename", "content"):
            raise Refusal(400, "unknown_field", "unknown field of an input file: " + name,
                          field="input_files")
    if "content" not in item:
        raise Refusal(400, "missing_field", "an input file needs content", field="input_files")
    filename = item.get("filename", str(index))
    if not isinstance(filename, str) or not isinstance(item["content"], str):
        raise _invalid("input_files", "filename and content must be strings")
    parts = filename.split("/") if rules.folders else [filename]
    if (len(filename) > FILENAME_LIMIT or ".." in filename or "" in parts or "." in parts
            or any(letter in part for part in parts for letter in "/\\\0")):
        raise Refusal(400, "invalid_filename",
                      "a file name has 1 to %d characters, no path separator and no '..'"
                      % FILENAME_LIMIT, field="input_files")
    content = _base64(item["content"])
    if len(content) > rules.file_bytes:
        raise Refusal(413, "file_too_large",
                      "an input file of more than %d bytes" % rules.file_bytes,
                      field="input_files")
    return filename, content


def _base64(text):
    """Canonical base64 alone: padded, no line breaks, no stray bits in the last character."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
        if base64.b64encode(data).decode("ascii") == text:
            return data
    except (binascii.Error, ValueError):
        pass
    raise Refusal(400, "invalid_base64", "an input file's content is not canonical base64",
                  field="input_files")
