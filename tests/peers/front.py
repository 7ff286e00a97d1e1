"""nginx before a service of the tests.

    front.py BACKEND-PORT tcp|tls CERTIFICATE KEY FOLDER [DIRECTIVES]

Becomes nginx, with a directory of its own in FOLDER, and prints "nginx: listening on
http://127.0.0.1:PORT" once it answers. The port is any free one. DIRECTIVES go into nginx.conf's
server block. nginx ends with its parent process.
"""

import ctypes
import os
import signal
import socket
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1


def fill(text, values):
    for name, value in values.items():
        text = text.replace("@%s@" % name, value)
    return text


def announce(port):
    """In a child of the process that becomes nginx: waits until it listens, or is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.005)
            continue
        print("nginx: listening on http://127.0.0.1:%d" % port, flush=True)
        break


def main(backend, mode, certificate, key, folder, directives=""):
    # Keeps the port for nginx, which may bind it too; only sockets that listen get connections.
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    holder.set_inheritable(True)
    port = holder.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="nginx-", dir=folder)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "nginx.conf.in"), encoding="ascii") as template:
        text = fill(template.read(), {
            "DIRECTIVES": directives, "FOLDER": folder, "BACKEND": backend, "PORT": str(port),
            "CERTIFICATE": certificate, "KEY": key, "TLS": "ssl" if mode == "tls" else ""})
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as config:
        config.write(text)
    if os.fork() == 0:
        announce(port)
        os._exit(0)
    # survives the exec, as nginx gains no rights by it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.execvp("nginx", ["nginx", "-e", os.path.join(folder, "error.log"), "-p", folder, "-c", path])


main(*sys.argv[1:])
