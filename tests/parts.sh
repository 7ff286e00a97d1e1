# What the parts of run.sh are made of, which sources it.

# run_part NAME: does all of part_NAME, and shows what it said when that has ended. The part has
# WORK for itself, and shares $BUILD with the others.
run_part() {
    WORK=$UNSB_RUN/parts/$1 BUILD=$UNSB_BUILD TMPDIR=$UNSB_RUN/parts/$1/tmp
    export TMPDIR
    mkdir -p "$TMPDIR"
    echo "$1" >"$WORK/running"
    exec 3>&1 4>&2 >"$WORK/shown" 2>&1
    trap end_part EXIT
    trap 'exec 3>/dev/null; exit 130' INT TERM HUP
    passed=0 failed=0 skipped=0 all=$UNSB_ALL
    "part_$1"
    if [ "$passed$failed$skipped" = 000 ]; then
        echo "not ok - it checked nothing" >"$WORK/tap"
        count "$1"
    fi
    took "else"
    echo "$passed $failed $skipped" >"$WORK/counts"
}

end_part() {
    at_end
    stop_servers
    exec >&3 2>&4
    status_line
    cat "$WORK/shown"
    rm -rf "$TMPDIR" "$WORK/running"
}

at_end() { :; } # for a part that has more to stop than servers

# count NAME: adds up the TAP lines of $WORK/tap and shows those that are not plain successes.
# cmocka writes "not ok N # SKIP NAME" for what a test says it cannot do here.
count() {
    sed -n 's/^\(not \)\{0,1\}ok .*# SKIP/skip - /p' "$WORK/tap" >"$WORK/skips"
    grep -v '^[not ]*ok .*# SKIP' "$WORK/tap" >"$WORK/verdicts"
    n=$(grep -c '^ok ' "$WORK/verdicts")
    f=$(grep -c '^not ok ' "$WORK/verdicts")
    s=$(grep -c . "$WORK/skips")
    passed=$((passed + n)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$s" = 0 ]; then say "$1: $n passed, $f failed"; else
        say "$1: $n passed, $f failed, $s skipped"
        sed 's/^skip -/   skipped:/' "$WORK/skips"
    fi
    [ "$f" = 0 ] || sed -n '/^not ok /,/^ok /p' "$WORK/verdicts" | grep -v '^ok ' | head -n 60
    sed -n 's/^# figures:/  /p' "$WORK/tap"
    took "$1"
}

# took WHAT: notes the processors' seconds that the children took since it was called last
took_before=0
took() {
    times >"$WORK/times"
    took_now=$(awk -F '[ms ]+' 'NR == 2 {print $1 * 60 + $2 + $3 * 60 + $4}' "$WORK/times")
    echo "$took_now $took_before $1" >>"$WORK/took"
    took_before=$took_now
}

# show_times PART...: what took the processors longest
show_times() {
    say ""
    say "seconds of the processors:"
    for part in "$@"; do
        awk -v part="$part" '{took = $1 - $2; all += took; sub(/[^ ]* [^ ]* /, part ": ")}
            took >= 5 {printf "%8.1f     %s\n", took, $0}
            END {printf "%8.1f  %s\n", all, part}' "$WORK/parts/$part/took" 2>/dev/null
    done | sort -rn
}

# suite LABEL PROGRAM [COMMAND]: runs one suite; a crash or a missing plan counts as a failure
suite() {
    # shellcheck disable=SC2086
    timeout 1200 ${3-} "$2" >"$WORK/tap" 2>"$WORK/errors" </dev/null
    rc=$?
    if [ $rc != 0 ] && ! grep '^not ok ' "$WORK/tap" | grep -qv '# SKIP'; then
        { echo "not ok - exit status $rc"; sed 's/^/#   /' "$WORK/errors" | tail -n 30; } >>"$WORK/tap"
    elif [ $rc = 0 ] && ! grep -q '^ok ' "$WORK/tap"; then
        echo "not ok - it ran no test" >>"$WORK/tap"
    elif [ $rc != 0 ]; then # what fail_msg() says, which is not in the TAP
        sed -n 's/^ERROR: /# figures: /p' "$WORK/errors" | head -n 20 >>"$WORK/tap"
    fi
    sed -n 's/^figures:/# figures:/p' "$WORK/errors" >>"$WORK/tap"
    count "$(basename "$2") [$1]"
    case $2 in */conform_*) conformed "$(basename "$2")" ;; esac
}

# conformed SUITE: what a suite of tests/ports has just shown goes into the matrix. TARGET: where it
# ran, if not on this system itself.
conformed() {
    verdict=run
    [ "$f" = 0 ] && [ "$n" != 0 ] || verdict=failed
    port=${1#conform_}
    matrix_line "${port%.*}" "${TARGET:-$(uname -s)}" "$verdict" "$n tests, $s skipped"
}

# suites LABEL DIRECTORY NAMES: runs those of one build
suites() {
    for name in $3; do suite "$1" "$2/$name"; done
}

# build LABEL DIRECTORY NAMES MAKE-ARGUMENT...: a build that fails is a failure. Parts that build in
# the same directory wait for each other.
build() {
    label=$1 dir=$2 names=$3; shift 3
    mkdir -p "$dir"
    if ! locked "$dir/lock" make -s -j"$(nproc)" -C "$ROOT/tests" B="$dir" PROGRAMS="$names" "$@" \
        >"$WORK/make.log" 2>&1; then
        tail -n 20 "$WORK/make.log"
        echo "not ok - the build" >"$WORK/tap"
        count "build [$label]"
        return 1
    fi
    took "build [$label]"
}

# variant LABEL DIRECTORY NAMES MAKE-ARGUMENT...: builds suites and runs them
variant() {
    build "$@" && suites "$1" "$2" "$3"
}
