"""OpenSSL's s_server, made to speak HTTP, for what Python's ssl module cannot be told to do.

usage: tls_openssl.py CERTIFICATE KEY update|- OPTION ...

Listens on a port of loopback, and answers one request on each connection. With "update" it changes
its keys (RFC 8446 section 4.6.3) between the head of the response and its body.
"""
import os
import signal
import subprocess
import sys
import threading
import time

BODY = '{"languages": ["python"]}'


def end_with_parent(child):
    parent = os.getppid()
    while os.getppid() == parent and child.poll() is None:
        time.sleep(0.2)
    child.kill()
    os._exit(0)


def say(child, text):
    """Sends line by line, each in a record of its own: s_server looks for a command only where what
    it reads begins, so the next line waits for the record of the one before."""
    for line in text.splitlines(True):
        child.stdin.write(line.encode('ascii'))
        child.stdin.flush()
        for shown in child.stdout:
            if shown.startswith(b'>>> ') and b'RecordHeader' in shown:
                break


def main():
    certificate, key, how, *options = sys.argv[1:]
    child = subprocess.Popen(['openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', certificate,
                              '-key', key, '-crlf', '-msg'] + options, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def end(*_):
        child.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, args=(child,), daemon=True).start()
    asked = False
    for line in child.stdout:
        line = line.rstrip()
        if line.startswith(b'ACCEPT 127.'):
            print('tls_openssl: listening on port:%s' % line.split(b':')[-1].decode(), flush=True)
        elif line.startswith(b'GET '):
            asked = True
        elif not line and asked:
            asked = False
            say(child, 'HTTP/1.1 200 OK\nContent-Length: %d\n\n' % (len(BODY) + 2))
            if how == 'update':
                say(child, 'k\n')
            say(child, BODY + '\n')
            say(child, 'q\n')


main()
