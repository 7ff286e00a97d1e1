# Coverage of unsandbox.h by clang-19: lines, branches and MC/DC conditions, of the fast and the
# small variant. Sourced by all.sh. All is covered but what uncovered.txt lists, with reasons.

say "== coverage of unsandbox.h"
need "for coverage by conditions" "command -v clang-19" clang-19 "command -v llvm-cov-19" llvm-19 \
    "test -e /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.profile-x86_64.a" \
    libclang-rt-19-dev

# coverage_of SMALL: builds and runs the suites, verdicts in $WORK/coverage_SMALL/tap. They are
# compiled from standard input: so static functions have the same name in each program ("<stdin>"
# and their own) and what the programs did with one is added up before it is judged.
coverage_of() {
    coverage=$WORK/coverage_$1 objects=
    rm -rf "$coverage" && mkdir "$coverage"
    for name in base64 json_reader json_writer http sign parts request client faults dialects \
        tolerance exchange; do
        if ! clang-19 -std=c11 -D_POSIX_C_SOURCE=200809L -I"$ROOT" -I"$ROOT/ports" \
            -I"$ROOT/tests/suites" -O0 -fprofile-instr-generate -fcoverage-mapping \
            -fcoverage-mcdc -DUNSB_SMALL="$1" -x c - -o "$coverage/$name" -lcmocka \
            <"suites/test_$name.c" 2>>"$coverage/warnings"; then
            echo "not ok - test_$name is built for coverage"
            sed 's/^/#   /' "$coverage/warnings" | tail -n 20
        elif ! LLVM_PROFILE_FILE="$coverage/$name.profraw" timeout 900 "$coverage/$name" \
            >"$coverage/$name.tap" 2>&1 </dev/null; then
            echo "not ok - test_$name passes as built for coverage"
            sed 's/^/#   /' "$coverage/$name.tap" | grep -v '^#   ok ' | tail -n 20
        fi
        objects="$objects ${objects:+-object} $coverage/$name"
    done >"$coverage/tap"
    # shellcheck disable=SC2086
    if ! { llvm-profdata-19 merge "$coverage"/*.profraw -o "$coverage/merged" &&
        llvm-cov-19 export -instr-profile="$coverage/merged" $objects \
            -sources "$ROOT/unsandbox.h" >"$coverage/full.json" &&
        llvm-cov-19 export -format=lcov -instr-profile="$coverage/merged" $objects \
            -sources "$ROOT/unsandbox.h" >"$coverage/lines" &&
        python3 -B coverage.py "$coverage" "$1" uncovered.txt >>"$coverage/tap"; } \
        2>"$coverage/errors"; then
        { echo "not ok - coverage is measured"; sed 's/^/#   /' "$coverage/errors"; } \
            >>"$coverage/tap"
    fi
}

coverage_of 0 & coverage_fast=$!
coverage_of 1
wait "$coverage_fast"
for small in 0 1; do
    cp "$WORK/coverage_$small/tap" "$WORK/tap"
    count "coverage, UNSB_SMALL=$small"
done
