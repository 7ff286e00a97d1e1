"""The table of jobs: queue, worker limit, concurrency limit, cancel, and what is kept how long."""

import collections
import hashlib
import secrets
import threading
import time
import uuid

from execution import Report, make_result
from runner import CANCEL_EXIT, Control
from wire import Refusal

KEPT_JOBS = 256
KEPT_SECONDS = 900
KEPT_BYTES = 256 * 1024 * 1024
_CANCEL_SECONDS = 15.0
ACTIVE = ("pending", "running")


class Job:
    def __init__(self, owner, spec, job_id):
        self.owner = owner
        self.spec = spec
        self.id = job_id
        self.language = spec.language
        self.network_mode = spec.network_mode
        self.control = Control()
        self.done = threading.Event()
        self.status = "pending"
        self.created_at = time.time()
        self.started_at = None
        self.completed_at = None
        self.report = None
        self.polls = 0
        self.weight = 0
        self.forgotten = False

    def describe(self):
        """The canonical answer to GET /jobs/{id}, of which that to GET /jobs is a part."""
        answer = {"job_id": self.id, "status": self.status, "language": self.language,
                  "network_mode": self.network_mode, "created_at": self.created_at}
        if self.started_at is not None:
            answer["started_at"] = self.started_at
        if self.completed_at is not None:
            answer["completed_at"] = self.completed_at
        if self.report is not None:
            if self.report.error is not None:
                answer["error"] = self.report.error
            if self.report.result is not None:
                answer["result"] = self.report.result
        return answer


class JobTable:
    def __init__(self, executor, workers, concurrency, journal):
        self._executor = executor
        self._workers = workers
        self._concurrency = concurrency
        self._journal = journal
        self._lock = threading.Lock()
        self._jobs = {}
        self._queue = collections.deque()
        self._busy = 0
        self._finished = collections.deque()
        self._kept_bytes = 0

    # ---- the API's side ----------------------------------------------------------------

    def execute(self, owner, spec):
        """Runs in the calling thread, beside the workers: a waiting client is not queued."""
        job = self._add(owner, spec, str(uuid.uuid4()))
        with self._lock:
            if job.status == "pending":
                self._start(job)
        if job.status != "cancelled":
            self._perform(job)
        return job

    def submit(self, owner, spec):
        job_id = "job_%d_%s" % (time.time() * 1000, secrets.token_hex(6))
        job = self._add(owner, spec, job_id)
        with self._lock:
            self._queue.append(job)
        self._dispatch()
        return job

    def find(self, owner, job_id):
        """The owner's job. Another key's job does not exist for it."""
        with self._lock:
            self._forget_old()
            job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise no_such_job()
        return job

    def active(self, owner):
        """The descriptions of the owner's jobs that have not ended, the newest first."""
        with self._lock:
            jobs = [job for job in self._jobs.values()
                    if job.owner == owner and job.status in ACTIVE]
            return [job.describe() for job in sorted(jobs, key=lambda job: job.created_at,
                                                     reverse=True)]

    def describe(self, job):
        with self._lock:
            return job.describe()

    def cancel(self, owner, job_id):
        """Ends a job and returns once nothing of it runs any more."""
        job = self.find(owner, job_id)
        with self._lock:
            if job.status not in ACTIVE:
                raise _finished(job)
            if job.status == "pending":
                result = make_result(job.spec, False, "", "", CANCEL_EXIT, [], 0)
                self._finish(job, Report("cancelled", result))
                return job
        job.control.cancel()
        job.done.wait(_CANCEL_SECONDS)
        with self._lock:
            if job.status != "cancelled":
                raise _finished(job)
        return job

    def forget_all(self):
        """What a restart does: nothing that ran or waited is known any more."""
        with self._lock:
            jobs = list(self._jobs.values())
            for job in jobs:
                job.forgotten = True
                if job.status == "pending":
                    job.status = "cancelled"
            self._jobs.clear()
            self._queue.clear()
            self._finished.clear()
            self._kept_bytes = 0
        for job in jobs:
            job.control.cancel()

    # ---- running -----------------------------------------------------------------------

    def _add(self, owner, spec, job_id):
        job = Job(owner, spec, job_id)
        with self._lock:
            self._forget_old()
            active = sum(1 for other in self._jobs.values()
                         if other.owner == owner and other.status in ACTIVE)
            if self._concurrency and active >= self._concurrency:
                raise Refusal(429, "concurrency_limit_reached", "too many jobs at once",
                              headers=[("Retry-After", "1")], active_executions=active,
                              concurrency_limit=self._concurrency)
            self._jobs[job_id] = job
        return job

    def _dispatch(self):
        with self._lock:
            while self._queue and self._busy < self._workers:
                job = self._queue.popleft()
                if job.status != "pending":
                    continue
                self._busy += 1
                self._start(job)
                threading.Thread(target=self._work, args=(job,), daemon=True).start()

    def _start(self, job):
        job.status = "running"
        job.started_at = time.time()

    def _work(self, job):
        try:
            self._perform(job)
        finally:
            with self._lock:
                self._busy -= 1
            self._dispatch()

    def _perform(self, job):
        if self._journal is not None:
            digest = hashlib.sha256(job.spec.code).hexdigest()
            self._journal.write("%s %s %s\n" % (job.id, job.language, digest))
        try:
            report = self._executor.execute(job.id, job.spec, job.control)
        except Exception as problem:  # a job must end, whatever happens
            report = Report("failed", error="internal error: %r" % problem)
        with self._lock:
            self._finish(job, report)

    # ---- the lock is held below --------------------------------------------------------

    def _finish(self, job, report):
        job.status = report.status
        job.report = report
        job.completed_at = time.time()
        job.spec = None
        if job.forgotten:
            job.done.set()
            return
        result = report.result
        if result is not None:
            job.weight = len(result["stdout"]) + len(result["stderr"])
            job.weight += sum(len(item.get("content_base64", "")) for item in result["artifacts"])
        self._kept_bytes += job.weight
        self._finished.append(job)
        job.done.set()
        self._forget_old()

    def _forget_old(self):
        """The newest finished job stays, however large it is."""
        oldest = time.time() - KEPT_SECONDS
        while len(self._finished) > 1 and (
                len(self._finished) > KEPT_JOBS or self._kept_bytes > KEPT_BYTES
                or self._finished[0].completed_at < oldest):
            job = self._finished.popleft()
            self._kept_bytes -= job.weight
            self._jobs.pop(job.id, None)


class Journal:
    """One line for each execution that starts, on disk before the program runs."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._handle = open(path, "a", encoding="utf-8")

    def write(self, line):
        with self._lock:
            self._handle.write(line)
            self._handle.flush()


def no_such_job():
    return Refusal(404, "job_not_found", "no such job")


def _finished(job):
    return Refusal(409, "job_already_finished", "the job has ended: " + job.status,
                   job_status=job.status)
