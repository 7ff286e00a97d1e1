# The Winsock port, and BearSSL with Windows' own roots, as Wine plays Windows. all.sh sources it.

say "== Windows, as Wine plays it"
windows=$WORK/windows
windows_cc="x86_64-w64-mingw32-gcc -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
    -Wcast-align -Wundef -Werror -I.. -I../ports -Imini -Isuites -Iports"
mkdir -p "$windows"

# windows_program NAME FLAG...: builds ports/NAME.c
windows_program() {
    name=$1; shift
    $windows_cc -isystem "$wine_bearssl/inc" "ports/$name.c" -o "$windows/$name.exe" "$@" \
        -static "$wine_lib" -lws2_32 -lcrypt32 >"$WORK/make.log" 2>&1 && return
    { echo "not ok - the build of $name"; tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "build [Windows]"
    return 1
}

# What compiles: the headers for 64 and 32 bits, the latter by clang, with the same system headers.
windows_compile() {
    $1 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror -I.. -I../ports \
        -isystem "$wine_bearssl/inc" -c "compile/$2.c" -o "$windows/object.o" >"$WORK/make.log" 2>&1
    if [ $? = 0 ]; then echo "ok - $2: $1"; else
        echo "not ok - $2: $1"; sed 's/^/#   /' "$WORK/make.log" | head -n 12
    fi
}

# A certificate that is a root, each with something about it, and the services' own.
windows_certificates() {
    make_ca "$windows/pki" && make_cert "$windows/pki" localhost "DNS:localhost,IP:127.0.0.1,IP:::1" &&
        make_ca "$windows/other" && cp "$windows/other/ca.pem" "$windows/pki/other.pem" &&
        (cd "$windows/pki" && openssl x509 -in ca.pem -outform DER -out ca.der &&
            openssl x509 -in ca.pem -signkey ca.key -days -1 -outform DER -out expired.der &&
            for usage in codeSigning:code serverAuth:server; do
                openssl req -x509 -key ca.key -days 2 -subj "/CN=a root for ${usage%:*}" \
                    -addext "extendedKeyUsage=${usage%:*}" -outform DER -out "${usage#*:}.der" || exit 1
            done) 2>"$WORK/errors" || die "no certificates for the tests of Windows"
}

windows_start_services() {
    keys="--key unsb-sk-test0-vault-unlck-12345
        --key-pair unsb-pk-pair0-vault-unlck-12345 unsb-sk-pair0-vault-unlck-12345"
    tls="--tls $windows/pki/localhost.pem $windows/pki/localhost.key"
    # shellcheck disable=SC2086
    start_server WINDOWS_PLAIN $keys
    # shellcheck disable=SC2086
    start_server WINDOWS_TLS $keys $tls
    WINDOWS_SIX=
    # shellcheck disable=SC2086
    ! python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null ||
        start_server WINDOWS_SIX --host ::1 $keys $tls
}

if wine_bearssl >"$WORK/make.log" 2>&1; then
    for cc in "x86_64-w64-mingw32-gcc -std=c99" "x86_64-w64-mingw32-g++ -x c++ -std=c++11" \
        "clang --target=i686-w64-mingw32 -std=c99 -isystem /usr/share/mingw-w64/include"; do
        for file in implementation hostile port_winsock port_bearssl_windows; do
            windows_compile "$cc" $file
        done
    done >"$WORK/tap"
    for cc in "x86_64-w64-mingw32-gcc -std=c99 -DUNSB_WINSOCK_THREADS=0" \
        "x86_64-w64-mingw32-gcc -std=gnu17" "x86_64-w64-mingw32-g++ -x c++ -std=c++20" \
        "clang --target=x86_64-w64-mingw32 -std=c99" \
        "clang++ --target=x86_64-w64-mingw32 -x c++ -std=c++11" \
        "x86_64-w64-mingw32-gcc -std=c99 -DUNSB_WINSOCK_ATTEMPTS=1" \
        "x86_64-w64-mingw32-gcc -std=c99 -fanalyzer -Wimplicit-fallthrough=5" \
        "clang --target=x86_64-w64-mingw32 -std=c99 -Weverything -Wno-padded \
-Wno-declaration-after-statement -Wno-used-but-marked-unused"; do
        windows_compile "$cc" port_winsock
    done >>"$WORK/tap"
    count "compile [Windows]"

    windows_certificates
    windows_start_services
    TARGET="Windows (Wine)"
    for name in conform_winsock conform_bearssl; do
        windows_program $name && suite "Wine" "$windows/$name.exe" \
            "$wine_run UNSB_TEST_PKI=$windows/pki wine"
    done
    $windows_cc ports/winsock_lookup.c -shared -o "$windows/lookup.dll" -static -lws2_32 &&
        windows_program test_winsock && suite "Wine" "$windows/test_winsock.exe" "$wine_run
            UNSB_PLAIN=${WINDOWS_PLAIN##*:} UNSB_TLS=${WINDOWS_TLS##*:} UNSB_SIX=${WINDOWS_SIX##*:}
            UNSB_TEST_PKI=$windows/pki wine"
    unset TARGET
    stop_servers
else
    { echo "not ok - BearSSL for Windows"; tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "build [Windows]"
fi
rm -rf "$windows"
