# Coverage of unsandbox.h by clang-19: lines, branches and MC/DC conditions of the default and the
# small variant. Sourced by tests/all.sh. What is not covered is printed, none of it is excluded;
# coverage.txt has the least of each that is taken: VARIANT MEASURE PERCENT.

say "== coverage of unsandbox.h"
need "for coverage by conditions" "command -v clang-19" clang-19 "command -v llvm-cov-19" llvm-19 \
    "test -e /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.profile-x86_64.a" \
    libclang-rt-19-dev
for small in 0 1; do
    coverage=$BUILD/coverage_$small
    rm -rf "$coverage"
    build "coverage, UNSB_SMALL=$small" "$coverage" "$parts $client $answers" CC=clang-19 \
        CFLAGS="-O0 -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc -Wno-error \
-DUNSB_SMALL=$small" || continue
    objects=
    for name in $parts $client $answers; do
        LLVM_PROFILE_FILE=$coverage/$name.profraw
        export LLVM_PROFILE_FILE
        suite "coverage, UNSB_SMALL=$small" "$coverage/$name"
        objects="$objects ${objects:+-object} $coverage/$name"
    done
    unset LLVM_PROFILE_FILE
    # shellcheck disable=SC2086
    llvm-profdata-19 merge "$coverage"/*.profraw -o "$coverage/merged" >"$WORK/errors" 2>&1 &&
        llvm-cov-19 export -summary-only -instr-profile="$coverage/merged" $objects \
            -sources "$ROOT/unsandbox.h" >"$coverage/summary" 2>>"$WORK/errors"
    python3 -B - "$coverage/summary" "$small" coverage.txt >"$WORK/tap" 2>>"$WORK/errors" <<'END' ||
import json
import sys

totals = json.load(open(sys.argv[1]))["data"][0]["totals"]
for line in open(sys.argv[3]):
    words = line.split()
    if line.startswith("#") or not words or words[0] != sys.argv[2]:
        continue
    what = totals[words[1]]
    print("# figures: %s: %d of %d" % (words[1], what["covered"], what["count"]))
    good = what["count"] > 0 and 100 * what["covered"] >= float(words[2]) * what["count"]
    print("%s - %s covered: %.2f %%, at least %s %%" % (
        "ok" if good else "not ok", words[1], 100 * what["covered"] / max(1, what["count"]),
        words[2]))
END
        { echo "not ok - coverage not measured"; sed 's/^/#   /' "$WORK/errors"; } >>"$WORK/tap"
    count "coverage, UNSB_SMALL=$small"
done
