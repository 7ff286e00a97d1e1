# The library's parsers against others, case by case; sourced by all.sh. JSON and base64 against
# Python's, HTTP against Python's http.client, llhttp (the parser of Node.js) and RFC 9112 itself.
# UNSB_BATCH=N: so many cases at random of JSON and of HTTP each. batch.py says how to run it alone.

say "== case by case against other parsers"
need "to compare HTTP with the parser of Node.js" "command -v gcc" gcc \
    "test -e /usr/share/llhttp/llhttp.c" node-llhttp

# batch_build NAME SOURCE... [ARGUMENT...]
batch_build() {
    batch_name=$1; shift
    gcc -std=c11 $SANITIZE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef \
        -I.. -o "$WORK/$batch_name" "$@" -lm >>"$WORK/build.log" 2>&1
}

# batch_compare KIND COUNT
batch_compare() {
    python3 -B fuzz/batch.py "$1" --programs "$WORK" --count "$2" >"$WORK/tap" 2>"$WORK/errors" ||
        grep -q '^not ok' "$WORK/tap" ||
        { echo "not ok - batch.py"; tail -n 20 "$WORK/errors" | sed 's/^/#   /'; } >>"$WORK/tap"
    count "$1 against others"
}

# llhttp is not ours to warn about
if batch_build batch fuzz/batch.c && batch_build batch_small -DUNSB_SMALL=1 fuzz/batch.c &&
    gcc -O2 -w -DLLHTTP_STRICT_MODE=1 -c -o "$WORK/llhttp.o" -I/usr/share/include/llhttp \
        /usr/share/llhttp/llhttp.c >>"$WORK/build.log" 2>&1 &&
    batch_build batch_llhttp -isystem /usr/share/include/llhttp fuzz/batch_llhttp.c \
        -DLLHTTP_STRICT_MODE=1 "$WORK/llhttp.o" /usr/share/llhttp/api.c \
        /usr/share/llhttp/http.c; then
    batch_compare base64 100000
    batch_compare json "${UNSB_BATCH:-600000}"
    batch_compare http "${UNSB_BATCH:-400000}"
else
    { echo "not ok - the build"; tail -n 20 "$WORK/build.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "differential"
fi
