# Small faults planted in unsandbox.h, and whether the suites notice; sourced by all.sh. A sample
# from a seed that is printed; `python3 mutation/mutate.py --count 500` in tests/ is the long run.

say "== mutation: do the suites notice planted faults?"
need "to translate hundreds of mutants" "command -v tcc" tcc "command -v gcc" gcc \
    "$(has_header cmocka.h)" libcmocka-dev \
    "command -v valgrind" valgrind "$(has_header valgrind/callgrind.h)" valgrind
# what is asked of all is 95 %; a sample of a few dozen may stray far from its share
python3 -B mutation/mutate.py --count "${UNSB_MUTANTS:-80}" --jobs 2 --seconds 180 \
    --at-least 70 >"$WORK/tap" 2>"$WORK/errors" ||
    grep -q '^not ok' "$WORK/tap" ||
    { echo "not ok - mutate.py"; sed 's/^/#   /' "$WORK/errors"; } >>"$WORK/tap"
count "mutation"
