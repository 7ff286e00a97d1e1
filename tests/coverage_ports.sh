# Coverage of the ports by clang-19: lines and branches of what the suites run of each. Sourced by
# all.sh. All is covered but what uncovered_ports.txt lists, with reasons.

say "== coverage of the ports"
need "for coverage of the ports" "command -v clang-19" clang-19 "command -v llvm-cov-19" llvm-19 \
    "test -e /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.profile-x86_64.a" \
    libclang-rt-19-dev
cover=$WORK/coverage
mkdir -p "$cover"
# The last two: counters are in the file all along, so that forked children, and those that are
# killed or leave by _exit(), count as well.
cover_flags="-g0 -O0 -fprofile-instr-generate -fcoverage-mapping -mllvm \
    -runtime-counter-relocation"
: >"$cover/tap"
ports_covered="address arduino bearssl bearssl_pem desktop hpp mbedtls mbedtls_pem
    openssl posix proxy x509"

# cover_build DIRECTORY PROGRAMS FLAGS MAKE-ARGUMENT...: as run.sh's suites, measured
cover_build() {
    cover_dir=$cover/$1 cover_programs=$2 cover_more=$3; shift 3
    mkdir -p "$cover_dir"
    if ! make -s -j2 -C "$ROOT/tests" B="$cover_dir" PROGRAMS="$cover_programs" CC=clang-19 \
        CXX_OF_CC=clang++-19 CFLAGS="$cover_flags $cover_more" "$@" >"$cover/log" 2>&1; then
        { echo "not ok - ${cover_dir##*/} is built for coverage"
            tail -n 20 "$cover/log" | sed 's/^/#   /'; } >>"$cover/tap"
        return 1
    fi
}

# cover_run DIRECTORY PROGRAM [COMMAND]: runs it, and notes what it ran of the ports
cover_runs=0
cover_run() {
    cover_runs=$((cover_runs + 1))
    cover_as=$cover/$cover_runs.$2
    # shellcheck disable=SC2086
    if ! LLVM_PROFILE_FILE="$cover_as.%c.profraw" timeout 1200 ${3-} "$cover/$1/$2" \
        >"$cover/log" 2>&1 </dev/null; then
        { echo "not ok - $2 passes as built for coverage [$1${3:+, $3}]"
            grep -v '^ok ' "$cover/log" | sed 's/^/#   /' | tail -n 20; } >>"$cover/tap"
    fi
    if ! { llvm-profdata-19 merge "$cover_as".*profraw -o "$cover_as.merged" &&
        llvm-cov-19 export -instr-profile="$cover_as.merged" "$cover/$1/$2" \
            -sources "$ROOT/ports" >"$cover_as.json" &&
        llvm-cov-19 export -format=lcov -instr-profile="$cover_as.merged" "$cover/$1/$2" \
            -sources "$ROOT/ports" >"$cover_as.lines"; } 2>"$cover/errors"; then
        { echo "not ok - $2 is measured"; sed 's/^/#   /' "$cover/errors" | tail -n 5; } \
            >>"$cover/tap"
    fi
    rm -f "$cover_as".*profraw "$cover_as.merged"
}

cover_suites() { # DIRECTORY PROGRAMS FLAGS MAKE-ARGUMENT...
    cover_where=$1 cover_which=$2
    cover_build "$@" && for cover_name in $cover_which; do
        cover_run "$cover_where" "$cover_name"
    done
}

cover_suites linux "test_posix test_posix_faults test_address test_x509 test_proxy test_pem \
    test_tls_faults test_tls_bearssl test_tls_mbedtls test_tls_openssl test_bearssl conform_posix \
    conform_bearssl conform_proxy conform_mbedtls conform_openssl conform_arduino" ""
cover_run linux test_tls_openssl "env UNSB_TEST_TLS=1.3"
cover_suites posix "test_posix test_posix_faults" -DUNSB_POSIX_LINUX=0
cover_suites pipes test_posix_faults "-DUNSB_POSIX_LINUX=0 -DPLAIN_SOCKETS"
cover_suites single "conform_posix" -DUNSB_POSIX_ATTEMPTS=1
cover_suites threadless "conform_posix test_posix_faults" -DUNSB_POSIX_THREADS=0

# what has other code for Mbed TLS 3.6, and for TLS 1.3
mbedtls3=$CACHE/mbedtls3
if source_package mbedtls "$mbedtls3" trixie >"$cover/log" 2>&1 &&
    locked "$CACHE/locks/mbedtls3.default" make -s -j2 -C mbedtls3 SOURCE="$mbedtls3" \
        B="$mbedtls3.default" >>"$cover/log" 2>&1; then
    cover_suites mbedtls3 "test_tls_mbedtls test_tls_faults test_pem" \
        "-isystem $mbedtls3/include -I$ROOT/tests/mbedtls3 \
        -DMBEDTLS_USER_CONFIG_FILE=\\<config.h\\>" \
        LIBS="$mbedtls3.default/libmbedtls3.a -lssl -lcrypto"
    cover_run mbedtls3 test_tls_mbedtls "env UNSB_TEST_TLS=1.3"
else
    { echo "not ok - Mbed TLS 3.6"; tail -n 5 "$cover/log" | sed 's/^/#   /'; } >>"$cover/tap"
fi

# the desktop layer with each TLS library; and unsandbox.hpp, by the program that throws
desk=$cover/desk
mkdir -p "$desk"
. examples/services.sh
for tls in OPENSSL MBEDTLS BEARSSL; do
    case $tls in
        OPENSSL) cover_libs="-lssl -lcrypto" ;;
        MBEDTLS) cover_libs="-lmbedtls -lmbedx509 -lmbedcrypto" ;;
        BEARSSL) cover_libs=-lbearssl ;;
    esac
    mkdir -p "$cover/$tls"
    for cover_name in test_desktop throwing; do
        cover_cc="clang-19 -std=c11 suites/test_desktop.c -lcmocka"
        [ $cover_name = test_desktop ] || cover_cc="clang++-19 -std=c++11 examples/throwing.cpp"
        # shellcheck disable=SC2086
        $cover_cc -D_GNU_SOURCE -DUNSB_DESKTOP_TLS_$tls=1 $cover_flags -I.. -I../ports -Isuites \
            -o "$cover/$tls/$cover_name" $cover_libs -lpthread >"$cover/log" 2>&1 ||
            { echo "not ok - $cover_name is built for coverage"
                tail -n 20 "$cover/log" | sed 's/^/#   /'; } >>"$cover/tap"
    done
    cover_run $tls test_desktop "env UNSB_TEST_PKI=$desk/pki"
    cover_run $tls throwing "env HOME=$desk SSL_CERT_FILE=$desk/pki/ca.pem \
        UNSANDBOX_URL=$UNSB_DESKTOP_TLS UNSANDBOX_PUBLIC_KEY=${desk_pair% *} \
        UNSANDBOX_SECRET_KEY=${desk_pair#* }"
done
stop_servers

# lwIP needs a TAP device in a network namespace
if source_package lwip "$CACHE/lwip" >"$cover/log" 2>&1 &&
    make -s -j2 -C ports/lwip B="$cover/lwip" LWIP="$CACHE/lwip" CC=clang-19 \
        CFLAGS="$cover_flags" PROGRAMS="conform_lwip test_lwip" >"$cover/log" 2>&1; then
    cover_missing=$(LLVM_PROFILE_FILE=/dev/null "$cover/lwip/test_lwip" missing)
    if [ -z "$cover_missing" ]; then
        cover_run lwip conform_lwip
        cover_run lwip test_lwip
        ports_covered="$ports_covered lwip"
    else
        echo "ok - coverage of unsandbox_lwip.h # SKIP $cover_missing" >>"$cover/tap"
    fi
else
    { echo "not ok - the build with lwIP"; tail -n 5 "$cover/log" | sed 's/^/#   /'; } \
        >>"$cover/tap"
fi

for port in $ports_covered; do
    python3 -B coverage_ports.py "$port" uncovered_ports.txt "$ROOT/ports" "$cover"/*.json
done >>"$cover/tap" 2>&1
mv "$cover/tap" "$WORK/tap"
count "coverage of the ports"
rm -rf "$cover"
