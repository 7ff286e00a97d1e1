# The parts of run.sh --all that do not run by default. run.sh sources it.
#
# To add a part: write tests/X/x.sh, and here
#     part_x() { . x/x.sh; }
# and x in the list. x.sh says its headline, installs what it needs (need or try_need of lib.sh),
# leaves "ok - NAME", "not ok - NAME" or "ok - NAME # SKIP WHY" in $WORK/tap and calls count; or it
# builds and runs suites by build, suite or variant (parts.sh). Its working directory is tests/.
# $WORK is its own. $BUILD all parts share: what is built with $FAST or $SANITIZE goes into
# $BUILD/fast or $BUILD/sanitized, the rest into a folder of its own. It runs beside others: no fixed
# ports, no fixed names in /tmp; what it leaves running is in PIDS (start_server of lib.sh does it),
# or ended by an at_end() of its own. To try it: sh tests/run.sh x. UNSB_TIMES=1 says what it costs.

# Those that take long come first, so that none of them runs alone at the end.
long_parts="windows valgrind_ports matrix_linux fuzz firmware analysers mutation proofs matrix_bare
    options coverage_ports matrix_here lwip peers sanitizers mbedtls3 soak hostile valgrind
    differential posix coverage proxies bench ways sandboxd demo arduino macos matrix_compiled order"
last_part=documents # after all the others

part_analysers() { . ./analysers.sh; }
part_arduino() { . ports/arduino.sh; }
part_coverage() { . ./coverage.sh; }
part_differential() { . fuzz/batch.sh; }
part_coverage_ports() { . ./coverage_ports.sh; }
part_firmware() { . firmware/firmware.sh; }
part_fuzz() { . fuzz/fuzz.sh; }
part_lwip() { . ports/lwip.sh; . ports/lwip_sockets.sh; }
part_macos() { . ports/macos.sh; }
part_mbedtls3() { . mbedtls3/mbedtls3.sh; }
part_mutation() { . mutation/mutation.sh; }
part_options() { . ./options.sh; }
part_peers() { . peers/peers.sh; }
part_posix() { . ports/posix.sh; }
part_proofs() { . proof/proof.sh; }
part_proxies() { . peers/proxies.sh; }
part_sanitizers() { . ./sanitizers.sh; }
part_ways() { . ways/ways.sh; }

# the library on other machines, in groups
part_matrix_bare() { . matrix/matrix.sh; matrix_bare; }
part_matrix_compiled() { . matrix/matrix.sh; matrix_compiled; }
part_matrix_here() { . matrix/matrix.sh; matrix_here; }
part_matrix_linux() { . matrix/matrix.sh; matrix_linux; }

part_windows() {
    . ports/wine.sh
    . ports/winsock.sh
    . ports/schannel.sh
    . matrix/matrix.sh
    matrix_windows
}

part_hostile() {
    say "== peers that mean no good, a name server that never answers, where keys are"
    variant "gcc -O2" "$BUILD/fast" "test_hostile test_dns test_secrets" CC=gcc CFLAGS="$FAST"
    variant "gcc, sanitized" "$BUILD/sanitized" "test_hostile test_dns" CC=gcc CFLAGS="$SANITIZE"
}

part_soak() {
    say "== a long use through a proxy that cuts, delays and rewrites"
    variant "gcc -O2" "$BUILD/fast" "test_soak" CC=gcc CFLAGS="$FAST"
}

part_sandboxd() {
    say "== the local service itself"
    python3 -B -m unittest -v sandboxd/test_sandboxd.py >"$WORK/unittest" 2>&1
    awk '/ \.\.\. ok$/ {print "ok - " $1} / \.\.\. (FAIL|ERROR)$/ {print "not ok - " $0}
         / \.\.\. skipped / {print "ok - " $1 " # SKIP " $0} /^FAILED/ {print "not ok - " $0}' \
        "$WORK/unittest" >"$WORK/tap"
    grep -q '^OK' "$WORK/unittest" ||
        { echo "not ok - unittest"; tail -n 30 "$WORK/unittest" | sed 's/^/#   /'; } >>"$WORK/tap"
    count "sandboxd"
}

part_demo() {
    say "== the demonstration"
    (unset CMOCKA_MESSAGE_OUTPUT; sh "$ROOT/examples/demo.sh") >"$WORK/demo" 2>&1
    if [ $? = 0 ]; then echo "ok - demo.sh"; else
        echo "not ok - demo.sh"; grep -B 3 -A 1 FAILED "$WORK/demo" | sed 's/^/#   /'
    fi >"$WORK/tap"
    count "examples/demo.sh"
}

valgrind_suites() {
    need "for reads of what was never written" "command -v valgrind" valgrind
    build "valgrind" "$BUILD/fast" "$1" CC=gcc CFLAGS="$FAST" &&
        for name in $1; do
            suite "valgrind" "$BUILD/fast/$name" \
                "valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite"
        done
}

part_valgrind() {
    say "== valgrind: reads of what was never written"
    valgrind_suites "test_base64 test_http test_sign test_request test_client"
}

part_valgrind_ports() {
    say "== valgrind: reads of what was never written, in the ports"
    valgrind_suites "$ports"
}

part_order() {
    say "== the fast loops where the byte order is not known"
    variant "gcc -O2, byte order unknown" "$BUILD/order" "$parts" CC=gcc \
        CFLAGS="-O2 -U__BYTE_ORDER__ -D__BYTE_ORDER__=0"
}

part_bench() {
    say "== flash, RAM, stack and instructions against their budgets, and growth with the payload"
    for part in budget counts growth; do
        sh bench.sh $part >"$WORK/bench" 2>"$WORK/errors" ||
            grep -q '^not ok' "$WORK/bench" || { echo "not ok - bench.sh $part"
                tail -n 20 "$WORK/errors" | sed 's/^/#   /'; } >>"$WORK/bench"
        grep -E '^(ok|not ok|#)' "$WORK/bench" >"$WORK/tap"
        count "bench.sh $part"
    done
}

# What the other parts have shown.
part_documents() {
    say "== what the documents claim to run"
    cat "$UNSB_RUN"/parts/*/matrix >"$WORK/lines"
    python3 -B matrix_test.py >"$WORK/unittest" 2>&1
    if [ $? = 0 ]; then echo "ok - matrix.py"; else
        echo "not ok - matrix.py"; tail -n 30 "$WORK/unittest" | sed 's/^/#   /'
    fi >"$WORK/tap"
    python3 -B matrix.py check "$WORK/lines" ../ports/README.md >>"$WORK/tap" 2>&1
    count "matrix"
}
