#!/bin/sh
# Fuzzes for longer: sh tests/fuzz/run.sh MINUTES [TARGET...]    targets: FUZZERS in fuzz.sh
# What is found stays in the current directory, as TARGET_crash-...; exit status 0 if nothing was.
set -u
[ $# -ge 1 ] || { echo "usage: sh tests/fuzz/run.sh MINUTES [TARGET...]" >&2; exit 2; }
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
UNSB_FUZZ_FOUND=$PWD/
UNSB_FUZZ_SECONDS=$(($1 * 60)) || exit 2
shift
UNSB_FUZZ_TARGETS=${*:-all}
cd "$ROOT/tests" || exit 1
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
# shellcheck source=../lib.sh
. "$ROOT/tests/lib.sh"
need "to build the fuzzers" "command -v clang" clang "$(has_header bearssl.h)" libbearssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header openssl/ssl.h)" libssl-dev \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a" \
    libclang-rt-14-dev
failed=0
count() {
    sed 's/^# figures:/ /' "$WORK/tap"
    if grep -q '^not ok' "$WORK/tap"; then failed=$((failed + 1)); fi
}
# shellcheck source=fuzz.sh
. "$ROOT/tests/fuzz/fuzz.sh"
[ "$failed" = 0 ]
