"""One execution from its request to its result: files, compiler, program, artifacts, clean-up."""

import base64
import json
import os
import shutil
import stat
import time

from languages import CHILD_PATH


class Workspace:
    """The directories of one job: for the program, the compiler, and temporary files."""

    def __init__(self, base, job_id):
        self.root = os.path.join(base, job_id)
        self.work = os.path.join(self.root, "work")
        self.build = os.path.join(self.root, "build")
        self.temp = os.path.join(self.root, "tmp")
        self.input = os.path.join(self.root, "input")
        for path in (self.root, self.work, self.build, self.temp):
            os.mkdir(path, 0o700)

    def remove(self):
        remove_tree(self.root)


def base_env(space):
    return {"PATH": CHILD_PATH, "HOME": space.work, "LANG": "C.UTF-8", "TMPDIR": space.temp}


def write_files(folder, files, replace=False):
    """Writes pairs of name and content. Returns what is to be said about those left out."""
    notes = b""
    for index, (name, content) in enumerate(files):
        raw = name.encode("utf-8")
        longest = max(len(part) for part in raw.split(b"/"))
        if longest > 255:
            # The limit of the API is in characters, the file system's in bytes, and lower.
            notes += (b"sandboxd: input file %d left out: this system cannot hold a file "
                      b"name of %d bytes\n" % (index, longest))
            continue
        path = os.path.join(os.fsencode(folder), raw)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(path, "wb" if replace else "xb") as handle:
            handle.write(content)
    return notes


def remove_tree(path):
    """Removes even what a program has made unwritable for its owner."""
    shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(path):
        for folder, _, _ in os.walk(path):
            try:
                os.chmod(folder, stat.S_IRWXU)
            except OSError:
                pass
        shutil.rmtree(path, ignore_errors=True)


class Report:
    """How an execution ended. `result` is None when the program never ran."""

    def __init__(self, status, result=None, error=None):
        self.status = status
        self.result = result
        self.error = error


class Executor:
    def __init__(self, runner, languages, base, max_output, inputs):
        self.runner = runner
        self.languages = languages
        self.base = base
        self.max_output = max_output
        self.inputs = inputs

    def execute(self, job_id, spec, control):
        workspace = spec.space
        try:
            if workspace is None:
                workspace = Workspace(self.base, job_id)
            return _Execution(self, workspace, spec, control).perform()
        except OSError as problem:
            return Report("failed", error="could not start the program: %s" % problem)
        finally:
            if workspace is not None and workspace is not spec.space:
                workspace.remove()


class _Execution:
    def __init__(self, executor, workspace, spec, control):
        self.executor = executor
        self.space = workspace
        self.spec = spec
        self.control = control
        self.language = executor.languages[spec.language]
        self.started = time.monotonic()
        self.deadline = self.started + spec.ttl
        self.notes = b""
        self.artifacts = []
        self.binary = os.path.join(workspace.build, "a.out")

    def perform(self):
        self._write_files()
        if self.spec.space is not None:
            command = self.language.command + ["-c", self.spec.code]
            return self._report(self._run(command, self._base_env()))
        source = self._write_source()
        command = None
        if self.language.compiler:
            outcome = self._compile(self.language.compiler, source, self.binary)
            if outcome.ended != "exit" or outcome.exit_code != 0:
                return self._report(outcome)
            command = [self.binary]
            self._add_artifacts(source)
        else:
            command = self.language.command + [source]
            if self.spec.return_wasm_artifact:
                self._lack_wasm("no WebAssembly from %s here" % self.language.name)
        env = self._base_env()
        env.update(self.spec.env)
        return self._report(self._run(command, env))

    def _base_env(self):
        env = base_env(self.space)
        env.update(self.executor.inputs.env(self.space))
        # So that a test sees what of its request arrived.
        if self.spec.vcpu is not None:
            env["SANDBOXD_VCPU"] = str(self.spec.vcpu)
        if self.spec.extra:
            env["SANDBOXD_EXTRA"] = json.dumps(self.spec.extra)
        return env

    def _run(self, command, env):
        network = self.spec.network_mode == "semitrusted"
        return self.executor.runner.run(command, self.space.work, env, network, self.deadline,
                                        self.control, self.executor.max_output,
                                        self.executor.inputs.mount(self.space))

    # ---- input -------------------------------------------------------------------------

    def _write_files(self):
        self.notes += write_files(self.executor.inputs.folder(self.space), self.spec.files,
                                  replace=self.spec.space is not None)

    def _write_source(self):
        """The source lies among the input files, so that it can import them. Returns its name."""
        code = self.spec.code
        if self.language.comment and code.startswith(b"#!"):
            code = self.language.comment.encode("ascii") + code
        taken = {name.split("/")[0] for name, _ in self.spec.files}
        number = 0
        name = "main" + self.language.suffix
        while name in taken:
            number += 1
            name = "main%d%s" % (number, self.language.suffix)
        with open(os.path.join(self.space.work, name), "xb") as handle:
            handle.write(code)
        return name

    # ---- compiled languages ------------------------------------------------------------

    def _compile(self, template, source, output):
        command = [word.format(src=source, out=output) for word in template]
        env = dict(self._base_env(), **self.language.build_env)
        return self._run(command, env)

    def _add_artifacts(self, source):
        if self.spec.return_artifact:
            self._add_artifact("artifact", "a.out", self.binary)
        if not self.spec.return_wasm_artifact:
            return
        if not self.language.wasm:
            self._lack_wasm("no WebAssembly from %s here" % self.language.name)
            return
        module = os.path.join(self.space.build, "a.wasm")
        outcome = self._compile(self.language.wasm, source, module)
        if outcome.ended == "exit" and outcome.exit_code == 0:
            self._add_artifact("wasm_artifact", "a.wasm", module)
        else:
            self.notes += outcome.stderr
            self._lack_wasm("the code does not compile to freestanding WebAssembly")

    def _lack_wasm(self, error):
        self.artifacts.append({"kind": "wasm_artifact", "error": error})

    def _add_artifact(self, kind, name, path):
        with open(path, "rb") as handle:
            content = base64.b64encode(handle.read()).decode("ascii")
        self.artifacts.append({"kind": kind, "filename": name, "content_base64": content})

    # ---- output ------------------------------------------------------------------------

    def _report(self, outcome):
        status = {"exit": "completed", "output": "failed"}.get(outcome.ended, outcome.ended)
        error = None
        if outcome.ended == "timeout":
            error = "execution timed out after %g s" % self.spec.ttl
        elif outcome.ended == "output":
            error = "output_limit_exceeded"
        success = outcome.ended == "exit" and outcome.exit_code == 0
        stderr = outcome.stderr + self.notes
        result = make_result(self.spec, success, as_text(outcome.stdout), as_text(stderr),
                             outcome.exit_code, self.artifacts,
                             (time.monotonic() - self.started) * 1000)
        return Report(status, result, error)


def as_text(data):
    """Output as a canonical answer has it: bytes that are not UTF-8 are not lost."""
    return data.decode("utf-8", "surrogateescape")


def make_result(spec, success, stdout, stderr, exit_code, artifacts, total_time_ms):
    result = {"success": success, "stdout": stdout, "stderr": stderr, "exit_code": exit_code,
              "language": spec.language}
    if spec.detected:
        result["detected_language"] = spec.language
    result.update(artifacts=artifacts, execution_mode="pooled", network_mode=spec.network_mode,
                  total_time_ms=total_time_ms)
    return result
