"""The languages this machine can run, and how; and which of them a shebang line names."""

import os
import re
import shlex
import shutil
import subprocess
import sys

CHILD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# name: (suffix, candidate commands). A source file's name follows the command.
_INTERPRETED = {
    "awk": (".awk", (["gawk", "-f"], ["mawk", "-f"], ["awk", "-f"])),
    "bash": (".sh", (["bash"],)),
    "elixir": (".exs", (["elixir"],)),
    "haskell": (".hs", (["runghc"],)),
    "javascript": (".js", (["node"], ["nodejs"])),
    "julia": (".jl", (["julia"],)),
    "lua": (".lua", (["lua"], ["lua5.4"], ["lua5.3"])),
    "ocaml": (".ml", (["ocaml"],)),
    "perl": (".pl", (["perl"],)),
    "php": (".php", (["php"],)),
    "r": (".R", (["Rscript"],)),
    "ruby": (".rb", (["ruby"],)),
    "sh": (".sh", (["sh"],)),
    "tcl": (".tcl", (["tclsh"],)),
    "zsh": (".zsh", (["zsh"],)),
}

# The base name of a shebang's interpreter, without version, to a language.
_SHEBANG = {
    "python": "python", "pypy": "python",
    "node": "javascript", "nodejs": "javascript",
    "ts-node": "typescript", "tsx": "typescript",
    "bash": "bash", "sh": "sh", "dash": "sh", "ash": "sh", "zsh": "zsh",
    "perl": "perl", "ruby": "ruby", "php": "php", "lua": "lua", "tclsh": "tcl", "tcl": "tcl",
    "awk": "awk", "gawk": "awk", "mawk": "awk", "nawk": "awk",
    "ocaml": "ocaml", "rscript": "r", "julia": "julia", "elixir": "elixir", "runghc": "haskell",
    "runhaskell": "haskell",
    "c": "c", "cc": "c", "gcc": "c", "clang": "c", "tcc": "c",
    "cpp": "cpp", "c++": "cpp", "g++": "cpp", "clang++": "cpp",
    "go": "go", "rust": "rust", "rustc": "rust", "rust-script": "rust", "java": "java",
    "fortran": "fortran", "gfortran": "fortran",
}


class Language:
    """`command` runs a source, or, where `compiler` is set, `{out}` is built from `{src}` first."""

    def __init__(self, name, suffix, command=None, compiler=None, wasm=None, comment=None,
                 build_env=None):
        self.name = name
        self.suffix = suffix
        self.command = command
        self.compiler = compiler
        self.wasm = wasm
        # What hides a shebang line from a compiler, where the language does not skip it by itself.
        self.comment = comment
        self.build_env = build_env or {}


def find(*names):
    # The system's own commands come first: a version manager's shims need the user's HOME.
    for name in names:
        path = shutil.which(name, path=CHILD_PATH) or shutil.which(name)
        if path:
            return path
    return None


def _ask(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _rustc():
    # A rustup proxy works only with the user's HOME; the compiler in its sysroot needs nothing.
    rustc = find("rustc")
    sysroot = _ask(rustc, "--print", "sysroot") if rustc else ""
    if sysroot:
        inner = os.path.join(sysroot, "bin", "rustc")
        return inner if os.access(inner, os.X_OK) else rustc
    return None


def _typescript():
    for name, arguments in (("tsx", []), ("ts-node", []), ("deno", ["run", "--quiet"]),
                            ("bun", ["run"])):
        path = find(name)
        if path:
            return [path] + arguments
    node = find("node", "nodejs")
    version = re.match(r"v(\d+)\.(\d+)", _ask(node, "--version")) if node else None
    if version and (int(version.group(1)), int(version.group(2))) >= (22, 6):
        return [node, "--no-warnings", "--experimental-strip-types"]
    return None


def _wasm(driver):
    if not driver or not find("wasm-ld"):
        return None
    return [driver, "--target=wasm32", "-O1", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-all",
            "-I", ".", "-o", "{out}", "{src}"]


def discover(cache_dir):
    """All languages available here, by name. `cache_dir` outlives the jobs."""
    found = {"python": Language("python", ".py", [sys.executable, "-u"])}
    for name, (suffix, candidates) in _INTERPRETED.items():
        for command in candidates:
            path = find(command[0])
            if path:
                found[name] = Language(name, suffix, [path] + command[1:])
                break
    typescript = _typescript()
    if typescript:
        found["typescript"] = Language("typescript", ".ts", typescript)
    build = ["-I", ".", "-o", "{out}", "{src}"]
    cc = find("gcc", "clang", "cc")
    if cc:
        found["c"] = Language("c", ".c", compiler=[cc] + build + ["-lm"], comment="//",
                              wasm=_wasm(find("clang")))
    cxx = find("g++", "clang++", "c++")
    if cxx:
        found["cpp"] = Language("cpp", ".cpp", compiler=[cxx] + build, comment="//",
                                wasm=_wasm(find("clang++")))
    fortran = find("gfortran")
    if fortran:
        found["fortran"] = Language("fortran", ".f90", compiler=[fortran] + build, comment="!")
    rustc = _rustc()
    if rustc:
        found["rust"] = Language("rust", ".rs", comment="//",
                                 compiler=[rustc, "--edition=2021", "-o", "{out}", "{src}"])
    go = find("go")
    if go:
        found["go"] = Language("go", ".go", compiler=[go, "build", "-o", "{out}", "{src}"],
                               comment="//",
                               build_env={"GOCACHE": os.path.join(cache_dir, "go-build"),
                                          "GOPATH": os.path.join(cache_dir, "go"),
                                          "GOTOOLCHAIN": "local", "GO111MODULE": "off"})
    if find("javac") and find("java"):
        found["java"] = Language("java", ".java", [find("java")], comment="//")
    return found


def shebang_language(code):
    """The language the first line of `code` (bytes) names, or None."""
    if not code.startswith(b"#!"):
        return None
    line = code.split(b"\n", 1)[0][2:].decode("utf-8", "replace").strip()
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    if not words:
        return None
    program = os.path.basename(words[0])
    if program == "env":
        program = os.path.basename(_env_command(words[1:]) or "")
    name = program.lower()
    if name in _SHEBANG:
        return _SHEBANG[name]
    return _SHEBANG.get(re.sub(r"-?[0-9]+(\.[0-9]+)*$", "", name))


def _env_command(words):
    """The command among env(1)'s arguments: options and assignments come before it."""
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-S", "-vS", "-iS", "--split-string"):
            words = " ".join(words).split()
            continue
        if word in ("-u", "--unset", "-C", "--chdir"):
            if words:
                words.pop(0)
            continue
        if word.startswith("--split-string=") or word.startswith("-S"):
            split = word[2:] if word.startswith("-S") else word.partition("=")[2]
            words = split.split() + words
            continue
        if word.startswith("-") or "=" in word:
            continue
        return word
    return None
