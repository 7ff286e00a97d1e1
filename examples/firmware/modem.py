#!/usr/bin/env python3
"""The device at the other end of the serial line: speaks what modem.h describes, and connects.

    modem.py            prints "modem: listening on 127.0.0.1:PORT" for QEMU's -chardev socket

Whatever host is dialled, it connects to that port of this machine alone. What the peer does not
take is kept, so that the line never stands still and a hang-up is always heard. SIGTERM ends it."""

import queue
import socket
import threading

DLE = 0x10


class Line:
    """One serial line. What a call's threads say after it is over is dropped."""

    def __init__(self, serial):
        self.serial = serial
        self.lock = threading.Lock()
        self.peer = None
        self.outgoing = None

    def say(self, peer, data):
        with self.lock:
            if self.peer is peer:
                self.serial.sendall(data)

    def hang_up(self):
        with self.lock:
            peer, self.peer = self.peer, None
        if peer:
            self.outgoing.put(None)  # what is before it is still sent
            try:
                peer.shutdown(socket.SHUT_RD)
            except OSError:
                pass

    def dial(self, command):
        self.hang_up()
        tag, port = command[:1], int(command.rpartition(b":")[2])
        try:
            peer = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            self.say(None, bytes([DLE]) + b"N" + tag)
            return
        peer.settimeout(None)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = peer
        self.outgoing = queue.SimpleQueue()
        self.say(peer, bytes([DLE]) + b"C" + tag)
        threading.Thread(target=self.receive, args=(peer,), daemon=True).start()
        threading.Thread(target=self.transmit, args=(peer, self.outgoing), daemon=True).start()

    def receive(self, peer):
        try:
            while data := peer.recv(4096):
                self.say(peer, data.replace(bytes([DLE]), bytes([DLE, DLE])))
        except OSError:
            pass
        try:
            self.say(peer, bytes([DLE]) + b"E")
        except OSError:
            pass

    @staticmethod
    def transmit(peer, outgoing):
        try:
            while data := outgoing.get():
                peer.sendall(data)
        except OSError:
            pass  # receive() tells
        try:
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def send(self, data):
        if self.peer and data:
            self.outgoing.put(bytes(data))

    def run(self):
        command, data, escaped = None, bytearray(), False
        while block := self.serial.recv(4096):
            for byte in block:
                if escaped:
                    escaped = False
                    if byte == DLE:
                        data.append(byte)
                        continue
                    self.send(data)
                    data.clear()
                    command = bytearray() if byte == ord("D") else None
                    if byte == ord("H"):
                        self.hang_up()
                elif byte == DLE:
                    escaped, command = True, None
                elif command is None:
                    data.append(byte)
                elif byte == ord("\n"):
                    self.dial(bytes(command))
                    command = None
                else:
                    command.append(byte)
            self.send(data)
            data.clear()

    def serve(self):
        self.serial.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.run()
        except OSError:
            pass
        self.hang_up()
        self.serial.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print("modem: listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        serial, _ = listener.accept()
        threading.Thread(target=Line(serial).serve, daemon=True).start()


main()
