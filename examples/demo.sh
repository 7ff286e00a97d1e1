#!/bin/sh
# Runs real programs through unsandbox.h, over verified TLS, against the local service: sh examples/demo.sh
# It installs what is missing, stops what it started, and exits with 0 only if every step did
# what it says.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
WORK=$(mktemp -d) || exit 1
# shellcheck source=../tests/lib.sh
. "$ROOT/tests/lib.sh"
trap 'stop_servers; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

need "to build the examples and to run them against the local service" \
    "command -v cc" gcc "command -v make" make \
    "echo '#include <stdlib.h>' | cc -E -" libc6-dev \
    "$(has_header openssl/ssl.h)" libssl-dev \
    "python3 -c 'import ssl, http.server'" python3 \
    "command -v openssl" openssl

failed=0
step() { printf '\n== %s\n' "$*"; }

# expect STATUS PATTERN COMMAND...: shows what the command prints; it must exit so and print that
expect() {
    want=$1 pattern=$2; shift 2
    "$@" >"$WORK/output" 2>&1
    status=$?
    sed 's/.*\r//; s/^/   /' "$WORK/output"
    if [ "$status" != "$want" ]; then
        say "   FAILED: exit status $status instead of $want"
        failed=$((failed + 1))
    elif ! grep -q "$pattern" "$WORK/output"; then
        say "   FAILED: nothing printed matches \"$pattern\""
        failed=$((failed + 1))
    fi
}

step "building the examples"
for name in hello stream json_on_device fan_out plugin_host plugin_a.so plugin_b.so game_frame files \
    stdin artifact shebang job cancel failing warm unsb; do
    printf '   %s\n' "$name"
    make -s -C "$ROOT/examples" B="$WORK/bin" CFLAGS="-std=c11 -O0" "$WORK/bin/$name" ||
        die "$name does not build"
done

step "a throw-away authority and certificate, and the local service over TLS"
make_ca "$WORK/pki" && make_cert "$WORK/pki" localhost "DNS:localhost,IP:127.0.0.1" ||
    die "no certificates"
pair="unsb-pk-demo0-vault-unlck-12345 unsb-sk-demo0-vault-unlck-12345"
# shellcheck disable=SC2086
serve() { # VARIABLE OPTION...
    variable=$1; shift
    start_server "$variable" --tls "$WORK/pki/localhost.pem" "$WORK/pki/localhost.key" \
        --journal "$WORK/journal.$variable" --key-pair $pair "$@"
    eval "UNSANDBOX_URL=https://localhost:\${$variable##*:}"
    say "   $UNSANDBOX_URL"
}
SSL_CERT_FILE=$WORK/pki/ca.pem
UNSANDBOX_API_KEY=unsb-sk-test0-vault-unlck-12345
HOME=$WORK # the user's own keys and settings have no part in it
unset UNSANDBOX_PUBLIC_KEY UNSANDBOX_SECRET_KEY UNSANDBOX_ACCOUNT SSL_CERT_DIR
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY
export HOME SSL_CERT_FILE UNSANDBOX_URL UNSANDBOX_API_KEY

# Every example, with whatever service and keys the environment names: 60 executions.
examples() {
    step "hello: one line of Python"
    expect 0 '^42$' "$WORK/bin/hello"

    step "unsb: the command-line tool"
    expect 0 '^42$' "$WORK/bin/unsb" -q -s python 'print(6 * 7)'

    step "stream: 100,000 lines as they arrive"
    "$WORK/bin/stream" 2>"$WORK/output" | tail -n 1 >"$WORK/last"
    expect 0 '^line 99999$' cat "$WORK/last"

    step "json_on_device: JSON that a program prints, read as it arrives"
    expect 0 '^300 readings, 6300 degrees' "$WORK/bin/json_on_device"

    step "fan_out: one computation in four parts at a time"
    expect 0 '^pi is about 3\.1' "$WORK/bin/fan_out" 4

    step "plugin: two shared objects, each with a library of its own, in one process"
    expect 0 '^both closed$' "$WORK/bin/plugin_host" "$WORK/bin/plugin_a.so" "$WORK/bin/plugin_b.so"

    step "game_frame: a loop of 144 frames a second that has its levels made elsewhere"
    expect 0 '^the worst frame' "$WORK/bin/game_frame"

    step "files: environment and two input files; stdout and stderr"
    expect 0 '^exit code 0, ' "$WORK/bin/files"

    step "stdin: arguments and a stdin, which the service itself has not"
    printf 'four words of input\n' >"$WORK/words"
    expect 0 "^\['a \"b\"', 'c'\] 4 words$" sh -c '"$0" "a \"b\"" c <"$1"' "$WORK/bin/stdin" \
        "$WORK/words"

    step "artifact: a C program compiled by the service, saved, and run here"
    rm -f "$WORK/fetched"
    expect 0 'saved as' "$WORK/bin/artifact" "$WORK/fetched"
    expect 0 '^compiled far away$' "$WORK/fetched"

    step "shebang: a shell script that names its own language"
    printf '#!/bin/sh\necho "shell arithmetic: $((6 * 7))"\n' >"$WORK/script"
    expect 0 '^shell arithmetic: 42$' "$WORK/bin/shebang" "$WORK/script"

    step "job: submitted, waited for from a loop that does other things"
    expect 0 '^completed after ' "$WORK/bin/job"

    step "cancel: a long job stopped, with what it had printed"
    expect 0 'partial output: begun' "$WORK/bin/cancel"

    step "failing: a program with an error of its own"
    expect 0 'NameError' "$WORK/bin/failing"

    step "warm: twenty commands in one session, beside twenty programs"
    expect 0 '^the session counted to 20' "$WORK/bin/warm"
}

check_journal() { # FILE
    runs=$(wc -l <"$1")
    step "the service's journal"
    say "   $runs programs and commands were started, one for each call that could start one"
    [ "$runs" = 60 ] || { say "   FAILED: 60 expected"; failed=$((failed + 1)); }
}

serve URL
examples
check_journal "$WORK/journal.URL"

step "the same programs, to the service as it answers today: signed requests, runs that become jobs"
page=$UNSANDBOX_URL
UNSANDBOX_PUBLIC_KEY=${pair% *} UNSANDBOX_SECRET_KEY=${pair#* }
export UNSANDBOX_PUBLIC_KEY UNSANDBOX_SECRET_KEY
serve LIVE --dialect live --signed-only --files-in /tmp/input
examples
check_journal "$WORK/journal.LIVE"

step "hello with the wrong half of another pair"
UNSANDBOX_SECRET_KEY=unsb-sk-wrong-wrong-wrong-wrong \
    expect 1 'did not accept the key or the signature' "$WORK/bin/hello"
unset UNSANDBOX_PUBLIC_KEY UNSANDBOX_SECRET_KEY
UNSANDBOX_URL=$page

step "hello with a wrong key"
UNSANDBOX_API_KEY=unsb-sk-wrong-wrong-wrong-wrong expect 1 'did not accept the key' "$WORK/bin/hello"

step "hello to a host that the certificate is not for"
make_cert "$WORK/pki" elsewhere "DNS:elsewhere.example" || die "no certificate"
start_server OTHER --tls "$WORK/pki/elsewhere.pem" "$WORK/pki/elsewhere.key"
UNSANDBOX_URL=https://localhost:${OTHER##*:} expect 1 'certificate is not trusted' "$WORK/bin/hello"

step "hello without the authority"
SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt expect 1 'trust' "$WORK/bin/hello"

step "hello after the service has stopped"
stop_servers
expect 1 'no connection' "$WORK/bin/hello"

printf '\n'
[ $failed = 0 ] || die "$failed steps failed"
say "every step did what it says"
