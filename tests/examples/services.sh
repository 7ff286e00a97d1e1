# What suites/test_desktop.c asks: services with a certificate for each fault, one without TLS, a port
# where nothing listens, a proxy. Sourced, with a folder of the caller's in $desk; their addresses are
# in UNSB_DESKTOP_..., their processes in $PIDS.

desk_pair="unsb-pk-demo0-vault-unlck-12345 unsb-sk-demo0-vault-unlck-12345"

# desk_service VARIABLE CERTIFICATE
desk_service() {
    # shellcheck disable=SC2086
    start_server "$1" --tls "$desk/pki/$2.pem" "$desk/pki/$2.key" --key-pair $desk_pair
    eval "UNSB_DESKTOP_$1=https://localhost:\${$1##*:}; export UNSB_DESKTOP_$1"
}

make_ca "$desk/pki" && make_cert "$desk/pki" localhost "DNS:localhost,IP:127.0.0.1" &&
    make_cert "$desk/pki" elsewhere "DNS:elsewhere.example" &&
    make_ca "$desk/strange" && make_cert "$desk/strange" localhost "DNS:localhost" &&
    mv "$desk/strange/localhost.pem" "$desk/pki/unknown.pem" &&
    mv "$desk/strange/localhost.key" "$desk/pki/unknown.key" &&
    mkdir "$desk/ca" && : >"$desk/ca/index.txt" && echo 01 >"$desk/ca/serial" &&
    printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index.txt\nserial=%s/serial\n' "$desk/ca" \
        "$desk/ca" >"$desk/ca/conf" &&
    printf '%s\n' "new_certs_dir=$desk/ca" default_md=sha256 policy=p '[p]' commonName=supplied \
        >>"$desk/ca/conf" &&
    openssl ca -batch -notext -config "$desk/ca/conf" -cert "$desk/pki/ca.pem" \
        -keyfile "$desk/pki/ca.key" -in "$desk/pki/localhost.csr" \
        -extfile "$desk/pki/localhost.ext" \
        -startdate 20200101000000Z -enddate 20210101000000Z -out "$desk/pki/expired.pem" \
        >"$desk/log" 2>&1 &&
    cp "$desk/pki/localhost.key" "$desk/pki/expired.key" ||
    die "no certificates: $(cat "$desk/log")"
desk_service TLS localhost
desk_service OTHER elsewhere
desk_service UNKNOWN unknown
desk_service EXPIRED expired
# shellcheck disable=SC2086
start_server PLAIN --key-pair $desk_pair
# shellcheck disable=SC2153
UNSB_DESKTOP_PLAIN=$PLAIN
# a port where nothing listens: bound for as long as the tests run
python3 -B -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
time.sleep(3600)' >"$desk/stopped" &
PIDS="$PIDS $!"
python3 -B examples/connect_proxy.py >"$desk/proxy" 2>"$desk/proxy.log" &
PIDS="$PIDS $!"
tries=0
until [ -s "$desk/proxy" ] && [ -s "$desk/stopped" ]; do
    tries=$((tries + 1))
    [ $tries -le 200 ] || die "a proxy did not start"
    sleep 0.1
done
UNSB_DESKTOP_STOPPED=https://localhost:$(cat "$desk/stopped")
UNSB_DESKTOP_PROXY=http://localhost:$(cat "$desk/proxy")
export UNSB_DESKTOP_PLAIN UNSB_DESKTOP_STOPPED UNSB_DESKTOP_PROXY
