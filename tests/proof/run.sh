#!/bin/sh
# Proves what tests/proof/*.c state, with CBMC:
#   sh tests/proof/run.sh              all
#   sh tests/proof/run.sh --quick      what takes 5 minutes of a processor
#   sh tests/proof/run.sh NAME...      these
# Prints a line of TAP for each proof, and one for the broken copy of the header with which it must
# fail. The file `proofs` lists them. The real unsandbox.h is compiled with UNSB_SMALL=1: the compact
# loops, which microcontrollers run; but for the proofs of the fast ones.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
HERE=$ROOT/tests/proof
# shellcheck source=../lib.sh
. "$ROOT/tests/lib.sh"
PROOF_SECONDS=${UNSB_PROOF_SECONDS:-900} # for each; a proof that takes longer is none

# cbmc ARGUMENT...: that of Debian trixie, which bookworm's libc is too old for, beside the system
CBMC=$CACHE/cbmc-6.6
cbmc() {
    if [ -d "$CBMC" ]; then
        "$CBMC/usr/lib64/ld-linux-x86-64.so.2" --library-path \
            "$CBMC/usr/lib/x86_64-linux-gnu:$CBMC/usr/lib" "$CBMC/usr/bin/cbmc" "$@"
    else
        command cbmc "$@"
    fi
}

get_cbmc() {
    [ ! -d "$CBMC" ] || return 0
    case $(command -v cbmc >/dev/null && command cbmc --version) in
        6.[6-9]*|6.[1-9][0-9]*) return 0 ;;
    esac
    need "to fetch the prover" "command -v gcc" gcc \
        "test -e /usr/share/keyrings/debian-archive-keyring.gpg" debian-archive-keyring
    unpack=$CBMC.$$
    lists=$CACHE/apt.trixie-amd64
    mkdir -p "$lists/partial" "$unpack/parts" "$unpack/root" || return 1
    printf 'deb [arch=amd64 signed-by=%s] http://deb.debian.org/debian trixie main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg >"$unpack/sources.list"
    (
        fetch() {
            apt-get "$@" -q -o APT::Sandbox::User=root -o Dir::State::Lists="$lists" \
                -o Dir::Etc::SourceList="$unpack/sources.list" \
                -o Dir::Etc::SourceParts="$unpack/parts"
        }
        cd "$unpack" || exit 1
        packages="cbmc:amd64 libc6:amd64 libgcc-s1:amd64 libstdc++6:amd64 minisat:amd64"
        # shellcheck disable=SC2086
        fetch download $packages || { fetch update && fetch download $packages; } || exit 1
        for package in *.deb; do dpkg-deb -x "$package" root || exit 1; done
    ) >"$unpack.log" 2>&1 && mv -T "$unpack/root" "$CBMC"
    [ -d "$CBMC" ] || tail -n 5 "$unpack.log" >&2
    rm -rf "$unpack" "$unpack.log"
    [ -d "$CBMC" ]
}

# An array that lies in a structure: what stands in brackets after its name is to be an index of it.
ARRAYS='token\|unescaped\|objects'
# From the line on which a function is defined to its end.
CONTRACTS=$(sed -n 's#^\([a-z][a-z0-9_]*\) \([a-z_]*\) \(.*\)#/^[a-zA-Z].*[ *]\1(/,/^}/s/\2\\(\3\\)(/UNSBI_PROOF(\\1)(/#p' \
    "$HERE/contracts")
header() { # DIRECTORY [SED-SCRIPT]: a copy of the header, with its indices checked
    mkdir -p "$1"
    sed -e "${2-}" -e "$CONTRACTS" \
        -e "1,/^#if defined(UNSANDBOX_IMPLEMENTATION)/!s/\([a-z.>-]*\(->\|u\.\)\($ARRAYS\)\)\[\([^][]*\)\]/\1[UNSBI_INDEX(\1, \4)]/g" \
        "$ROOT/unsandbox.h" >"$1/unsandbox.h"
}

# check NAME UNWIND INCLUDES [OPTION...]: its status is 0 if it is proved, 10 if it is refuted
check() {
    name=$1 unwind=$2 includes=$3; shift 3
    log=$WORK/$name.log
    if [ "$unwind" = 0 ]; then # few enough cases to be run
        gcc -std=gnu99 -O1 -DUNSB_SMALL=1 -I "$includes" -I "$HERE" -D'__CPROVER_assert(c, what)=(void)(c)' \
            -D'__CPROVER_assume(c)=(void)(c)' "$HERE/$name.c" -o "$includes/$name" >"$log" 2>&1 ||
            return 1
        "$includes/$name" >"$log" 2>&1 && return 0
        echo "VERIFICATION FAILED" >>"$log"
        return 10
    fi
    small=1
    case $name in
        fast_token_run) small=0; set -- "$@" --unwindset unsbi_token_run.0:3 ;;
        fast_*) small=0 ;;
        request_put_*) set -- "$@" \
            --unwindset unsbi_put.0:4,unsbi_source_read.0:6,unsbi_encode.0:8 ;;
        # the walk along a template takes as many steps as it has characters; nothing else does
        request_*) set -- "$@" --unwindset strlen.0:80,any_decimal.0:21,any_len.0:22 \
            --unwindset unsbi_seek.0:4 ;;
        # digits, fraction, parts
        time_any) set -- "$@" --unwindset unsbi_time.0:5,unsbi_time.1:41,unsbi_time.2:9 ;;
        # arrays of known sizes and contents, which CBMC then keeps byte by byte
        hmac_*) set -- "$@" --max-field-sensitivity-array-size 256 ;;
        # two bytes; that accesses are sound is http_step's
        http_split_*|cut_http) set -- "$@" --unwindset unsb_http_feed.0:4 --no-standard-checks \
            --unwinding-assertions ;;
    esac
    (
        # all in one process group's limits: `timeout` cannot run a function
        ulimit -t "$PROOF_SECONDS"
        cbmc -I "$includes" -I "$HERE" -DUNSB_SMALL=$small "$HERE/${name%%_*}.c" --function "$name" \
            --unwind "$unwind" --drop-unused-functions --slice-formula --pointer-overflow-check \
            --object-bits 14 "$@"
        status=$?
        times >"$log.times"
        exit $status
    ) >"$log" 2>&1
}

# prove NAME UNWIND CLASS BREAK: both lines
prove() {
    header "$WORK/whole.$1"
    if check "$1" "$2" "$WORK/whole.$1"; then
        steps=$(sed -n 's/^\*\* 0 of \([0-9]*\) failed.*/\1 properties/p; s/^[0-9]* dates$/&/p' \
            "$WORK/$1.log")
        seconds=$(sed -n '2s/^\([0-9]*\)m\([0-9]*\).*/\1 * 60 + \2/p' "$WORK/$1.log.times" 2>/dev/null)
        echo "ok - $1: $steps${seconds:+, $(($seconds)) s}" # of a processor
    else
        echo "not ok - $1"
        grep -E ': FAILURE|rror' "$WORK/$1.log" | head -n 5 | sed 's/^/#   /'
        tail -n 1 "$WORK/$1.log" | sed 's/^/#   /'
    fi
    broken=$WORK/broken.$1
    header "$broken" "$4"
    if cmp -s "$WORK/whole.$1/unsandbox.h" "$broken/unsandbox.h"; then
        echo "not ok - $1: there is nothing to break by $4"
        return
    fi
    check "$1" "$2" "$broken" --stop-on-fail
    status=$?
    if [ $status = 10 ] && grep -q '^VERIFICATION FAILED' "$WORK/$1.log"; then
        echo "ok - $1 fails with $4"
    else
        echo "not ok - $1 does not fail with $4"
        tail -n 1 "$WORK/$1.log" | sed 's/^/#   /'
    fi
}

if [ "${1-}" = --one ]; then # a worker of the run below
    WORK=$2
    line=$(grep "^$3 " "$HERE/proofs") || die "no proof $3"
    # shellcheck disable=SC2086
    set -- $(printf '%s\n' "$line" | cut -d ' ' -f 1-3) "$(printf '%s\n' "$line" | cut -d ' ' -f 4-)"
    prove "$@" >"$WORK/$1.tap"
    cat "$WORK/$1.tap"
    exit 0
fi

WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
case ${1-} in
    --quick) names=$(sed -n 's/^\([a-z0-9_]*\) [0-9]* quick .*/\1/p' "$HERE/proofs") ;;
    '') names=$(sed -n 's/^\([a-z0-9_]*\) [0-9].*/\1/p' "$HERE/proofs") ;;
    -*) echo "usage: sh tests/proof/run.sh [--quick | NAME...]" >&2; exit 2 ;;
    *) names=$* ;;
esac
get_cbmc || { echo "not ok - CBMC 6.6 could not be had"; exit 1; }
# shellcheck disable=SC2086
printf '%s\n' $names | xargs -P 2 -n 1 sh "$0" --one "$WORK" | tee "$WORK/tap"
grep -q '^ok ' "$WORK/tap" && ! grep -q '^not ok ' "$WORK/tap"
