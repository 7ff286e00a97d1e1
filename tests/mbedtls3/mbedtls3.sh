# The Mbed TLS port with Mbed TLS 3.6, and so with TLS 1.3: sourced by all.sh. The library is built
# from Debian's sources of a later release, beside the one that is installed.

say "== Mbed TLS 3.6, and TLS 1.3"
mbedtls3=$CACHE/mbedtls3
mbedtls3_flags="-isystem $mbedtls3/include -I$ROOT/tests/mbedtls3 \
    -DMBEDTLS_USER_CONFIG_FILE=\\<config.h\\>"

mbedtls3_lib() { # mbedtls3_lib NAME DEFINES: the library as $mbedtls3.NAME/libmbedtls3.a
    locked "$CACHE/locks/mbedtls3.$1" make -s -j2 -C "$ROOT/tests/mbedtls3" SOURCE="$mbedtls3" \
        B="$mbedtls3.$1" DEFINES="$2"
}

# Without a warning: as C and as C++, and with what Mbed TLS may be built without.
mbedtls3_compile() {
    for defines in "" -DPSA_ALL -DNO_TLS13 -DNO_TLS12 -DNO_TICKETS; do
        for cc in "gcc -std=gnu99" "clang -std=c11" "g++ -x c++ -std=c++11" \
            "clang++ -x c++ -std=c++11"; do
            if $cc -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror \
                -D_POSIX_C_SOURCE=200809L -I"$ROOT" -I"$ROOT/ports" -isystem "$mbedtls3/include" \
                -I"$ROOT/tests/mbedtls3" '-DMBEDTLS_USER_CONFIG_FILE=<config.h>' $defines \
                -c compile/port_mbedtls.c -o "$WORK/mbedtls3.o" 2>"$WORK/errors"; then
                echo "ok - $cc $defines"
            else
                echo "not ok - $cc $defines"; sed 's/^/#   /' "$WORK/errors" | head -n 12
            fi
        done
    done
}

# mbedtls3_run LABEL NAME PROGRAMS MAKE-ARGUMENT...
mbedtls3_run() {
    label=$1 name=$2 programs=$3; shift 3
    variant "$label" "$BUILD/mbedtls3.$name" "$programs" CC=gcc \
        LIBS="$mbedtls3.${name%_*}/libmbedtls3.a" "$@"
}

if source_package mbedtls "$mbedtls3" trixie >"$WORK/make.log" 2>&1 &&
    mbedtls3_lib default "" >>"$WORK/make.log" 2>&1 &&
    mbedtls3_lib psa -DPSA_ALL >>"$WORK/make.log" 2>&1; then
    mbedtls3_compile >"$WORK/tap"
    count "the port compiles against Mbed TLS 3.6"
    TARGET="$(uname -s), Mbed TLS 3.6 with TLS 1.3"
    mbedtls3_run "Mbed TLS 3.6" default "conform_mbedtls test_tls_mbedtls" \
        CFLAGS="-O2 $mbedtls3_flags"
    mbedtls3_run "Mbed TLS 3.6" default "test_pem test_tls_faults" CFLAGS="-O2 $mbedtls3_flags" \
        LIBS="$mbedtls3.default/libmbedtls3.a -lssl -lcrypto"
    mbedtls3_run "Mbed TLS 3.6 by PSA alone" psa "conform_mbedtls test_tls_mbedtls" \
        CFLAGS="-O2 $mbedtls3_flags -DPSA_ALL"
    mbedtls3_run "Mbed TLS 3.6, sanitized" default_sanitized "conform_mbedtls test_tls_mbedtls" \
        CFLAGS="$SANITIZE $mbedtls3_flags"
    unset TARGET
    # Against servers of TLS 1.3 alone; for the API's suite by OpenSSL's configuration, which also
    # takes away the group that the client expects.
    export UNSB_TEST_TLS=1.3
    suites "Mbed TLS 3.6, TLS 1.3" "$BUILD/mbedtls3.default" test_tls_mbedtls
    suites "Mbed TLS 3.6 by PSA alone, TLS 1.3" "$BUILD/mbedtls3.psa" test_tls_mbedtls
    suites "Mbed TLS 3.6, sanitized, TLS 1.3" "$BUILD/mbedtls3.default_sanitized" test_tls_mbedtls
    unset UNSB_TEST_TLS
    printf '%s\n' "openssl_conf = init" "[init]" "ssl_conf = ssl" "[ssl]" "system_default = tls" \
        "[tls]" "Protocol = -TLSv1.2" "Groups = P-384" >"$WORK/tls13.cnf"
    export UNSB_TEST_FILTER="*(mbedtls*" OPENSSL_CONF="$WORK/tls13.cnf"
    mbedtls3_run "Mbed TLS 3.6, TLS 1.3" default test_api CFLAGS="-O2 $mbedtls3_flags" \
        LIBS="$mbedtls3.default/libmbedtls3.a -lssl -lcrypto"
    unset UNSB_TEST_FILTER OPENSSL_CONF
else
    { echo "not ok - Mbed TLS 3.6 is built"; tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } \
        >"$WORK/tap"
    count "Mbed TLS 3.6"
fi
