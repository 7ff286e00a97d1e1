"""TLS servers, by Python's ssl and so by OpenSSL, for tls_suite.h.

usage: tls_server.py DIRECTORY LOG MODE:CERTIFICATE ...

Starts one server for each argument, with DIRECTORY/CERTIFICATE.pem and .key, on a port of loopback;
the ports go to LOG.ports, one a line (0: there is no IPv6). Each answers one request on each
connection, with a body that ends with the stream. When a connection is over, a line with the
server's number, and how many bytes of a request reached it, goes to LOG.
"""
import os
import socket
import ssl
import sys
import threading
import time

CIPHERS = {'null': 'eNULL:@SECLEVEL=0', 'static': 'kRSA:@SECLEVEL=0',
           'cbc': 'ECDHE+AES+SHA256:!AESGCM:!AESCCM:@SECLEVEL=0'}
VERSIONS = {'tls1.0': ssl.TLSVersion.TLSv1, 'tls1.1': ssl.TLSVersion.TLSv1_1,
            'tls1.3': ssl.TLSVersion.TLSv1_3}
ANSWER = b'HTTP/1.1 200 OK\r\n\r\n{"languages": ["python"]}'


def end_with_parent():
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def make_context(mode, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(CIPHERS.get(mode, 'DEFAULT:@SECLEVEL=0'))
    version = VERSIONS.get(mode, ssl.TLSVersion.TLSv1_2)
    context.minimum_version = min(version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = version
    if mode == 'tls1.3':
        context.minimum_version = version
    if mode != 'own':
        # the client's order counts, for signatures too
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate + '.pem', certificate + '.key')
    return context


def listen(host):
    listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    listener.bind((host, 0))
    listener.listen(16)
    return listener


def serve_one(context, sock):
    """Returns how much of a request came."""
    text = b''
    try:
        sock.settimeout(60)
        sock = context.wrap_socket(sock, server_side=True)
        while not text.endswith(b'\r\n\r\n'):
            piece = sock.recv(1)
            if not piece:
                break
            text += piece
        if text:
            sock.sendall(ANSWER)
            sock.unwrap()
    except (OSError, ValueError):
        pass
    finally:
        sock.close()
    return len(text)


def serve(number, listener, context, log):
    while True:
        size = serve_one(context, listener.accept()[0])
        os.write(log, b'%d %d\n' % (number, size))


def main():
    directory, log, *servers = sys.argv[1:]
    log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ports = []
    for number, server in enumerate(servers):
        mode, certificate = server.split(':')
        try:
            listener = listen('::1' if mode == 'ipv6' else '127.0.0.1')
        except OSError:
            if mode != 'ipv6':
                raise
            ports.append(0)
            continue
        ports.append(listener.getsockname()[1])
        context = make_context(mode, os.path.join(directory, certificate))
        threading.Thread(target=serve, args=(number, listener, context, log_fd),
                         daemon=True).start()
    with open(log + '.ports', 'w', encoding='ascii') as file:
        file.write(''.join('%d\n' % port for port in ports))
    print('tls_server: listening on port:%d' % ports[-1], flush=True)
    end_with_parent()


main()
