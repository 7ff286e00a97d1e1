"""Runs one command so that nothing of it outlives it: not at its end, its deadline, its cancel.

On Linux each command gets a PID namespace where the system allows: the kernel then kills every
process in it together with its first one, setsid() or not. Elsewhere the process group is killed,
and, where /proc exists, whatever else shares the session or carries the job's mark in its
environment. A program that clears its environment and leaves its session escapes that.
"""

import fcntl
import os
import secrets
import selectors
import shlex
import signal
import subprocess
import threading
import time

from languages import CHILD_PATH, find

TIMEOUT_EXIT = 124
CANCEL_EXIT = -1
MARK = "SANDBOXD_MARK"
_F_SETPIPE_SZ = 1031  # Linux; absent from fcntl before Python 3.10
_DRAIN_SECONDS = 2.0

# The first process of a namespace: a program in its place would not die of its own signals. It
# reports a death by signal as 128 + number. The program's stderr comes to it as its stdin: what
# it and unshare(1) have to say themselves goes to their own stderr, which leads nowhere.
_INIT = 'ulimit -c 0; (exec "$@" 2>&0 </dev/null); exit $?'


# Between unshare(1) and the first process: mounts $1 on $2, for this namespace alone.
_MOUNT = 'mount --bind "$1" "$2" || exit 126; shift 2; exec "$@"'


class Outcome:
    def __init__(self, ended, exit_code, stdout, stderr):
        self.ended = ended  # "exit", "timeout", "cancelled" or "output"
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class Control:
    """Cancels a job in whichever of its commands it is."""

    def __init__(self):
        self._lock = threading.Lock()
        self._wake = None
        self.cancelled = False

    def cancel(self):
        with self._lock:
            self.cancelled = True
            if self._wake is not None:
                os.write(self._wake, b"c")

    def attach(self, wake):
        with self._lock:
            self._wake = wake


class _Collector:
    """The output of one command, up to a total of `limit` bytes."""

    def __init__(self, limit):
        self.room = limit
        self.over = False
        self.parts = {}

    def add(self, fd, data):
        if len(data) > self.room:
            self.over = True
            data = data[:self.room]
        self.room -= len(data)
        self.parts.setdefault(fd, []).append(data)

    def bytes(self, fd):
        return b"".join(self.parts.get(fd, ()))


class Runner:
    def __init__(self):
        self._lock = threading.Lock()
        self._active = {}
        self._closing = False
        self._shell = find("sh") or "/bin/sh"
        self._env = find("env") or "/usr/bin/env"
        self.open_network = []   # what precedes a command that keeps the network
        self.cut_network = None  # and one that has none; None where that cannot be done
        self.pid_namespace = False
        self._probe()

    # ---- what the system allows --------------------------------------------------------

    def _probe(self):
        unshare = find("unshare")
        if unshare:
            self._probe_unshare(unshare)
        setpriv = find("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL"]
        if setpriv and self._works(prefix):
            # A server that is killed takes its jobs along.
            self.open_network = prefix + self.open_network
            if self.cut_network is not None:
                self.cut_network = prefix + self.cut_network

    def _probe_unshare(self, unshare):
        users = ([], ["--user", "--map-root-user"])
        pids = (["--pid", "--fork", "--kill-child", "--mount-proc"],
                ["--pid", "--fork", "--kill-child"])
        choices = [user + pid for pid in pids for user in users]
        for flags in choices:
            if self._works([unshare] + flags):
                self.open_network = [unshare] + flags
                self.pid_namespace = True
                break
        bases = [self.open_network] if self.pid_namespace else [[unshare] + u for u in users]
        for base in bases:
            if self._cuts_network(base + ["--net"]):
                self.cut_network = base + ["--net"]
                break

    def can_mount(self, directory):
        """Whether run() can mount something there, with a network and without."""
        # On itself: of what has mounts below, such as /, a user namespace may bind nothing.
        script = "mount --bind {0} {0} && exit 37".format(shlex.quote(directory))
        prefixes = [self.open_network]
        if self.cut_network is not None:
            prefixes.append(self.cut_network)
        return self.pid_namespace and all(self._try(prefix + ["--mount"], script)[0] == 37
                                          for prefix in prefixes)

    def _works(self, prefix):
        return self._try(prefix, "exit 37")[0] == 37

    def _cuts_network(self, prefix):
        try:
            own = os.readlink("/proc/self/ns/net")
        except OSError:
            return False
        status, output = self._try(prefix, "readlink /proc/self/ns/net")
        return status == 0 and output.startswith("net:") and output != own

    def _try(self, prefix, script):
        try:
            done = subprocess.run(prefix + [self._shell, "-c", script], timeout=10,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, env={"PATH": CHILD_PATH})
        except (OSError, subprocess.SubprocessError):
            return None, ""
        return done.returncode, done.stdout.decode("utf-8", "replace").strip()

    # ---- running -----------------------------------------------------------------------

    def run(self, argv, cwd, env, network, deadline, control, limit, mount=None):
        """Runs to its end, `deadline` (monotonic), cancel or `limit`. OSError: could not start.

        `mount` is a directory, and another over which the command finds it (see can_mount).
        """
        mark = secrets.token_hex(16)
        prefix = self.open_network if network or self.cut_network is None else self.cut_network
        if not self.pid_namespace:
            env = dict(env, **{MARK: mark})
        if mount is not None:
            prefix = prefix + ["--mount", self._shell, "-c", _MOUNT, "sandboxd", *mount]
        # env(1) sets the variables, because a shell drops those whose names it cannot hold.
        command = prefix + [self._shell, "-c", _INIT, "sandboxd", self._env, "-i", "--"]
        command += [("%s=%s" % item).encode("utf-8") for item in env.items()] + argv
        with self._lock:
            if self._closing:
                raise OSError("the server is stopping")
            process, err = _start(command, cwd)
            self._active[process.pid] = mark
        wake_read, wake_write = os.pipe()
        waiter = threading.Thread(target=_report_exit, args=(process, wake_write), daemon=True)
        waiter.start()
        control.attach(wake_write)
        try:
            return self._attend(process, err, mark, waiter, wake_read, deadline, control, limit)
        finally:
            control.attach(None)
            waiter.join()
            process.wait()
            with self._lock:
                del self._active[process.pid]
            for fd in (err, wake_read, wake_write):
                os.close(fd)
            process.stdout.close()

    def _attend(self, process, err, mark, waiter, wake, deadline, control, limit):
        out = process.stdout.fileno()
        collector = _Collector(limit)
        ended = None
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            for fd in (out, err):
                _enlarge(fd)
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ)
            while ended is None:
                left = deadline - time.monotonic()
                if control.cancelled:
                    ended = "cancelled"
                elif left <= 0:
                    ended = "timeout"
                elif collector.over:
                    ended = "output"
                elif _collect(selector, wake, collector, left):
                    ended = "exit"
            # A program that ended by itself may have left children, which hold the pipes open.
            self._kill(process.pid, mark, waiter)
            selector.unregister(wake)
            end = time.monotonic() + _DRAIN_SECONDS
            while selector.get_map() and time.monotonic() < end:
                _collect(selector, wake, collector, end - time.monotonic())
        waiter.join()
        status = process.wait()
        if ended == "exit" and collector.over:
            ended = "output"
        exit_code = {"timeout": TIMEOUT_EXIT, "cancelled": CANCEL_EXIT,
                     "output": 128 + signal.SIGKILL}.get(ended)
        if exit_code is None:
            exit_code = status if status >= 0 else 128 - status
        return Outcome(ended, exit_code, collector.bytes(out), collector.bytes(err))

    # ---- killing -----------------------------------------------------------------------

    def _kill(self, pid, mark, waiter):
        """Kills all there is of a command. The leader is not reaped yet, so its ids are its own."""
        if self.pid_namespace:
            # unshare(1) ends only when the namespace is empty; to kill its child rather than
            # itself makes its end mean that nothing is left.
            children = _children(pid)
            for child in children:
                _signal(os.kill, child)
            if children and waiter is not None:
                waiter.join(_DRAIN_SECONDS)
        _signal(os.killpg, pid)
        if not self.pid_namespace:
            for _ in range(50):
                strays = _strays(pid, mark)
                if not strays:
                    break
                for stray in strays:
                    _signal(os.kill, stray)
                time.sleep(0.005)

    def close(self):
        """Kills everything and starts nothing more."""
        with self._lock:
            self._closing = True
            active = dict(self._active)
        for pid, mark in active.items():
            self._kill(pid, mark, None)
        end = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < end:
            with self._lock:
                if not self._active:
                    break
            time.sleep(0.005)


def _start(command, cwd):
    """The process, and the end of a pipe to read the program's stderr from."""
    err_read, err_write = os.pipe()
    try:
        process = subprocess.Popen(command, cwd=cwd, env={"PATH": CHILD_PATH}, bufsize=0,
                                   stdin=err_write, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
    except BaseException:
        os.close(err_read)
        raise
    finally:
        os.close(err_write)
    return process, err_read


def _report_exit(process, wake):
    """Waits without reaping where that is possible: until then the process id is not reused."""
    if hasattr(os, "waitid"):
        while True:
            try:
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                break
            except InterruptedError:
                continue
            except ChildProcessError:
                break
    else:
        process.wait()
    os.write(wake, b"x")


def _collect(selector, wake, collector, timeout):
    """One round of reading; True when the command's first process has ended."""
    exited = False
    for key, _ in selector.select(max(0.0, timeout)):
        if key.fd == wake:
            exited = b"x" in os.read(wake, 64)
            continue
        try:
            data = os.read(key.fd, 1 << 20)
        except BlockingIOError:
            continue
        if data:
            collector.add(key.fd, data)
        else:
            selector.unregister(key.fd)
    return exited


def _enlarge(fd):
    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, 1 << 20)
    except (OSError, ValueError):
        pass


def _signal(call, number):
    try:
        call(number, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as handle:
            return [int(word) for word in handle.read().split()]
    except OSError:
        return []


def _strays(session, mark):
    """Living processes of the session, or with the mark in their environment."""
    needle = ("%s=%s" % (MARK, mark)).encode("ascii")
    found = []
    try:
        entries = os.listdir("/proc")
    except OSError:
        return found
    for entry in entries:
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry, "rb") as handle:
                fields = handle.read().rpartition(b")")[2].split()
            if fields[0] in (b"Z", b"X"):
                continue
            if int(fields[3]) == session:
                found.append(int(entry))
                continue
            with open("/proc/%s/environ" % entry, "rb") as handle:
                if needle in handle.read().split(b"\0"):
                    found.append(int(entry))
        except (OSError, IndexError, ValueError):
            continue
    return found
