"""Cuts a server's handshake messages into small records, which TLS allows (RFC 5246 section 6.2.1).

usage: tls_cutter.py PORT SIZE ...

Starts one proxy on loopback for each size, to the TLS 1.2 server at PORT; a line with size and port
is printed for each, then one that says "ready". Records of the handshake that are not encrypted yet
are sent on with so many bytes in each.
"""
import os
import socket
import sys
import threading
import time


def end_with_parent():
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def read(sock, size):
    data = b''
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def copy(source, target):
    try:
        while True:
            piece = source.recv(65536)
            if not piece:
                break
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def cut(source, target, size):
    try:
        encrypted = False
        while True:
            head = read(source, 5)
            body = read(source, int.from_bytes(head[3:], 'big'))
            encrypted = encrypted or head[0] == 20  # ChangeCipherSpec
            step = len(body) if encrypted or head[0] != 22 else size
            for at in range(0, len(body), step or 1):
                piece = body[at:at + step]
                target.sendall(head[:3] + len(piece).to_bytes(2, 'big') + piece)
    except (OSError, EOFError):
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(listener, port, size):
    while True:
        client = listener.accept()[0]
        server = socket.create_connection(('127.0.0.1', port), timeout=60)
        client.settimeout(60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=cut, args=(server, client, size), daemon=True)
        back.start()
        copy(client, server)
        back.join()
        client.close()
        server.close()


def main():
    port = int(sys.argv[1])
    for size in map(int, sys.argv[2:]):
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(16)
        print(size, listener.getsockname()[1], flush=True)
        threading.Thread(target=serve, args=(listener, port, size), daemon=True).start()
    print('ready', file=sys.stderr, flush=True)
    end_with_parent()


main()
