# The long part of run.sh, which sources it.

say "== the local service itself"
python3 -B -m unittest -v sandboxd/test_sandboxd.py >"$WORK/unittest" 2>&1
awk '/ \.\.\. ok$/ {print "ok - " $1} / \.\.\. (FAIL|ERROR)$/ {print "not ok - " $0}
     / \.\.\. skipped / {print "ok - " $1 " # SKIP " $0} /^FAILED/ {print "not ok - " $0}' \
    "$WORK/unittest" >"$WORK/tap"
grep -q '^OK' "$WORK/unittest" ||
    { echo "not ok - unittest"; tail -n 30 "$WORK/unittest" | sed 's/^/#   /'; } >>"$WORK/tap"
count "sandboxd"

say "== the demonstration"
(unset CMOCKA_MESSAGE_OUTPUT; sh "$ROOT/examples/demo.sh") >"$WORK/demo" 2>&1
if [ $? = 0 ]; then echo "ok - demo.sh"; else
    echo "not ok - demo.sh"; grep -B 3 -A 1 FAILED "$WORK/demo" | sed 's/^/#   /'
fi >"$WORK/tap"
count "examples/demo.sh"

# shellcheck source=peers/peers.sh
. "$ROOT/tests/peers/peers.sh"
# shellcheck source=peers/proxies.sh
. "$ROOT/tests/peers/proxies.sh"
# shellcheck source=firmware/firmware.sh
. "$ROOT/tests/firmware/firmware.sh"

say "== valgrind: reads of what was never written"
build "valgrind" "$BUILD/valgrind" "$parts $client $ports" CC=gcc CFLAGS="-O2 -g" &&
    for name in test_base64 test_http test_sign test_request test_client $ports; do
        suite "valgrind" "$BUILD/valgrind/$name" \
            "valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite"
    done

say "== the fast loops where the byte order is not known"
variant "gcc -O2, byte order unknown" "$BUILD/order" "$parts" CC=gcc \
    CFLAGS="-O2 -U__BYTE_ORDER__ -D__BYTE_ORDER__=0"

say "== fuzzing, $((${UNSB_FUZZ_SECONDS:=60})) seconds each"
mkdir -p "$WORK/chains" "$WORK/corpus_x509" &&
    python3 -B suites/x509_chains.py "$WORK/chains" >"$WORK/chains.log" 2>&1
for chain in "$WORK"/chains/*.chain; do
    { printf '\007'; cat "$chain"; } >"$WORK/corpus_x509/x509_$(basename "$chain" .chain)"
done
for name in parts client x509 diff; do
    mkdir -p "$WORK/corpus_$name" && python3 -B fuzz/seeds.py "$WORK/corpus_$name"
    for other in "$WORK/corpus_$name"/*; do
        case $other in */"$name"_*) ;; *) rm "$other" ;; esac
    done
    more=; [ "$name" != diff ] || more=$(echo fuzz/diff_*.c)
    # shellcheck disable=SC2086
    clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I.. \
        -I../ports "fuzz/fuzz_$name.c" $more -o "$WORK/fuzz_$name" &&
        (cd "$WORK" && timeout $((UNSB_FUZZ_SECONDS * 3 + 60)) "./fuzz_$name" -max_len=8192 -timeout=20 \
            -max_total_time="$UNSB_FUZZ_SECONDS" -print_final_stats=1 "corpus_$name") >"$WORK/fuzz" 2>&1
    if [ $? = 0 ]; then
        echo "ok - fuzz_$name"
        sed -n 's/^stat::number_of_executed_units: */# figures: inputs tried: /p' "$WORK/fuzz"
    else
        echo "not ok - fuzz_$name"; tail -n 40 "$WORK/fuzz" | sed 's/^/#   /'
    fi >"$WORK/tap"
    count "fuzz_$name"
done

say "== flash, RAM and stack against tests/size_budget, and growth with the payload"
for part in budget growth; do
    sh bench.sh $part >"$WORK/bench" 2>"$WORK/errors" ||
        grep -q '^not ok' "$WORK/bench" || { echo "not ok - bench.sh $part"
            tail -n 20 "$WORK/errors" | sed 's/^/#   /'; } >>"$WORK/bench"
    grep -E '^(ok|not ok|#)' "$WORK/bench" >"$WORK/tap"
    count "bench.sh $part"
done

# shellcheck source=matrix/matrix.sh
. "$ROOT/tests/matrix/matrix.sh"

say "== coverage of unsandbox.h"
coverage="$BUILD/coverage"
rm -rf "$coverage"
variant "coverage" "$coverage" "$parts $client $answers" CC=gcc CFLAGS="-O0 -g --coverage -DUNSB_SMALL=0"
lcov -q -c -d "$coverage" --rc lcov_branch_coverage=1 -o "$WORK/coverage.info" >"$WORK/lcov" 2>&1 &&
    lcov -q -e "$WORK/coverage.info" '*/unsandbox.h' --rc lcov_branch_coverage=1 \
        -o "$WORK/header.info" >>"$WORK/lcov" 2>&1
lcov --summary "$WORK/header.info" --rc lcov_branch_coverage=1 >"$WORK/summary" 2>&1
sed -n 's/^ *\(lines\|functions\|branches\)\.*: /# figures: \1 /p' "$WORK/summary" >"$WORK/tap"
for gate in "lines 99" "functions 100" "branches 97"; do
    awk -v what="${gate% *}" -v least="${gate#* }" '$1 ~ "^" what {sub("%", "", $2); seen = 1
        print ($2 + 0 >= least + 0 ? "ok" : "not ok") " - " what " covered: " $2 "%, at least " least "%"}
        END {if (!seen) print "not ok - " what " not measured"}' "$WORK/summary" >>"$WORK/tap"
done
count "coverage"

# shellcheck source=ports/posix.sh
. "$ROOT/tests/ports/posix.sh"

# shellcheck source=ports/arduino.sh
. "$ROOT/tests/ports/arduino.sh"
# shellcheck source=ports/winsock.sh
. "$ROOT/tests/ports/winsock.sh"
# shellcheck source=ports/schannel.sh
. "$ROOT/tests/ports/schannel.sh"
# shellcheck source=ports/macos.sh
. "$ROOT/tests/ports/macos.sh"
# shellcheck source=ports/lwip.sh
. "$ROOT/tests/ports/lwip.sh"
# shellcheck source=ports/lwip_sockets.sh
. "$ROOT/tests/ports/lwip_sockets.sh"
# shellcheck source=mbedtls3/mbedtls3.sh
. "$ROOT/tests/mbedtls3/mbedtls3.sh"

say "== what the documents claim to run"
python3 -B matrix_test.py >"$WORK/unittest" 2>&1
if [ $? = 0 ]; then echo "ok - matrix.py"; else
    echo "not ok - matrix.py"; tail -n 30 "$WORK/unittest" | sed 's/^/#   /'
fi >"$WORK/tap"
python3 -B matrix.py check "$WORK/matrix" ../ports/README.md >>"$WORK/tap" 2>&1
count "matrix"
