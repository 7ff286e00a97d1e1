#!/bin/sh
# The long soak: sh tests/soak/soak.sh [CALLS [SEED]]   (20,000 calls; about 10 minutes)
# Builds suites/test_soak.c, runs it through its own harmful relay, and, where the machine allows,
# a fortieth of it again with packets delayed and lost in a network namespace of its own.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
cd "$ROOT/tests" || exit 1
WORK=$(mktemp -d) || exit 1
# shellcheck source=../lib.sh
. "$ROOT/tests/lib.sh"
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
calls=${1:-20000}
UNSB_TEST_SEED=${2:-$(date +%s)}
export UNSB_TEST_SEED

need "for the soak" "command -v gcc" gcc "command -v make" make \
    "$(has_header cmocka.h)" libcmocka-dev "$(has_header bearssl.h)" libbearssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header openssl/ssl.h)" libssl-dev \
    "python3 -c 'import ssl'" python3 "command -v openssl" openssl
make -s -C "$ROOT/tests" B="$WORK" PROGRAMS=test_soak CFLAGS="-O2" || exit 1
UNSB_SOAK_CALLS=$calls "$WORK/test_soak" || exit 1

few=$((calls / 40))
[ $few -ge 500 ] || few=500
try_need "to delay and lose packets" "command -v ip && command -v tc" iproute2
lossy='ip link set lo up && tc qdisc add dev lo root netem delay 2ms 2ms loss 1% && exec "$@"'
if ! unshare -rn sh -c "$lossy" sh true 2>"$WORK/netem"; then
    say "skipped: packets delayed and lost: $(head -n 1 "$WORK/netem")"
    exit 0
fi
say "with packets delayed and lost:"
UNSB_SOAK_CALLS=$few unshare -rn sh -c "$lossy" sh "$WORK/test_soak"
