#!/bin/sh
# Fuzzes for longer.  Targets: FUZZERS in fuzz.sh, or all.
#   sh tests/fuzz/run.sh MINUTES [TARGET...]               so long for each target, two at a time
#   sh tests/fuzz/run.sh --minimise MINUTES [TARGET...]    then makes tests/fuzz/corpus/TARGET anew
# For each target it prints executions, executions a second, edges reached and finds. Exit status 0
# if nothing was found; else the input stays as TARGET_crash-... (or _timeout-, _oom-, _leak-) in
# the directory UNSB_BUILD, by default the current one. Several may run side by side. With
# UNSB_BUILD set the corpora grow there from run to run, as corpus_TARGET, and --minimise takes them
# in, too: with MINUTES 0 it takes what is there.
set -u
minimise=false
[ "${1-}" != --minimise ] || { minimise=true; shift; }
case $minimise:${1-} in
    *:|*:*[!0-9]*|false:0)
        sed -n 's/^#   \(sh [^ ]*\( [^ ]\{1,\}\)*\).*/usage: \1/p' "$0" >&2
        exit 2 ;;
esac
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
UNSB_FUZZ_SECONDS=$(($1 * 60))
shift
UNSB_FUZZ_TARGETS=${*:-all}
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "${UNSB_BUILD:-.}" && UNSB_FUZZ_FOUND=$(cd "${UNSB_BUILD:-.}" && pwd) || exit 1
UNSB_FUZZ_CORPORA=$WORK
[ -z "${UNSB_BUILD-}" ] || UNSB_FUZZ_CORPORA=$UNSB_FUZZ_FOUND
cd "$ROOT/tests" || exit 1
# shellcheck source=../lib.sh
. "$ROOT/tests/lib.sh"
need "to build the fuzzers" "command -v clang" clang "$(has_header bearssl.h)" libbearssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header openssl/ssl.h)" libssl-dev \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a" \
    libclang-rt-14-dev
failed=0
count() {
    say "$1: $(sed -n 's/^# figures: *//p' "$WORK/tap")"
    if grep -q '^not ok' "$WORK/tap"; then
        grep -v '^# figures:' "$WORK/tap"
        failed=$((failed + 1))
    fi
}
# shellcheck source=fuzz.sh
. "$ROOT/tests/fuzz/fuzz.sh"
if $minimise; then
    for name in $UNSB_FUZZ_TARGETS; do fuzz_minimise "$name"; done
fi
[ "$failed" = 0 ]
