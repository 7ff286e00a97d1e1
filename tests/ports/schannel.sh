# The Schannel port, as Wine plays Windows (its Schannel is GnuTLS). all.sh sources it.

say "== Windows' own TLS, as Wine plays it"
schannel=$WORK/schannel
schannel_warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"
mkdir -p "$schannel"

# What compiles: for 64 and 32 bits, the latter by clang, with the same system headers.
schannel_compile() {
    for cc in "x86_64-w64-mingw32-gcc -std=c99" "x86_64-w64-mingw32-gcc -std=gnu17" \
        "x86_64-w64-mingw32-g++ -x c++ -std=c++11" "x86_64-w64-mingw32-g++ -x c++ -std=c++20" \
        "x86_64-w64-mingw32-gcc -std=c99 -DUNSB_SCHANNEL_THREADS=0" \
        "x86_64-w64-mingw32-gcc -std=c99 -D_WIN32_WINNT=0x0601" \
        "clang --target=x86_64-w64-mingw32 -std=c99" \
        "clang++ --target=x86_64-w64-mingw32 -x c++ -std=c++11" \
        "clang --target=i686-w64-mingw32 -std=c99 -isystem /usr/share/mingw-w64/include"; do
        # shellcheck disable=SC2086
        if $cc -O2 $schannel_warn -I.. -I../ports -c compile/port_schannel.c \
            -o "$schannel/object.o" >"$WORK/make.log" 2>&1; then
            echo "ok - port_schannel: $cc"
        else
            echo "not ok - port_schannel: $cc"; sed 's/^/#   /' "$WORK/make.log" | head -n 12
        fi
    done
}

# schannel_program NAME LIBRARY...: builds ports/NAME.c
schannel_program() {
    name=$1; shift
    # shellcheck disable=SC2086
    x86_64-w64-mingw32-gcc -std=c11 -O2 $schannel_warn -I.. -I../ports -Imini -Isuites -Iports \
        -isystem "$wine_bearssl/inc" "ports/$name.c" -o "$schannel/$name.exe" -static "$@" \
        -lsecur32 -lws2_32 -lcrypt32 >"$WORK/make.log" 2>&1 && return
    { echo "not ok - the build of $name"; tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "build [Windows]"
    return 1
}

# schannel_wait FILE PATTERN PID: until a server of ours has said that it is ready
schannel_wait() {
    tries=0
    until grep -q "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -le 300 ] && kill -0 "$3" 2>/dev/null || die "a TLS server did not start: $(cat "$1")"
        sleep 0.1
    done
}

# The servers run natively; the programs under Wine reach them on loopback.
schannel_servers="tls1.2:ecdsa tls1.2:rsa tls1.2:usages tls1.2:any tls1.2:wild tls1.2:address
    tls1.2:chain tls1.2:missing tls1.2:below tls1.2:common tls1.2:mail tls1.2:text tls1.2:untrusted
    tls1.2:appended tls1.2:usage tls1.2:purpose tls1.2:critical tls1.2:sha1 tls1.2:md5 tls1.2:weak
    tls1.2:self tls1.2:expired tls1.2:future tls1.0:rsa tls1.1:rsa tls1.3:rsa null:rsa static:rsa
    cbc:rsa ipv6:address ipv6:text"
schannel_start_servers() {
    make_ca "$schannel/pki" && make_cert "$schannel/pki" localhost "DNS:localhost,IP:127.0.0.1" &&
        mkdir -p "$schannel/tls" &&
        sh suites/tls_certificates.sh "$schannel/tls" >"$WORK/errors" 2>&1 ||
        die "no certificates for the tests of Schannel: $(tail -n 3 "$WORK/errors")"
    # shellcheck disable=SC2086
    python3 -B -W ignore suites/tls_server.py "$schannel/tls" "$schannel/tls.log" \
        $schannel_servers >"$schannel/tls.out" 2>&1 &
    PIDS="$PIDS $!"
    schannel_wait "$schannel/tls.out" 'listening on' $!
    python3 -B ports/tls_cutter.py "$(sed -n 1p "$schannel/tls.log.ports")" \
        1 2 3 7 16 64 100 512 >"$schannel/cuts" 2>"$schannel/cuts.ready" &
    PIDS="$PIDS $!"
    schannel_wait "$schannel/cuts.ready" ready $!
    keys="--key unsb-sk-test0-vault-unlck-12345"
    # shellcheck disable=SC2086
    start_server SCHANNEL_PLAIN $keys
    # shellcheck disable=SC2086
    start_server SCHANNEL_TLS $keys --tls "$schannel/pki/localhost.pem" "$schannel/pki/localhost.key"
}

schannel_compile >"$WORK/tap"
count "compile [Windows]"
if wine_bearssl >"$WORK/make.log" 2>&1; then
    schannel_start_servers
    TARGET="Windows (Wine)"
    # BearSSL's server is its peer
    schannel_program conform_schannel "$wine_lib" &&
        suite "Wine" "$schannel/conform_schannel.exe" \
            "$wine_run UNSB_TEST_PKI=$schannel/pki wine"
    # shellcheck disable=SC2086
    UNSB_TLS_SERVERS=$(echo $schannel_servers)
    export UNSB_TLS_SERVERS
    schannel_program test_schannel &&
        suite "Wine" "$schannel/test_schannel.exe" "$wine_run
            UNSB_PLAIN=${SCHANNEL_PLAIN##*:} UNSB_TLS=${SCHANNEL_TLS##*:}
            UNSB_TEST_PKI=$schannel/pki UNSB_TLS_DIR=$schannel/tls UNSB_TLS_LOG=$schannel/tls.log
            UNSB_TLS_PORTS=$schannel/tls.log.ports UNSB_TLS_CUTS=$schannel/cuts wine"
    schannel_program test_schannel_sspi &&
        suite "Wine, a scripted SSPI" "$schannel/test_schannel_sspi.exe" \
            "$wine_run UNSB_TLS_DIR=$schannel/tls wine"
    unset TARGET UNSB_TLS_SERVERS
    stop_servers
else
    { echo "not ok - BearSSL for Windows"; tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "build [Windows]"
fi
rm -rf "$schannel"
