# Asks examples/unsb.bash what it offers: bash completion.bash
cd "$(dirname "${BASH_SOURCE[0]}")/../../examples" || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
touch "$scratch/hello world.py" "$scratch/help.c" && mkdir "$scratch/helpers"
unsb() { # stands for the tool
    case $* in
        "-q languages") printf 'python\nperl\npy -> python\n' ;;
        "-q jobs") printf '%-36s  running\n' job_1 job_22 ;;
    esac
}
# shellcheck source=../../examples/unsb.bash
. ./unsb.bash
cd "$scratch" || exit 1
failed=0

# offers "EXPECTED ..." WORD...: what is offered for the last word, one line each, sorted
offers() {
    local expected=$1 got; shift
    COMP_WORDS=(unsb "$@") COMP_CWORD=$#
    _unsb
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' '|')
    if [ "$got" != "$expected|" ]; then
        echo "unsb $*: $got instead of $expected|"
        failed=1
    fi
}

offers "python" -s pyt
offers "perl|py|python" --shell p
offers "semitrusted|zerotrust" -n ""
offers "zerotrust" --network z
offers "--vcpu|--verbose|--version" --v
offers "--wasm" -a --w
offers "hello world.py|help.c|helpers" -a hel
offers "helpers" -o hel
offers "help.c" -f help.
offers "job_1|job_22" cancel ""
offers "job_22" -q wait job_2
offers "PATCH|POST|PUT" request P
offers "job|jobs" job
offers "" -t ""
offers "" -k ""
offers "" jobs ""
complete -p unsb >/dev/null || failed=1
exit $failed
