# The suites of the library with options left out: each alone with what it implies, all of them,
# and four mixed sets. A test that needs what is off is skipped by its name (suites/options.h), and
# which are skipped with one option off alone must be what suites/options.txt says. run.sh sources
# it. test_smallest has all of them off by itself, through the public face alone.

say "== suites with options left out"

options="FILES ARTIFACTS SETTINGS NUMBERS DETAILS RETRIES KEEP_ALIVE UTF8 JOBS LISTS KEYS RUN
    REQUEST"
# Two options can be off together, or either one alone: of the 228 such cases that the library
# allows these four sets have 204, the most that a search found. The other sets have the rest.
mixed="FILES+ARTIFACTS+NUMBERS+DETAILS+RETRIES+KEEP_ALIVE+JOBS+LISTS+KEYS+REQUEST
    FILES+ARTIFACTS+SETTINGS+UTF8+JOBS+KEYS+RUN ARTIFACTS+SETTINGS+RETRIES+UTF8+LISTS+RUN+REQUEST
    SETTINGS+NUMBERS+DETAILS+KEEP_ALIVE+UTF8+LISTS+KEYS+RUN"
# These know nothing of the client: of the options only NUMBERS, KEEP_ALIVE and UTF8 reach them.
readers="test_base64 test_json_reader test_json_writer test_http test_sign"
# The structs within structs are gcc's alone, and pointers to functions on them are not converted.
WITHOUT="-g0 -fplan9-extensions -DWITHOUT_OPTIONS -Wno-incompatible-pointer-types"

# those of $units that take options, less those named
suites_but() {
    for name in $units; do
        case " test_smallest test_slash $* " in *" $name "*) ;; *) printf ' %s' "$name" ;; esac
    done
}

# try_suite PROGRAM: appends to $WORK/set what it said, "SUITE ok TEST", "SUITE skip TEST OPTION" or
# lines that "not ok" begins
try_suite() {
    timeout 600 "$1" >"$WORK/said" 2>"$WORK/errors" </dev/null
    rc=$?
    awk -v suite="${1##*/}" -v rc=$rc '
        /^1\.\.[0-9]+$/ {plan = substr($0, 4)}
        /^# needs / {option = $3}
        /^ok / {n++; fine++; print suite, "ok", $NF}
        /^not ok .*# SKIP/ {n++; print suite, "skip", $NF, option; option = ""}
        /^not ok / && !/# SKIP/ {n++; bad++; print "not ok - " suite " " $NF}
        /^# / && bad && !/^# needs / {print "#   " $0}
        END {
            if (plan == "" || n != plan)
                print "not ok - " suite ": of " plan " tests " n + 0 " ended"
            else if (rc != 0 && !bad) print "not ok - " suite ": exit status " rc
            else if (!fine) print "not ok - " suite ": it ran no test"
        }' "$WORK/said" >>"$WORK/set"
}

# without OPTION+OPTION... [NAME]: one set
without() {
    called=${2-$1}
    flags=$(printf '%s' "+$1" | sed 's/+\([A-Z0-9_]*\)/ -DUNSB_\1=0/g')
    case $1 in
        NUMBERS | KEEP_ALIVE | UTF8 | *+*) quick=$(suites_but test_replay) ;;
        *) quick=$(suites_but test_replay "$readers") ;;
    esac
    # what runs long is compiled for longer
    build "without $called" "$BUILD/options/$called" "$quick" CC=gcc CSTD=-std=gnu11 \
        CFLAGS="-O0 $WITHOUT$flags" &&
        build "without $called" "$BUILD/options/$called-fast" test_replay CC=gcc CSTD=-std=gnu11 \
            CFLAGS="-O1 $WITHOUT$flags" || return
    : >"$WORK/set"
    for name in $quick; do try_suite "$BUILD/options/$called/$name"; done
    try_suite "$BUILD/options/$called-fast/test_replay"
    awk '$2 == "ok" {print "ok - " $1 " " $3; next}
        $2 == "skip" {print "ok - # SKIP " $1 ": " $3 ($4 == "" ? "" : ", needs " $4); next}
        {print}' \
        "$WORK/set" >"$WORK/tap"
    case $1 in *+*) ;; *) compare_skips "$1" ;; esac
    count "without $called"
}

# What is skipped with one option off is what is listed. (A test may skip for another reason, too.)
compare_skips() {
    awk -v option="$1" '$2 == "skip" && $4 != "" {print option, $1, $3}' "$WORK/set" |
        sort >"$WORK/skipped"
    sed 's/#.*//; s/ *$//' suites/options.txt | grep "^$1 " | sort >"$WORK/listed"
    if cmp -s "$WORK/skipped" "$WORK/listed"; then
        echo "ok - $1: skipped as listed in suites/options.txt"
    else
        echo "not ok - $1: the skipped tests are not those of suites/options.txt (<)"
        diff "$WORK/listed" "$WORK/skipped" | sed -n 's/^[<>]/#   &/p'
    fi >>"$WORK/tap"
}

# shellcheck disable=SC2086
for set in $options $mixed; do without "$set"; done
# shellcheck disable=SC2086
without "$(printf '+%s' $options | cut -c2-)" all
