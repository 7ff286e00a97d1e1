# Peers that are not ours: nginx and OpenSSL's s_server. Sourced by all.sh.

say "== behind nginx, and against OpenSSL's s_server"
peers_fetch() {
    (cd "$WORK/nginx" && apt-get download -q nginx && dpkg -x nginx_*.deb .) >"$WORK/fetched" 2>&1
}

if ! command -v nginx >/dev/null 2>&1 && [ ! -x /usr/sbin/nginx ]; then
    # unpacked, not installed: the package would start a server on port 80
    say "fetching, as a peer: nginx"
    mkdir -p "$WORK/nginx"
    peers_fetch || { $([ "$(id -u)" = 0 ] || echo sudo) apt-get update -q; peers_fetch; } \
        >"$WORK/update" 2>&1 ||
        die "no nginx, and it could not be fetched: $(tail -n 1 "$WORK/fetched")"
    PATH=$PATH:$WORK/nginx/usr/sbin
fi

# peers_start NAME PROGRAM [NAME=VALUE...]: in the background, as most of the time is waiting
peers_start() {
    peers_out=$WORK/peers_$1 peers_program=$2; shift 2
    mkdir -p "$peers_out/tmp"
    env TMPDIR="$peers_out/tmp" "$@" timeout 600 "$peers_program" \
        >"$peers_out/stdout" 2>"$peers_out/stderr" </dev/null &
    echo $! >"$peers_out/pid"
    PIDS="$PIDS $!" # stopped if run.sh is
}

# peers_report LABEL NAME PROGRAM: waits for its end; its verdicts, by run.sh's rules
peers_report() {
    wait "$(cat "$WORK/peers_$2/pid")"
    echo $? >"$WORK/peers_$2/status"
    # shellcheck disable=SC2016
    printf 'cat "%s/stdout"; cat "%s/stderr" >&2; exit "$(cat "%s/status")"\n' \
        "$WORK/peers_$2" "$WORK/peers_$2" "$WORK/peers_$2" >"$WORK/replay"
    suite "$1" "$3" "sh $WORK/replay"
}

# Streaming, nginx may close what it has said it would keep. Over TLS, the set-ups whose calls move
# single bytes cannot see that in time, so these are left out.
peers_before=$PIDS
build "peers" "$BUILD/fast" test_api CC=gcc CFLAGS="$FAST" &&
    build "peers, sanitized" "$BUILD/sanitized" test_peers CC=gcc CFLAGS="$SANITIZE" && {
    peers_start buffered "$BUILD/fast/test_api" UNSB_TEST_FRONT=peers/front.py
    peers_start streamed "$BUILD/fast/test_api" UNSB_TEST_FRONT=peers/front.py \
        UNSB_TEST_FILTER="*, 512)" \
        UNSB_TEST_FRONT_DIRECTIVES="proxy_buffering off; proxy_request_buffering off;
            proxy_http_version 1.0; chunked_transfer_encoding off; ssl_buffer_size 1k;"
    peers_start sanitized "$BUILD/sanitized/test_peers"
    peers_report "through nginx" buffered "$BUILD/fast/test_api"
    peers_report "through nginx, streaming, HTTP/1.0 behind it" streamed "$BUILD/fast/test_api"
    peers_report "gcc, sanitized" sanitized "$BUILD/sanitized/test_peers"
    PIDS=$peers_before
}
