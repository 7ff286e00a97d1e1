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

FILES_LIMIT = 10
FILE_BYTES_LIMIT = 5 * 1024 * 1024
FILES_BYTES_LIMIT = 10 * 1024 * 1024
FILENAME_LIMIT = 256
TTL_DEFAULT = 60
TTL_LIMIT = 900
NETWORK_MODES = ("zerotrust", "semitrusted")

_EXECUTE_FIELDS = ("language", "code", "env", "network_mode", "ttl", "return_artifact",
                   "return_wasm_artifact", "input_files")
_RUN_PARAMETERS = ("env", "network_mode", "ttl", "return_artifact", "return_wasm_artifact")


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


def parse_execute(body, available):
    fields = parse_json(body)
    if not isinstance(fields, dict):
        raise Refusal(400, "invalid_request", "the body is not a JSON object")
    for name in fields:
        if name not in _EXECUTE_FIELDS:
            raise Refusal(400, "unknown_field", "unknown field: " + name, field=name)
    spec = Spec()
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
        spec.network_mode = _network_mode(fields["network_mode"])
    if "ttl" in fields:
        spec.ttl = _ttl(fields["ttl"])
    for name in ("return_artifact", "return_wasm_artifact"):
        if name in fields:
            if not isinstance(fields[name], bool):
                raise _invalid(name, name + " must be true or false")
            setattr(spec, name, fields[name])
    if "input_files" in fields:
        spec.files = _files(fields["input_files"])
    return spec


def parse_run(query, body, available):
    parameters = parse_query(query, _RUN_PARAMETERS)
    spec = Spec()
    spec.detected = True
    spec.code = body
    if "env" in parameters:
        spec.env = _env(parse_json(parameters["env"], "env"))
    if "network_mode" in parameters:
        spec.network_mode = _network_mode(parameters["network_mode"])
    if "ttl" in parameters:
        if not re.fullmatch(r"[0-9]{1,9}", parameters["ttl"]):
            raise _invalid("ttl", "ttl must be an integer")
        spec.ttl = _ttl(int(parameters["ttl"]))
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


def _network_mode(value):
    if value not in NETWORK_MODES:
        raise _invalid("network_mode", "network_mode must be zerotrust or semitrusted")
    return value


def _ttl(value):
    if not isinstance(value, int) or isinstance(value, bool):
        raise _invalid("ttl", "ttl must be an integer")
    if not 1 <= value <= TTL_LIMIT:
        raise _invalid("ttl", "ttl must be from 1 to %d" % TTL_LIMIT)
    return value


def _files(items):
    if not isinstance(items, list):
        raise _invalid("input_files", "input_files must be an array")
    if len(items) > FILES_LIMIT:
        raise Refusal(400, "too_many_files", "at most %d input files" % FILES_LIMIT,
                      field="input_files")
    files = []
    names = set()
    total = 0
    for index, item in enumerate(items):
        name, content = _file(index, item)
        if name in names:
            raise Refusal(400, "duplicate_filename", "two input files have one name: " + name,
                          field="input_files")
        total += len(content)
        if total > FILES_BYTES_LIMIT:
            raise Refusal(413, "files_too_large",
                          "input files of more than %d bytes in all" % FILES_BYTES_LIMIT,
                          field="input_files")
        names.add(name)
        files.append((name, content))
    return files


def _file(index, item):
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
    if (not 1 <= len(filename) <= FILENAME_LIMIT or filename == "." or ".." in filename
            or "/" in filename or "\\" in filename or "\0" in filename):
        raise Refusal(400, "invalid_filename",
                      "a file name has 1 to %d characters, no path separator and no '..'"
                      % FILENAME_LIMIT, field="input_files")
    content = _base64(item["content"])
    if len(content) > FILE_BYTES_LIMIT:
        raise Refusal(413, "file_too_large",
                      "an input file of more than %d bytes" % FILE_BYTES_LIMIT,
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
