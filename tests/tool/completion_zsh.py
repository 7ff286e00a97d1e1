#!/usr/bin/env python3
"""Asks examples/_unsb what it offers, in a zsh on a terminal of its own."""

import os
import pty
import re
import select
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SETUP = """
PS1='%%%%'; unset zle_bracketed_paste; setopt no_beep
unsb() { case "$*" in
"-q languages") print -l python perl 'py -> python';;
"-q jobs") print -l 'job_1  running' 'other  running';;
esac }
fpath=(%s $fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word
zstyle ':completion:*' menu no; print RE''ADY
"""


class Shell:
    def __init__(self, directory):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ.update(TERM="dumb", HOME=directory, ZDOTDIR=directory)
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.send(SETUP % os.path.join(HERE, "..", "..", "examples"))
        self.until("READY")

    def send(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern, seconds=60):
        seen = ""
        limit = time.monotonic() + seconds
        while not re.search(pattern, seen) and time.monotonic() < limit:
            if select.select([self.fd], [], [], 0.1)[0]:
                seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        return seen

    def offers(self, line, pattern):
        """What comes on the screen when TAB is pressed at the end of a line."""
        self.send(line + "\t")
        seen = self.until(line + pattern if not pattern.startswith("(?s)") else pattern)
        self.send("\x15\n")
        self.until("%%", 1)
        if re.search(pattern, seen):
            return True
        print("%r: %r does not match %r" % (line, seen, pattern))
        return False


def main():
    directory = tempfile.mkdtemp(prefix="unsb-zsh-")
    try:
        open(os.path.join(directory, "hello.py"), "w").close()
        shell = Shell(directory)
        good = [shell.offers(*case) for case in (
            ("unsb --was", "m"), ("unsb -s pyt", "hon"), ("unsb --network=z", "erotrust"),
            ("unsb -n s", "emitrusted"), ("unsb lang", "uages"), ("unsb hel", "lo.py"),
            ("unsb wait jo", "b_1"), ("unsb cancel ot", "her"), ("unsb request DEL", "ETE"),
            ("unsb -a --ver", "(?s)--verbose.*--version"))]
        shell.send("\x15exit\n")
        return 0 if all(good) else 1
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
