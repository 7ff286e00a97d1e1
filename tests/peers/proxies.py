"""A proxy of others, before a test.

    proxies.py tinyproxy|squid FOLDER PORT

Becomes that proxy, with a directory of its own in FOLDER, and prints "KIND: listening on
http://127.0.0.1:NUMBER" once it answers. It wants the credentials "user" and "pass_word", and makes
tunnels to the port PORT alone. It runs as nobody if it is started as root, reads its files from
below $UNSB_TEST_PROXIES (an unpacked package) where that is set, and ends with its parent process.
"""

import ctypes
import os
import signal
import socket
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
NOBODY = 65534

TINYPROXY = """\
Port @PORT@
Listen 127.0.0.1
Timeout 600
LogFile "@FOLDER@/log"
MaxClients 20
Allow 127.0.0.1
BasicAuth user pass_word
ConnectPort @ALLOWED@
"""

SQUID = """\
http_port 127.0.0.1:@PORT@
pid_filename @FOLDER@/pid
cache_log @FOLDER@/log
access_log none
cache_store_log none
coredump_dir @FOLDER@
cache deny all
pinger_enable off
unlinkd_program @ROOT@/usr/lib/squid/unlinkd
max_filedescriptors 1024
shutdown_lifetime 0 seconds
dns_nameservers 127.0.0.1
mime_table @ROOT@/usr/share/squid/mime.conf
icon_directory @ROOT@/usr/share/squid/icons
error_directory @ROOT@/usr/share/squid-langpack/templates
auth_param basic program /bin/sh @HELPER@
auth_param basic children 1
acl known proxy_auth REQUIRED
acl allowed port @ALLOWED@
http_access deny !known
http_access deny !allowed
http_access allow all
"""

HELPER = """\
while read -r line; do
    if [ "$line" = "user pass_word" ]; then echo OK; else echo ERR; fi
done
"""


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def fill(text, values):
    for name, value in values.items():
        text = text.replace("@%s@" % name, value)
    return text


def announce(kind, port):
    """In a child of the process that becomes the proxy: waits until it listens, or is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
            continue
        print("%s: listening on http://127.0.0.1:%d" % (kind, port), flush=True)
        break


def main(kind, folder, allowed):
    root = os.environ.get("UNSB_TEST_PROXIES", "")
    port = free_port()
    if os.getuid() == 0:
        os.chmod(folder, 0o711)
    folder = tempfile.mkdtemp(prefix=kind + "-", dir=folder)
    helper = os.path.join(folder, "helper.sh")
    path = os.path.join(folder, "conf")
    values = {"FOLDER": folder, "PORT": str(port), "ALLOWED": allowed, "ROOT": root,
              "HELPER": helper}
    for name, text in ((helper, HELPER), (path, TINYPROXY if kind == "tinyproxy" else SQUID)):
        with open(name, "w", encoding="ascii") as file:
            file.write(fill(text, values))
    if os.fork() == 0:  # still with the rights to load what Python needs
        announce(kind, port)
        os._exit(0)
    if os.getuid() == 0:
        for name in (folder, helper, path):
            os.chown(name, NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.chdir(folder)
    places = ("/usr/bin/", "/usr/sbin/")
    os.environ["PATH"] = ":".join([root + place for place in places] + list(places))
    if kind == "tinyproxy":
        os.execvp(kind, [kind, "-d", "-c", path])
    os.execvp(kind, [kind, "-N", "-n", "unsb%d" % os.getpid(), "-f", path])


main(*sys.argv[1:])
