# Peers that are not ours: nginx and OpenSSL's s_server. Sourced by all.sh.

say "== behind nginx, and against OpenSSL's s_server"
need "as a peer" "command -v nginx || test -x /usr/sbin/nginx" nginx-light

# peers_start NAME PROGRAM [NAME=VALUE...]: in the background, as most of the time is waiting
peers_start() {
    peers_out=$WORK/peers_$1 peers_program=$2; shift 2
    mkdir -p "$peers_out/tmp"
    (
        env TMPDIR="$peers_out/tmp" "$@" timeout 600 "$peers_program" \
            >"$peers_out/stdout" 2>"$peers_out/stderr" </dev/null
        echo $? >"$peers_out/status"
    ) &
    peers_pids="$peers_pids $!"
}

# peers_report LABEL NAME PROGRAM: its verdicts, by run.sh's rules
peers_report() {
    # shellcheck disable=SC2016
    printf 'cat "%s/stdout"; cat "%s/stderr" >&2; exit "$(cat "%s/status")"\n' \
        "$WORK/peers_$2" "$WORK/peers_$2" "$WORK/peers_$2" >"$WORK/replay"
    suite "$1" "$3" "sh $WORK/replay"
}

# Streaming, nginx may close what it has said it would keep. Over TLS, the set-ups whose calls move
# single bytes cannot see that in time, so these are left out.
peers_pids=
build "peers" "$BUILD/fast" test_api CC=gcc CFLAGS="-O2" &&
    build "peers, sanitized" "$BUILD/sanitized" test_peers CC=gcc CFLAGS="-O1 -g $SANITIZE" && {
    peers_start buffered "$BUILD/fast/test_api" UNSB_TEST_FRONT=peers/front.py
    peers_start streamed "$BUILD/fast/test_api" UNSB_TEST_FRONT=peers/front.py \
        UNSB_TEST_FILTER="*, 512)" \
        UNSB_TEST_FRONT_DIRECTIVES="proxy_buffering off; proxy_request_buffering off;
            proxy_http_version 1.0; chunked_transfer_encoding off; ssl_buffer_size 1k;"
    peers_start sanitized "$BUILD/sanitized/test_peers"
    # shellcheck disable=SC2086
    wait $peers_pids
    peers_report "through nginx" buffered "$BUILD/fast/test_api"
    peers_report "through nginx, streaming, HTTP/1.0 behind it" streamed "$BUILD/fast/test_api"
    peers_report "gcc, sanitized" sanitized "$BUILD/sanitized/test_peers"
}
