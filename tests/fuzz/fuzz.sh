# Builds and runs the fuzzers; sourced by tests/all.sh and fuzz/run.sh. Each runs for
# $UNSB_FUZZ_SECONDS, two at a time. What is found is left in $UNSB_FUZZ_FOUND, the corpora grow in
# $UNSB_FUZZ_CORPORA; both are $WORK by default.

FUZZERS="parts client x509 diff json base64 request proxy bearssl mbedtls openssl"

# fuzz_seeds NAMES: the first inputs, as $WORK/seeds_NAME: those of seeds.py, the chains of the
# tests and what fuzz/corpus/NAME has kept of earlier runs
fuzz_seeds() {
    for name in $1; do
        mkdir -p "$WORK/seeds_$name" "${UNSB_FUZZ_CORPORA:-$WORK}/corpus_$name"
        python3 -B fuzz/seeds.py seeds "$name" "$WORK/seeds_$name" &&
            python3 -B fuzz/seeds.py unpack "fuzz/corpus/$name" "$WORK/seeds_$name" || return 1
    done
    case " $1 " in *" x509 "*) ;; *) return 0 ;; esac
    mkdir -p "$WORK/chains" &&
        python3 -B suites/x509_chains.py "$WORK/chains" >"$WORK/chains.log" 2>&1
    for chain in "$WORK"/chains/*.chain; do
        { printf '\007'; cat "$chain"; } >"$WORK/seeds_x509/x509_$(basename "$chain" .chain)"
    done
}

# fuzz_build NAME: builds $WORK/fuzz_NAME
fuzz_build() {
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
    clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I.. \
        -I../ports "$source" $more -o "$WORK/fuzz_$1" >"$WORK/fuzz_$1.log" 2>&1
}

# fuzz_run NAME ARGUMENT...: with what all runs have in common
fuzz_run() {
    fuzz_name=$1; shift
    (cd "$WORK" && exec "./fuzz_$fuzz_name" -max_len=8192 -timeout=20 -print_final_stats=1 \
        -dict="$ROOT/tests/fuzz/words.dict" \
        -artifact_prefix="${UNSB_FUZZ_FOUND:-$WORK}/${fuzz_name}_" "$@") \
        >>"$WORK/fuzz_$fuzz_name.log" 2>&1
}

# fuzz_one NAME: its verdict and figures in $WORK/fuzz_NAME.tap
fuzz_one() {
    if fuzz_build "$1" && fuzz_run "$1" -max_total_time="$UNSB_FUZZ_SECONDS" \
        "${UNSB_FUZZ_CORPORA:-$WORK}/corpus_$1" "$WORK/seeds_$1"; then
        echo "ok - fuzz_$1"
    else
        echo "not ok - fuzz_$1"
        tail -n 40 "$WORK/fuzz_$1.log" | sed 's/^/#   /'
    fi >"$WORK/fuzz_$1.tap"
    awk '/ cov: / {for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1)}
        /Test unit written to / {finds++}
        /^stat::number_of_executed_units:/ {all = $2}
        /^stat::average_exec_per_sec:/ {rate = $2}
        END {printf "# figures: %d executions, %d a second, %d edges, %d finds\n", all, rate, edges,
            finds}' "$WORK/fuzz_$1.log" >>"$WORK/fuzz_$1.tap"
}

# fuzz_minimise NAME: fuzz/corpus/NAME anew, of its present content, the seeds and what
# $UNSB_FUZZ_CORPORA/corpus_NAME has grown to: the smallest inputs that reach all edges that these
# reach, and as far as there is room those that reach them as often
fuzz_minimise() {
    mkdir -p fuzz/corpus "$WORK/edges_$1" "$WORK/merged_$1"
    set -- "$1" "$WORK/seeds_$1" "$UNSB_FUZZ_CORPORA/corpus_$1"
    if { [ -x "$WORK/fuzz_$1" ] || fuzz_build "$1"; } &&
        fuzz_run "$1" -merge=1 -use_counters=0 "$WORK/edges_$1" "$2" "$3" &&
        fuzz_run "$1" -merge=1 "$WORK/merged_$1" "$2" "$3" &&
        python3 -B fuzz/seeds.py pack "fuzz/corpus/$1" "$WORK/edges_$1" "$WORK/merged_$1" \
            >"$WORK/packed"; then
        echo "ok - fuzz/corpus/$1"
        sed 's/^/# figures: /' "$WORK/packed"
    else
        echo "not ok - fuzz/corpus/$1"; tail -n 40 "$WORK/fuzz_$1.log" | sed 's/^/#   /'
    fi >"$WORK/tap"
    count "fuzz/corpus/$1"
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
for name in $UNSB_FUZZ_TARGETS; do
    case " $FUZZERS " in *" $name "*) ;; *) die "no target $name; there are: $FUZZERS" ;; esac
done
say "== fuzzing, $UNSB_FUZZ_SECONDS seconds each"
need "to fuzz, and to read back what the library writes" "command -v clang" clang \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a" \
    libclang-rt-14-dev "$(has_header jansson.h)" libjansson-dev
fuzz_seeds "$UNSB_FUZZ_TARGETS" || die "there are no seeds"
[ "$UNSB_FUZZ_SECONDS" = 0 ] || fuzz_all "$UNSB_FUZZ_TARGETS"
