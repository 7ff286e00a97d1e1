"""A relay of TCP connections on loopback that harms them at random.

usage: chaos.py PORT SEED

Relays to that port. Prints "chaos: control on 127.0.0.1:PORT". There it takes commands, one a line:

  port      answers with the port that it relays from
  settle    answers with what was done to how many connections, once none is open

What happens to a connection, and after how many bytes of which direction, is drawn from the seed.
A connection that is cut is always brought to an orderly end on the side of the service, so that
what the service has done is known once no connection is open. It ends with the process that started
it.
"""
import os
import random
import select
import socket
import struct
import sys
import threading
import time

# what is done, and how often of 100 times. Connections that are not harmed end, too
FATES = (('nothing', 12), ('end', 16), ('reset', 14), ('refuse', 6), ('flip', 12), ('drop', 6),
         ('double', 6), ('insert', 6), ('stall', 2), ('delay', 10), ('split', 10))
MEAN = 5000  # bytes before the harm
UP, DOWN = 0, 1
LIMIT_S = 120  # an end that does not come


class Connection:
    def __init__(self, client, target, seed):
        self.random = random.Random(seed)
        self.fate = self.random.choices(FATES, [fate[1] for fate in FATES])[0][0]
        self.way = self.random.choice((UP, DOWN))
        self.left = int(self.random.expovariate(1 / MEAN))
        self.struck = False
        self.ends = client, target  # what comes from ends[way] goes to ends[1 - way]

    def run(self):
        """Until one side ends, or the fate strikes."""
        if self.fate == 'refuse':
            return
        while True:
            for sock in select.select(self.ends, (), (), LIMIT_S)[0]:
                way = self.ends.index(sock)
                data = sock.recv(16384)
                if not data or not self.relay(way, data):
                    return

    def relay(self, way, data):
        """False: the connection is over."""
        to = self.ends[1 - way]
        if self.fate == 'split':
            while len(data) > 1:
                size = self.random.randint(1, min(300, len(data) - 1))
                to.sendall(data[:size])
                data = data[size:]
                if way == self.way:
                    self.left -= size
        if self.fate == 'delay':
            time.sleep(self.random.random() ** 4 * 0.1)
        if way != self.way or self.struck:
            to.sendall(data)
            return True
        if len(data) <= self.left:
            self.left -= len(data)
            to.sendall(data)
            return True
        self.struck = True
        return self.strike(to, data, max(self.left, 0))

    def strike(self, to, data, at):
        before, after = data[:at], data[at:]
        if self.fate == 'flip':
            after = bytes([after[0] ^ self.random.randint(1, 255)]) + after[1:]
        elif self.fate == 'drop':
            after = after[1:]
        elif self.fate == 'double':
            after += after
        elif self.fate == 'insert':
            after = self.random.randbytes(self.random.randint(1, 40)) + after
        else:
            to.sendall(before)
            if self.fate == 'stall':  # nothing moves any more, until the client gives up
                drain(self.ends[0])
            return False
        to.sendall(before + after)
        return True

    def close(self):
        client, target = self.ends
        end(target)
        if self.fate in ('reset', 'refuse'):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            client.close()
        else:
            end(client)
            drain(client)
            client.close()
        drain(target)
        target.close()


def end(sock):
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def drain(sock):
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


class Relay:
    def __init__(self, target, seed):
        self.target, self.random = target, random.Random(seed)
        self.lock = threading.Lock()
        self.open, self.counts = 0, {fate[0]: 0 for fate in FATES}
        self.listener = listen()

    def run(self):
        while True:
            client = self.listener.accept()[0]
            with self.lock:
                self.open += 1
            threading.Thread(target=self.serve, args=(client, self.random.random()),
                             daemon=True).start()

    def serve(self, client, seed):
        try:
            target = socket.create_connection(('127.0.0.1', self.target))
            for sock in client, target:
                sock.settimeout(LIMIT_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, target, seed)
            try:
                connection.run()
            except OSError:
                pass
            connection.close()
            with self.lock:
                self.counts[connection.fate] += 1
        finally:
            with self.lock:
                self.open -= 1

    def settle(self):
        quiet = 0
        while quiet < 5:
            time.sleep(0.01)
            with self.lock:
                waiting = select.select((self.listener,), (), (), 0)[0]
                quiet = quiet + 1 if self.open == 0 and not waiting else 0
        return ', '.join('%d %s' % (self.counts[name], name) for name in self.counts)


def listen():
    sock = socket.socket()
    sock.bind(('127.0.0.1', 0))
    sock.listen(64)
    return sock


def control(sock, relay):
    while True:
        with sock.accept()[0] as raw, raw.makefile('rw') as lines:
            for line in lines:
                answer = str(relay.listener.getsockname()[1])
                if line.strip() == 'settle':
                    answer = relay.settle()
                lines.write(answer + '\n')
                lines.flush()


def main():
    relay, commands = Relay(int(sys.argv[1]), int(sys.argv[2])), listen()
    threading.Thread(target=relay.run, daemon=True).start()
    threading.Thread(target=control, args=(commands, relay), daemon=True).start()
    print('chaos: control on 127.0.0.1:%d' % commands.getsockname()[1], flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


main()
