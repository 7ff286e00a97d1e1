# What the documents say: form and completeness (docs.py), and the README's first steps, as they
# stand there. Sourced by run.sh.
# shellcheck disable=SC2016

say "== the documents"
need "to check the documents, and to take their first steps" \
    "command -v python3" python3 "command -v cc" gcc "command -v openssl" openssl \
    "$(has_header openssl/ssl.h)" libssl-dev
docs=$WORK/docs
mkdir -p "$docs"

# docs_run NAME COMMAND...
docs_run() {
    docs_name=$1; shift
    if "$@" >"$docs/log" 2>&1; then echo "ok - $docs_name"; else
        echo "not ok - $docs_name"; tail -n 12 "$docs/log" | sed 's/^/#   /'
    fi >>"$WORK/tap"
}

# In a copy, as they write into it: hello.c by the README's cc line, and the lines for a service of
# one's own with another port, as 8443 may be in use. The last of them must print 42.
docs_copy() {
    cp -R "$ROOT/unsandbox.h" "$ROOT/ports" "$ROOT/README.md" "$docs" &&
        mkdir "$docs/examples" "$docs/tests" && cp "$ROOT"/examples/*.c "$docs/examples" &&
        cp -R "$ROOT/tests/sandboxd" "$docs/tests"
}

docs_build() {
    cd "$docs" && sed -n 's/.*`\(cc [^`]*\)`.*/\1/p' README.md >build &&
        [ "$(grep -c . build)" = 1 ] && sh -ex build && [ -x hello ]
}

docs_service() {
    cd "$docs" && docs_port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])') || return 1
    sed -n '/^openssl req/,/^```/p' README.md | grep -v '^```' | sed "s/8443/$docs_port/" >service
    [ "$(grep -c . service)" = 3 ] && grep -q " --port $docs_port " service &&
        grep -q "localhost:$docs_port " service || return 1
    { # a person takes the time that the service needs
        sed -n '1,2p' service
        echo 'pid=$!; tries=0; until openssl s_client -connect localhost:'"$docs_port"' </dev/null'
        echo 'do tries=$((tries + 1)); [ $tries -le 100 ] || break; sleep 0.2; done >waited 2>&1'
        sed -n '3p' service
        echo 'status=$?; kill $pid; wait $pid; exit $status'
    } >steps
    sh steps >said 2>&1
    docs_status=$?
    cat said
    [ $docs_status = 0 ] && grep -qx 42 said
}

python3 -B docs.py "$ROOT" >"$WORK/tap" 2>"$docs/log" || {
    echo "not ok - docs.py"; sed 's/^/#   /' "$docs/log" | tail -n 12; } >>"$WORK/tap"
docs_run "a copy" docs_copy
(docs_run "README: the command that builds hello" docs_build)
(docs_run "README: a service of one's own, and hello over TLS" docs_service)
count "documents"
