# examples/unsb.c, the command-line tool. Sourced by run.sh.

say "== the command-line tool"
need "for the command-line tool" "command -v cc" gcc "command -v make" make \
    "$(has_header openssl/ssl.h)" libssl-dev "command -v openssl" openssl \
    "python3 -c 'import pty, ssl'" python3
tool=$WORK/tool
mkdir -p "$tool"
make_ca "$tool/pki" && make_cert "$tool/pki" localhost "DNS:localhost,IP:127.0.0.1" ||
    die "no certificates"

# tool_verdict NAME: of the command just run, whose output is in $tool/log
tool_verdict() {
    if [ $? = 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"; sed 's/^/#   /' "$tool/log" | head -n 12
    fi >>"$WORK/tap"
}

# tool_tests LABEL TOOL NAME...: the classes or tests of test_tool.py. One that says it cannot be
# made here is skipped, not passed.
tool_tests() {
    label=$1 program=$2; shift 2
    (unset CMOCKA_MESSAGE_OUTPUT
        UNSB_TOOL=$program UNSB_TEST_PKI=$tool/pki python3 -B -W error::SyntaxWarning \
            tool/test_tool.py -v "$@") \
        >"$tool/log" 2>&1
    awk '/^(test_[a-z_]+) \(/ {name = $1}
        / \.\.\. ok$/ || /^ok$/ {print "ok - " name}
        / \.\.\. (FAIL|ERROR)$/ || /^(FAIL|ERROR)$/ {print "not ok - " name}
        / \.\.\. skipped / {print "ok - " name " # SKIP " name}' "$tool/log" >"$WORK/tap"
    grep -q '^OK' "$tool/log" ||
        { echo "not ok - test_tool.py"; tail -n 40 "$tool/log" | sed 's/^/#   /'; } >>"$WORK/tap"
    grep -q '^ok ' "$WORK/tap" || echo "not ok - it ran no test" >>"$WORK/tap"
    count "unsb [$label]"
}

: >"$WORK/tap"
make -s -C "$ROOT/examples" B="$tool" "$tool/unsb" \
    CFLAGS="-std=c99 -O2 -Werror" >"$tool/log" 2>&1
tool_verdict "make unsb"
# what the help and the manual say of options, and what completion offers, is the same
for where in unsb.1 unsb.bash _unsb; do
    "$tool/unsb" --help | grep -oE -e '--[a-z-]+' | sort -u | while read -r option; do
        sed 's/\\//g; s/Fl -/--/g' "../examples/$where" | grep -qE -e "$option([^a-z-]|\$)" ||
            echo "$where does not know $option"
    done >"$tool/log"
    [ ! -s "$tool/log" ]
    tool_verdict "options in $where"
done
count "unsb [build]"

if $all; then UNSB_TOOL_LONG=1; else UNSB_TOOL_LONG=0; fi
export UNSB_TOOL_LONG
tool_tests "gcc -O2" "$tool/unsb" Running Mistakes Artifacts Output OnTerminal Tls \
    RunningLive.test_code RunningLive.test_json RunningLive.test_jobs_and_cancel

if $all; then
    need "for the tool's manual, completion and compilers" "command -v mandoc" mandoc \
        "command -v zsh" zsh "command -v bash" bash "command -v clang" clang \
        "command -v wasm-ld || command -v wasm-ld-14" lld
    : >"$WORK/tap"
    clang -std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef \
        -Werror -I.. -I../ports -c ../examples/unsb.c -o "$tool/unsb.o" >"$tool/log" 2>&1
    tool_verdict "clang"
    mandoc -T lint ../examples/unsb.1 >"$tool/log" 2>&1 && [ ! -s "$tool/log" ]
    tool_verdict "mandoc -T lint"
    UNSB_TOOL=$tool/unsb bash tool/completion.bash >"$tool/log" 2>&1
    tool_verdict "completion in bash"
    UNSB_TOOL=$tool/unsb python3 -B tool/completion_zsh.py >"$tool/log" 2>&1
    tool_verdict "completion in zsh"
    count "unsb [manual and completion]"

    tool_tests "live dialect, and a service that dies" "$tool/unsb" RunningLive Killed
    # shellcheck source=tool/windows.sh
    . "$ROOT/tests/tool/windows.sh"
    UNSB_TOOL_LONG=0

    : >"$WORK/tap"
    make -s -C "$ROOT/examples" B="$tool/sanitized" "$tool/sanitized/unsb" \
        CFLAGS="-std=c99 -O1 -g $SANITIZE" >"$tool/log" 2>&1
    tool_verdict "make unsb, sanitized"
    count "unsb [sanitized build]"
    # what the short process does not free is no leak that matters
    ASAN_OPTIONS=detect_leaks=0
    export ASAN_OPTIONS
    tool_tests "sanitized" "$tool/sanitized/unsb" Running Mistakes Artifacts Output OnTerminal
    unset ASAN_OPTIONS
fi
unset UNSB_TOOL_LONG
rm -rf "$tool"
