#!/usr/bin/env python3
"""Stands between a client and a service on this machine. Of its first connection it lets so many
bytes through to the client, then cuts it, or keeps it open and passes nothing on. Later ones are
left alone.

    proxy.py PORT cut|stall BYTES     prints "proxy: listening on 127.0.0.1:PORT"
"""

import socket
import sys
import threading


def pump(source, sink, limit, stall):
    """Passes bytes on until the source ends or the limit is reached."""
    try:
        while data := source.recv(16384):
            sink.sendall(data[:limit])
            if limit is not None:
                limit -= len(data[:limit])
                if limit == 0:
                    if stall:
                        threading.Event().wait()
                    break
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    target, how, limit = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    print("proxy: listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        service = socket.create_connection(("127.0.0.1", target))
        for source, sink, most in ((client, service, None), (service, client, limit)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(source, sink, most, how == "stall"),
                             daemon=True).start()
        limit = None


main()
