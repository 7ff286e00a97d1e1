# Builds and runs the fuzzers; sourced by tests/all.sh and fuzz/run.sh. Each runs for
# $UNSB_FUZZ_SECONDS, two at a time.

FUZZERS="parts client x509 diff json base64 request proxy bearssl mbedtls openssl"

# fuzz_seeds: the first inputs, as $WORK/corpus_NAME
fuzz_seeds() {
    mkdir -p "$WORK/seeds" "$WORK/chains" "$WORK/corpus_x509" &&
        python3 -B suites/x509_chains.py "$WORK/chains" >"$WORK/chains.log" 2>&1
    for chain in "$WORK"/chains/*.chain; do
        { printf '\007'; cat "$chain"; } >"$WORK/corpus_x509/x509_$(basename "$chain" .chain)"
    done
    python3 -B fuzz/seeds.py "$WORK/seeds"
    for name in $FUZZERS; do
        mkdir -p "$WORK/corpus_$name"
        for seed in "$WORK/seeds/$name"_*; do
            [ ! -e "$seed" ] || cp "$seed" "$WORK/corpus_$name"
        done
    done
}

# fuzz_one NAME: its verdict in $WORK/fuzz_NAME.tap
fuzz_one() {
    source=fuzz/fuzz_$1.c more=
    case $1 in
        diff) more=$(echo fuzz/diff_*.c) ;;
        json) more="-ljansson -lm" ;;
        base64) more=-lcrypto ;;
        request) more="-ljansson -lcrypto" ;;
        bearssl) source=fuzz/fuzz_tls.c more="-DFUZZ_PORT=1 -lbearssl" ;;
        mbedtls) source=fuzz/fuzz_tls.c
            more="-DFUZZ_PORT=2 -lmbedtls -lmbedx509 -lmbedcrypto" ;;
        openssl) source=fuzz/fuzz_tls.c more="-DFUZZ_PORT=3 -lssl -lcrypto" ;;
    esac
    # shellcheck disable=SC2086
    if clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I.. \
        -I../ports "$source" $more -o "$WORK/fuzz_$1" >"$WORK/fuzz_$1.log" 2>&1 &&
        (cd "$WORK" && exec timeout $((UNSB_FUZZ_SECONDS * 3 + 60)) "./fuzz_$1" -max_len=8192 \
            -timeout=20 -max_total_time="$UNSB_FUZZ_SECONDS" -print_final_stats=1 \
            -artifact_prefix="${UNSB_FUZZ_FOUND:-$WORK/}${1}_" "corpus_$1") \
            >>"$WORK/fuzz_$1.log" 2>&1; then
        echo "ok - fuzz_$1"
        sed -n 's/^stat::number_of_executed_units: */# figures: inputs tried: /p' \
            "$WORK/fuzz_$1.log"
    else
        echo "not ok - fuzz_$1"; tail -n 40 "$WORK/fuzz_$1.log" | sed 's/^/#   /'
    fi >"$WORK/fuzz_$1.tap"
}

# fuzz_all NAMES: two at a time; the verdicts are counted in order
fuzz_all() {
    # shellcheck disable=SC2086
    set -- $1
    while [ $# -gt 0 ]; do
        first=$1 second=${2-}
        fuzz_one "$first" & pid=$!
        [ -z "$second" ] || fuzz_one "$second"
        wait "$pid"
        for name in $first $second; do
            cp "$WORK/fuzz_$name.tap" "$WORK/tap"
            count "fuzz_$name"
        done
        shift; [ $# = 0 ] || shift
    done
}

: "${UNSB_FUZZ_SECONDS:=45}"
if [ "${UNSB_FUZZ_TARGETS-all}" = all ]; then
    UNSB_FUZZ_TARGETS=$FUZZERS
fi
say "== fuzzing, $UNSB_FUZZ_SECONDS seconds each"
need "to fuzz, and to read back what the library writes" "command -v clang" clang \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a" \
    libclang-rt-14-dev "$(has_header jansson.h)" libjansson-dev
fuzz_seeds
fuzz_all "$UNSB_FUZZ_TARGETS"
