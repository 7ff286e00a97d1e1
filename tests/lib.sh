# Shell functions that examples/demo.sh and tests/run.sh share. POSIX sh; sourced, with ROOT (the
# checkout) and WORK (a scratch directory of the caller's) set, or with begin_work to set both.

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# What is fetched or built once and kept between runs. Nothing in it is needed but time.
CACHE=${UNSB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/unsandbox-tests}

# plain PATH: can make and an unquoted variable do with it?
plain() {
    case $1 in /*) ;; *) return 1 ;; esac
    case $1 in *[!A-Za-z0-9._/+,@-]*) return 1 ;; esac
}

# begin_work: sets WORK, a new scratch directory. Where the paths of the checkout or of the cache are
# not plain, ROOT and CACHE become links to them there; a cache that cannot be written is one there.
begin_work() {
    WORK=
    for place in "${TMPDIR:-/tmp}" /tmp /var/tmp "${HOME:-/}"; do
        plain "$place" && WORK=$(mktemp -d "$place/unsb.XXXXXX" 2>/dev/null) && break
    done
    [ -n "$WORK" ] || die "there is no place for scratch files: set TMPDIR to a folder, without spaces"
    case $CACHE in /*) ;; *) CACHE=$PWD/$CACHE ;; esac
    if ! { mkdir -p "$CACHE" && [ -w "$CACHE" ]; } 2>/dev/null; then
        CACHE=$WORK/cache
        mkdir "$CACHE"
    fi
    plain "$ROOT" || { ln -s "$ROOT" "$WORK/checkout" && ROOT=$WORK/checkout; }
    plain "$CACHE" || { ln -s "$CACHE" "$WORK/cache" && CACHE=$WORK/cache; }
    TMPDIR=$WORK/tmp
    mkdir "$TMPDIR"
    export TMPDIR UNSB_CACHE="$CACHE"
}

# locked FILE COMMAND...: runs it while no other process holds FILE
locked() {
    lock=$1; shift
    if command -v flock >/dev/null 2>&1 && mkdir -p "${lock%/*}" 2>/dev/null; then
        { flock 9; "$@"; } 9>"$lock"
    else
        "$@"
    fi
}

# status_line TEXT: for somebody who looks, until the next one; "" removes it
on_terminal() { [ -t 2 ] && [ "${TERM-dumb}" != dumb ]; }
status_line() { ! on_terminal || printf '\r\033[K%.*s' 78 "$*" >&2; }

# attended SAYING COMMAND...: runs it; meanwhile what the command SAYING prints is shown, with the
# seconds that have passed
attended() {
    saying=$1 since=$(date +%s) ticker=; shift
    ! on_terminal || {
        while [ -d "$WORK" ]; do
            status_line "   $(($(date +%s) - since)) s, $(eval "$saying")"
            sleep 1
        done &
        ticker=$!
    }
    "$@"
    attended_status=$?
    [ -z "$ticker" ] || kill "$ticker"
    status_line
    return $attended_status
}

# add_missing CHECK PACKAGE [CHECK PACKAGE ...]: adds to $missing each Debian package whose check (a
# shell command) fails
add_missing() {
    while [ $# -ge 2 ]; do
        sh -c "$1" >/dev/null 2>&1 || missing="$missing $2"
        shift 2
    done
}

# need WHY CHECK PACKAGE [CHECK PACKAGE ...]: installs what is missing. Says what and why before it
# does; where it cannot, how to.
need() {
    try_need "$@" || die "needed $why, and $refusal:$missing
Who may install packages here can do it with this line:
    apt-get update && apt-get install -y --no-install-recommends$missing"
}

# try_need ...: the same, but false (and why in $refusal, what in $missing) if it cannot be done
try_need() {
    why=$1; shift
    missing=
    add_missing "$@"
    [ -n "$missing" ] || return 0
    refusal="there is no apt-get to install it with"
    command -v apt-get >/dev/null 2>&1 || return 1
    as_root=
    if [ "$(id -u)" != 0 ]; then
        refusal="only root can install it"
        command -v sudo >/dev/null 2>&1 && { sudo -n true || sudo -v; } 2>/dev/null || return 1
        as_root=sudo
    fi
    refusal="it could not be installed"
    locked "$CACHE/locks/apt" install_missing "$@"
}

# One at a time: another part may just have installed what is missing here.
install_missing() {
    missing=
    add_missing "$@"
    [ -n "$missing" ] || return 0
    say "installing, $why:$missing"
    mkdir -p "$WORK"
    # shellcheck disable=SC2086
    attended "echo installing" install_packages $missing ||
        { tail -n 5 "$WORK/install.log" >&2; return 1; }
}

# Package lists may be missing or old on a fresh machine; another program may be installing.
install_packages() {
    set -- -o DPkg::Lock::Timeout=600 install -qy --no-install-recommends "$@"
    {
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" ||
            { { $as_root apt-get update -q || { sleep 5; $as_root apt-get update -q; }; } &&
                $as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }
    } >"$WORK/install.log" 2>&1 9>&- </dev/null
}

has_header() { # for `need`: a check that a C header is there
    printf "printf '#include <stdarg.h>\\\\n#include <stddef.h>\\\\n#include <setjmp.h>\\\\n#include <stdint.h>\\\\n#include <%s>\\\\n' | cc -E -" "$1"
}

# matrix_line PORT TARGET VERDICT [FIGURES]: notes for tests/matrix.py what was shown of a port (or
# of "core", the library itself) on a target. VERDICT is run, compiled, skipped or failed.
matrix_line() {
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4-}" >>"$WORK/matrix"
}

# signed CERTIFICATE COMMAND...: what makes it, again while a number of its ECDSA signature has fewer
# than 32 bytes. That is one in 128, and Wine takes it for a wrong signature.
signed() {
    certificate=$1; shift
    for _ in 1 2 3 4 5 6 7 8; do
        "$@" || return 1
        openssl asn1parse -in "$certificate" -strparse \
            "$(openssl asn1parse -in "$certificate" | sed -n '$s/ *\([0-9]*\):.*/\1/p')" 2>/dev/null |
            grep -q 'INTEGER *:.\{1,62\}$' || return 0
    done
}

# make_ca DIR: a throw-away authority. make_cert DIR NAME SAN: a certificate of its, DIR/NAME.pem and .key
make_ca() {
    mkdir -p "$1"
    signed "$1/ca.pem" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj "/CN=throw-away test authority" -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null
}

make_cert() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
        -keyout "$1/$2.key" -out "$1/$2.csr" 2>/dev/null &&
        printf 'subjectAltName=%s\n' "$3" >"$1/$2.ext" &&
        signed "$1/$2.pem" openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" \
            -CAcreateserial -days 2 -extfile "$1/$2.ext" -out "$1/$2.pem" 2>/dev/null
}

# start_server VARIABLE ARGUMENT...: starts sandboxd, waits for its ready line, sets VARIABLE to its URL.
PIDS=
start_server() {
    variable=$1; shift
    ready=$WORK/$variable.ready
    python3 -B "$ROOT/tests/sandboxd/sandboxd.py" --port 0 --quiet "$@" \
        >"$ready" 2>"$WORK/$variable.log" &
    PIDS="$PIDS $!"
    tries=0
    until grep -q '^sandboxd: listening on ' "$ready" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 $! 2>/dev/null; then
            cat "$WORK/$variable.log" >&2
            die "the local service did not start"
        fi
        sleep 0.1
    done
    eval "$variable=\$(sed -n 's/^sandboxd: listening on //p' \"\$ready\")"
}

stop_servers() {
    for pid in $PIDS; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    PIDS=
}

# source_package NAME DIR [SUITE]: the sources of a Debian package (of SUITE; bookworm), its patches
# applied, unpacked as DIR (a full path; in $CACHE, as it is done only once). apt checks the
# signatures; the machine's own lists and sources are neither read nor changed.
source_package() {
    [ -d "$2" ] || locked "$CACHE/locks/${2##*/}" fetch_source "$@"
}

fetch_source() {
    [ ! -d "$2" ] || return 0
    need "to fetch the sources of $1" "command -v dpkg-source" dpkg-dev \
        "test -e /usr/share/keyrings/debian-archive-keyring.gpg" debian-archive-keyring
    release=${3:-bookworm}
    lists=$CACHE/apt.$release
    unpack=$2.$$
    mkdir -p "$lists/partial" "$unpack/parts" || return 1
    printf 'deb-src [signed-by=%s] http://deb.debian.org/debian %s main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$release" >"$unpack/sources.list"
    # User root: the one that apt takes otherwise may not write here. The lists may be missing, old,
    # or being fetched by another run.
    (
        fetch() {
            apt-get "$@" -q -o APT::Sandbox::User=root -o Dir::State::Lists="$lists" \
                -o Dir::Etc::SourceList="$unpack/sources.list" -o Dir::Etc::SourceParts="$unpack/parts"
        }
        cd "$unpack" || exit 1
        fetch source "$1" && exit
        fetch update || { sleep 5; fetch update; }
        fetch source "$1"
    ) >"$unpack.log" 2>&1 && mv -T "$unpack/$1"-*/ "$2" 2>>"$unpack.log"
    [ -d "$2" ] || tail -n 5 "$unpack.log" >&2
    rm -rf "$unpack" "$unpack.log"
    [ -d "$2" ]
}
