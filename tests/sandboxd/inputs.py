"""Where a job finds its input files: in its working directory, or where --files-in says.

The service has put them into the working directory, /tmp/input and /root/input in turn. A relative
directory lies below the working directory. An absolute one is the same for all jobs, so each job
gets a directory of its own, which is mounted over that place in the job's mount namespace. Where
the system does not allow that, as in a container, the files are in the working directory, which
portable programs look in, too. Either way the variable SANDBOXD_INPUT has the path of what they are
in.
"""

import fcntl
import os
import tempfile

VARIABLE = "SANDBOXD_INPUT"


class InputPlace:
    def __init__(self, directory, runner):
        self.mounted = False
        self._directory = directory
        self._lock = None
        self._made = False
        self._absolute = directory is not None and os.path.isabs(directory)
        if self._absolute:
            self._directory = os.path.realpath(directory)
            if self._hides(tempfile.gettempdir()):
                raise OSError("--files-in would hide the directory of temporary files")
            self._hold()
            self.mounted = self._lock is not None and runner.can_mount(self._directory)

    def missing(self):
        """Whether a program will look in vain at the place that the option names."""
        return self._absolute and not self.mounted

    def folder(self, space):
        """The job's own directory for its files."""
        if self._directory is None or self.missing():
            return space.work
        path = space.input if self._absolute else os.path.join(space.work, self._directory)
        os.makedirs(path, 0o700, exist_ok=True)
        return path

    def env(self, space):
        return {} if self._directory is None else {VARIABLE: self.folder(space)}

    def mount(self, space):
        """What is to be mounted where, or None."""
        return (self.folder(space), self._directory) if self.mounted else None

    def _hides(self, path):
        return os.path.commonpath([self._directory, os.path.realpath(path)]) == self._directory

    def _hold(self):
        """Makes the directory where there is none. A lock keeps other servers from removing it."""
        for _ in range(10):
            try:
                if not os.path.isdir(self._directory):
                    os.makedirs(self._directory, 0o700, exist_ok=True)
                    self._made = True
                lock = os.open(self._directory, os.O_RDONLY)
            except OSError:
                return
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.path.isdir(self._directory) and os.path.samestat(os.fstat(lock),
                                                                   os.stat(self._directory)):
                self._lock = lock
                return
            os.close(lock)

    def close(self):
        """Removes the directory if it was made here and no other server has use for it."""
        if self._lock is None:
            return
        try:
            if self._made:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rmdir(self._directory)
        except OSError:
            pass
        os.close(self._lock)
