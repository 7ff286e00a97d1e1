#!/bin/sh
# Tests the library: sh tests/run.sh          what its users need to know that it works here
#                    sh tests/run.sh --all    everything, fuzzing and coverage included
#                    sh tests/run.sh PART...  some parts: "sh tests/run.sh fast sanitized"
# Installs what is missing, leaves nothing running, prints "N passed, N failed" last (and ", N
# skipped" where a check could not be made here) and exits with 0 only if nothing failed.
#
# The parts run side by side, each as a process of its own (run.sh --part NAME); what one says is
# shown when it has ended. Those below run by default, those of all.sh by --all; all.sh says how to
# add one.
#   UNSB_JOBS=N     so many at a time; by default one more than there are processors, as some wait
#   UNSB_BUILD=DIR  where it builds, and finds what it built the last time; by default a folder for
#                   this run alone. Nothing is written into the checkout.
#   UNSB_ALL=true   what a part checks with --all alone, too
#   UNSB_TIMES=1    says at the end what took the processors longest
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=lib.sh
. "$ROOT/tests/lib.sh"

parts="test_base64 test_json_reader test_json_writer test_http test_sign test_parts test_smallest
    test_slash"
client="test_request test_client test_faults test_replay"
units="$parts $client test_dialects test_tolerance test_exchange"
alike="test_diff" # builds both variants itself
tls="test_tls_faults test_tls_bearssl test_tls_mbedtls conform_mbedtls test_tls_openssl \
    conform_openssl"
ports="test_posix test_posix_faults test_bearssl test_pem test_x509 test_address test_proxy $tls \
    conform_posix conform_bearssl conform_template conform_proxy conform_arduino test_exceptions"
service="test_api test_cuts test_large"
# of all that is built in $BUILD/fast and $BUILD/sanitized; -g1 names lines, which -g takes longer for
FAST="-O2 -g1"
SANITIZE="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

# ---- the parts that run by default: part_NAME does the work of NAME ----

default_parts="compile docs tool examples sanitized_ports sanitized_service service ports sanitized
    sanitized_small fast clang roots small"

part_compile() {
    say "== what compiles"
    sh compile/check.sh >"$WORK/tap" 2>&1
    count "compile"
}

part_docs() { . ./docs.sh; }
part_examples() { . examples/examples.sh; }
part_tool() { . tool/tool.sh; }

part_fast() {
    say "== the parts, and the client over a scripted transport"
    variant "gcc -O2" "$BUILD/fast" "$units $alike" CC=gcc CFLAGS="$FAST"
}

part_ports() {
    say "== the ports"
    variant "gcc -O2" "$BUILD/fast" "$ports" CC=gcc CFLAGS="$FAST" &&
        suite "against TLS 1.3" "$BUILD/fast/test_tls_openssl" "env UNSB_TEST_TLS=1.3"
}

part_service() {
    say "== the local service, also as the service answers today"
    variant "gcc -O2" "$BUILD/fast" "$service" CC=gcc CFLAGS="$FAST" &&
        UNSB_TEST_DIALECT=live suite "gcc -O2, live dialect" "$BUILD/fast/test_api"
}

part_small() {
    say "== the compact loops"
    variant "gcc -Os" "$BUILD/small" "$units" CC=gcc CFLAGS="-Os"
}

sanitized() { # sanitized SUITES
    variant "gcc, sanitized" "$BUILD/sanitized" "$1" CC=gcc CFLAGS="$SANITIZE"
}
part_sanitized() {
    say "== under AddressSanitizer and UndefinedBehaviorSanitizer"
    sanitized "$units $alike"
}
part_sanitized_ports() {
    say "== under AddressSanitizer and UndefinedBehaviorSanitizer: the ports"
    sanitized "$ports"
}
part_sanitized_service() {
    say "== under AddressSanitizer and UndefinedBehaviorSanitizer: with the local service"
    sanitized "$service"
}
part_sanitized_small() {
    say "== under AddressSanitizer and UndefinedBehaviorSanitizer: the compact loops"
    variant "gcc, sanitized, compact" "$BUILD/sanitized_small" "$units" CC=gcc \
        CFLAGS="$SANITIZE -DUNSB_SMALL=1"
}

part_clang() {
    say "== clang, and without signing"
    variant "clang -O2" "$BUILD/clang" "$units" CC=clang CFLAGS="-O2"
    variant "clang -Os, no signing" "$BUILD/clang_small" "$client" CC=clang \
        CFLAGS="-Os -DUNSB_SIGNING=0 -DUNSB_ERROR_TEXT=0"
}

part_roots() { . roots/roots.sh; }

# shellcheck source=all.sh
. "$ROOT/tests/all.sh"
# shellcheck source=parts.sh
. "$ROOT/tests/parts.sh"

if [ "${1-}" = --part ]; then
    cd "$ROOT/tests" || exit 1
    run_part "$2"
    exit 0 # else xargs would start no other
fi

# ---- the run ----

# shellcheck disable=SC2086,SC2116
known=" $(echo $default_parts $long_parts) "
usage() {
    sed -n 's/^# Tests the library: /usage: /p; s/^#  *\(sh tests.*\)/       \1/p' "$0" >&2
    say "The parts:$known" >&2
    exit 2
}

chosen=$default_parts last=
UNSB_ALL=${UNSB_ALL:-false} # some parts do more then
case ${1-} in
    --all)
        chosen="$long_parts $default_parts" last=$last_part UNSB_ALL=true
        [ $# = 1 ] || usage ;;
    ?*)
        chosen=$*
        for part in "$@"; do
            case $known in *" $part "*) ;; *) usage ;; esac
        done ;;
esac

# until the parts have ended, which an interrupt reaches as well
at_exit() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -n "$(running_parts)" ] || break
        sleep 0.5
    done
    rm -rf "$WORK"
    status_line
}
running_parts() { (cd "$WORK/parts" && ls -d ./*/running) 2>/dev/null | cut -d / -f 2; }

begin_work
trap at_exit EXIT
trap 'exit 130' INT TERM HUP
chmod 711 "$WORK" # what a part makes there can be reached by others, if it allows it itself
mkdir "$WORK/parts"
UNSB_BUILD=${UNSB_BUILD:-$WORK/build}
{ mkdir -p "$UNSB_BUILD" && [ -w "$UNSB_BUILD" ]; } || die "cannot write to $UNSB_BUILD"
UNSB_BUILD=$(cd "$UNSB_BUILD" && pwd)
plain "$UNSB_BUILD" || { ln -s "$UNSB_BUILD" "$WORK/build" && UNSB_BUILD=$WORK/build; }
export UNSB_ALL UNSB_BUILD UNSB_RUN="$WORK" UNSB_TEST_PKI="$WORK/pki" CMOCKA_MESSAGE_OUTPUT=TAP

need "for the tests" \
    "command -v gcc" gcc "command -v g++" g++ "command -v clang" clang "command -v make" make \
    "echo '#include <stdlib.h>' | cc -E -" libc6-dev \
    "$(has_header cmocka.h)" libcmocka-dev "$(has_header bearssl.h)" libbearssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header openssl/ssl.h)" libssl-dev \
    "command -v i686-linux-gnu-gcc" gcc-i686-linux-gnu \
    "test -e /usr/i686-linux-gnu/include/stdlib.h" libc6-dev-i386-cross \
    "python3 -c 'import ssl, http.server'" python3 "command -v openssl" openssl \
    "command -v wasm-ld || command -v wasm-ld-14" lld \
    "test -d /usr/share/ca-certificates/mozilla" ca-certificates
# past wrappers, such as pyenv's, which take longer to start than Python itself
PATH=$(python3 -c 'import os, sys; print(os.path.dirname(sys.executable))'):$PATH
{ make_ca "$UNSB_TEST_PKI" &&
    make_cert "$UNSB_TEST_PKI" localhost "DNS:localhost,IP:127.0.0.1"; } || die "no certificates"

run_parts() {
    # shellcheck disable=SC2016
    [ $# = 0 ] || printf '%s\n' "$@" | attended 'echo running: $(running_parts)' \
        xargs -n 1 -P "${UNSB_JOBS:-$(($(nproc) + 1))}" sh "$ROOT/tests/run.sh" --part
}
# shellcheck disable=SC2086
run_parts $chosen
# shellcheck disable=SC2086
run_parts $last

passed=0 failed=0 skipped=0
for part in $chosen $last; do
    if read -r n f s 2>/dev/null <"$WORK/parts/$part/counts"; then
        passed=$((passed + n)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        say "not ok - the part $part came to no end"
        failed=$((failed + 1))
    fi
done
# shellcheck disable=SC2086
[ -z "${UNSB_TIMES-}" ] || show_times $chosen $last
say ""
if [ "$skipped" = 0 ]; then say "$passed passed, $failed failed"; else
    say "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ] && [ "$passed" != 0 ]
