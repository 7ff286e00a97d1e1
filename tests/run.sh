#!/bin/sh
# Tests the library: sh tests/run.sh          what its users need to know that it works here
#                    sh tests/run.sh --all    everything, fuzzing and coverage included
# Installs what is missing, leaves nothing running, prints "N passed, N failed" last (and ", N
# skipped" where a check could not be made here) and exits with 0 only if nothing failed.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$ROOT/tests" || exit 1
all=false
case ${1-} in
    '') ;;
    --all) all=true ;;
    *) echo "usage: sh tests/run.sh [--all]" >&2; exit 2 ;;
esac
WORK=$(mktemp -d) || exit 1
# shellcheck source=lib.sh
. "$ROOT/tests/lib.sh"
trap 'stop_servers; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

need "to build the suites" \
    "command -v gcc" gcc "command -v g++" g++ "command -v clang" clang "command -v make" make \
    "echo '#include <stdlib.h>' | cc -E -" libc6-dev \
    "$(has_header cmocka.h)" libcmocka-dev "$(has_header bearssl.h)" libbearssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header openssl/ssl.h)" libssl-dev
need "to compile for a 32-bit machine" \
    "command -v i686-linux-gnu-gcc" gcc-i686-linux-gnu \
    "test -e /usr/i686-linux-gnu/include/stdlib.h" libc6-dev-i386-cross
need "for the local service, its certificates and its WebAssembly artifacts" \
    "python3 -c 'import ssl, http.server'" python3 "command -v openssl" openssl \
    "command -v wasm-ld || command -v wasm-ld-14" lld
$all && need "for the long tests" \
    "command -v valgrind" valgrind "command -v lcov" lcov \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a" libclang-rt-14-dev

passed=0 failed=0 skipped=0

# count NAME: adds up the TAP lines of $WORK/tap and shows those that are not plain successes.
# cmocka writes "not ok N # SKIP NAME" for what a test says it cannot do here.
count() {
    sed -n 's/^\(not \)\{0,1\}ok .*# SKIP/skip - /p' "$WORK/tap" >"$WORK/skips"
    grep -v '^[not ]*ok .*# SKIP' "$WORK/tap" >"$WORK/verdicts"
    n=$(grep -c '^ok ' "$WORK/verdicts")
    f=$(grep -c '^not ok ' "$WORK/verdicts")
    s=$(grep -c . "$WORK/skips")
    passed=$((passed + n)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$s" = 0 ]; then say "$1: $n passed, $f failed"; else
        say "$1: $n passed, $f failed, $s skipped"
        sed 's/^skip -/   skipped:/' "$WORK/skips"
    fi
    [ "$f" = 0 ] || sed -n '/^not ok /,/^ok /p' "$WORK/verdicts" | grep -v '^ok ' | head -n 60
    sed -n 's/^# figures:/  /p' "$WORK/tap"
}

# suite LABEL PROGRAM [COMMAND]: runs one suite; a crash or a missing plan counts as a failure
suite() {
    timeout 600 ${3-} "$2" >"$WORK/tap" 2>"$WORK/errors" </dev/null
    rc=$?
    if [ $rc != 0 ] && ! grep '^not ok ' "$WORK/tap" | grep -qv '# SKIP'; then
        { echo "not ok - exit status $rc"; sed 's/^/#   /' "$WORK/errors" | tail -n 30; } >>"$WORK/tap"
    elif [ $rc = 0 ] && ! grep -q '^ok ' "$WORK/tap"; then
        echo "not ok - it ran no test" >>"$WORK/tap"
    fi
    sed -n 's/^figures:/# figures:/p' "$WORK/errors" >>"$WORK/tap"
    count "$(basename "$2") [$1]"
    case $2 in */conform_*) conformed "$(basename "$2")" ;; esac
}

# conformed SUITE: what a suite of tests/ports has just shown goes into the matrix. TARGET: where it
# ran, if not on this system itself.
conformed() {
    verdict=run
    [ "$f" = 0 ] && [ "$n" != 0 ] || verdict=failed
    port=${1#conform_}
    matrix_line "${port%.*}" "${TARGET:-$(uname -s)}" "$verdict" "$n tests, $s skipped"
}

# suites LABEL DIRECTORY NAMES: runs those of one build
suites() {
    for name in $3; do suite "$1" "$2/$name"; done
}

# build LABEL DIRECTORY NAMES MAKE-ARGUMENT...: a build that fails is a failure
build() {
    label=$1 dir=$2 names=$3; shift 3
    if ! make -s -j2 -C "$ROOT/tests" B="$dir" PROGRAMS="$names" "$@" >"$WORK/make.log" 2>&1; then
        tail -n 20 "$WORK/make.log"
        echo "not ok - the build" >"$WORK/tap"
        count "build [$label]"
        return 1
    fi
}

# variant LABEL DIRECTORY NAMES MAKE-ARGUMENT...: builds suites and runs them
variant() {
    build "$@" && suites "$1" "$2" "$3"
}

export CMOCKA_MESSAGE_OUTPUT=TAP
export UNSB_TEST_PKI="$WORK/pki"
make_ca "$UNSB_TEST_PKI" && make_cert "$UNSB_TEST_PKI" localhost "DNS:localhost,IP:127.0.0.1" ||
    die "no certificates"
BUILD=${UNSB_BUILD:-$ROOT/tests/build}
SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
parts="test_base64 test_json_reader test_json_writer test_http test_sign test_parts test_smallest"
client="test_request test_client test_faults"
answers="test_dialects test_tolerance test_exchange"
alike="test_diff" # builds both variants itself
tls="test_tls_bearssl test_tls_mbedtls conform_mbedtls test_tls_openssl conform_openssl"
ports="test_posix test_bearssl test_x509 test_proxy $tls conform_posix conform_bearssl \
    conform_template conform_proxy conform_arduino test_exceptions"
service="test_api test_cuts test_large"
every="$parts $alike $client $answers $ports $service"

say "== what compiles"
sh compile/check.sh >"$WORK/tap" 2>&1
count "compile"

# shellcheck source=roots/roots.sh
. "$ROOT/tests/roots/roots.sh"

say "== the parts, the client over a scripted transport, the ports, and the local service"
variant "gcc -O2" "$BUILD/fast" "$every" CC=gcc CFLAGS="-O2" &&
    suite "against TLS 1.3" "$BUILD/fast/test_tls_openssl" "env UNSB_TEST_TLS=1.3"

say "== the local service as the service answers today"
UNSB_TEST_DIALECT=live suite "gcc -O2, live dialect" "$BUILD/fast/test_api"

say "== the compact loops"
variant "gcc -Os" "$BUILD/small" "$parts $client $answers" CC=gcc CFLAGS="-Os"

say "== under AddressSanitizer and UndefinedBehaviorSanitizer"
variant "gcc, sanitized" "$BUILD/sanitized" "$every" CC=gcc CFLAGS="-O1 -g $SANITIZE"
variant "gcc, sanitized, compact" "$BUILD/sanitized_small" "$parts $client $answers" CC=gcc \
    CFLAGS="-O1 -g $SANITIZE -DUNSB_SMALL=1"

say "== clang, and without signing"
variant "clang -O2" "$BUILD/clang" "$parts $client $answers" CC=clang CFLAGS="-O2"
variant "clang -Os, no signing" "$BUILD/clang_small" "$client" CC=clang \
    CFLAGS="-Os -DUNSB_SIGNING=0 -DUNSB_ERROR_TEXT=0"

if $all; then
    # shellcheck source=all.sh
    . "$ROOT/tests/all.sh"
fi

say ""
if [ "$skipped" = 0 ]; then say "$passed passed, $failed failed"; else
    say "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ] && [ "$passed" != 0 ]
