"""Services: files that stay, and commands that run beside them as jobs. Nothing listens here."""

import secrets
import threading
import time

from execution import Workspace, remove_tree, write_files
from jobs import ACTIVE
from validate import (Spec, parse_fields, parse_files, parse_network_mode, parse_ports, parse_range,
                      parse_text, parse_vcpu)
from wire import Refusal, Response

SERVICES_LIMIT = 16
TIMEOUT_DEFAULT_MS = 60000
TIMEOUT_LIMIT_MS = 900000

_FIELDS = ("name", "ports", "network_mode", "vcpu", "input_files", "bootstrap")


class Service:
    def __init__(self, owner, name, ports, network_mode, vcpu, base):
        self.id = "svc_" + secrets.token_hex(12)
        self.owner = owner
        self.name = name
        self.ports = ports
        self.network_mode = network_mode
        self.vcpu = vcpu
        self.created_at = time.time()
        self.space = Workspace(base, self.id)
        self.jobs = []

    def describe(self):
        return {"id": self.id, "name": self.name, "state": "running", "ports": self.ports}


class Services:
    """The endpoints below /services. Commands are jobs of `table`."""

    def __init__(self, executor, table, rules, sudo):
        self._executor = executor
        self._table = table
        self._rules = rules
        self._sudo = sudo
        self._lock = threading.Lock()
        self._services = {}

    def routes(self):
        return {"services": {"POST": self.create, "GET": self.list},
                "services/{id}": {"GET": self.get, "DELETE": self.delete},
                "services/{id}/execute": {"POST": self.execute}}

    def create(self, ticket, body):
        fields, _ = parse_fields(body, _FIELDS, self._rules)
        name = parse_text("name", fields).decode("utf-8")
        ports = parse_ports(fields.get("ports", []))
        mode = parse_network_mode(fields.get("network_mode", "zerotrust"))
        vcpu = parse_vcpu(fields["vcpu"]) if "vcpu" in fields else None
        files = parse_files(fields.get("input_files", []), self._rules)
        bootstrap = parse_text("bootstrap", fields) if "bootstrap" in fields else None
        with self._lock:
            own = self._of(ticket.owner)
            if any(service.name == name for service in own):
                raise Refusal(409, "name_taken", "a service has this name: " + name)
            if len(own) >= SERVICES_LIMIT:
                raise Refusal(429, "concurrency_limit_reached", "too many services at once",
                              headers=[("Retry-After", "1")], active_executions=len(own),
                              concurrency_limit=SERVICES_LIMIT)
            service = Service(ticket.owner, name, ports, mode, vcpu, self._executor.base)
            self._services[service.id] = service
        write_files(self._executor.inputs.folder(service.space), files)
        if bootstrap is not None:
            self._submit(service, bootstrap, TIMEOUT_LIMIT_MS, [])
        shown = service.describe()
        answer = {"service_id": shown.pop("id"), **shown, "created_at": service.created_at}
        return Response(201, answer, kind="service")

    def list(self, ticket, _body):
        with self._lock:
            shown = [service.describe() for service in self._of(ticket.owner)]
        return Response(200, {"services": shown, "count": len(shown)}, kind="services")

    def get(self, ticket, _body):
        return Response(200, self._find(ticket).describe(), kind="service")

    def execute(self, ticket, body):
        fields, _ = parse_fields(body, ("command", "timeout", "input_files"), self._rules)
        command = parse_text("command", fields)
        timeout = parse_range("timeout", fields.get("timeout", TIMEOUT_DEFAULT_MS), 1,
                              TIMEOUT_LIMIT_MS)
        files = parse_files(fields.get("input_files", []), self._rules)
        job = self._submit(self._find(ticket), command, timeout, files)
        return Response(202, {"job_id": job.id})

    def _submit(self, service, command, timeout_ms, files):
        spec = Spec()
        spec.language = "bash" if "bash" in self._executor.languages else "sh"
        spec.code = command
        spec.space = service.space
        spec.network_mode = service.network_mode
        spec.vcpu = service.vcpu
        spec.ttl = timeout_ms / 1000
        spec.files = files
        job = self._table.submit(service.owner, spec)
        with self._lock:
            service.jobs = [other for other in service.jobs if other.status in ACTIVE] + [job]
        return job

    def delete(self, ticket, _body):
        service = self._find(ticket)
        self._sudo.check(ticket)
        with self._lock:
            self._services.pop(service.id, None)
        self._end(service)
        return Response(200, {"message": "Service destroyed", "service_id": service.id},
                        kind="deleted")

    def forget_all(self):
        with self._lock:
            services = list(self._services.values())
            self._services.clear()
        for service in services:
            self._end(service)

    def _end(self, service):
        for job in service.jobs:
            try:
                self._table.cancel(service.owner, job.id)
            except Refusal:
                pass  # it has ended by itself, or is forgotten already
        remove_tree(service.space.root)

    def _of(self, owner):
        return [service for service in self._services.values() if service.owner == owner]

    def _find(self, ticket):
        with self._lock:
            service = self._services.get(ticket.argument)
        if service is None or service.owner != ticket.owner:
            raise Refusal(404, "service_not_found", "no such service")
        return service
