"""An HTTP proxy that knows CONNECT to loopback alone: prints its port."""
import socket
import sys
import threading


def pump(source, target):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 8192:
        data = client.recv(1024)
        if not data:
            return
        head += data
    method, target = head.split(b"\r\n")[0].decode("latin-1").split(" ")[:2]
    host, _, port = target.rpartition(":")
    if method != "CONNECT" or host != "localhost":
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        client.close()
        return
    with socket.create_connection(("127.0.0.1", int(port))) as server:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        other = threading.Thread(target=pump, args=(server, client), daemon=True)
        other.start()
        pump(client, server)
        other.join()
    client.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
