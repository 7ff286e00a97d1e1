# Completion of unsb for bash: source this file, or install it as
# /usr/share/bash-completion/completions/unsb.

_unsb_languages() {
    # asked for once in each shell; the list is empty where the service cannot be reached
    [ -n "${_unsb_languages+set}" ] ||
        _unsb_languages=$(unsb -q languages 2>/dev/null | cut -d' ' -f1)
    printf '%s\n' "$_unsb_languages"
}

_unsb() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= i
    local options="-s -e -f -n -v -t -a -o -p -k -d -H -q -h --shell --env --file --network --vcpu
        --ttl --artifact --wasm --output --force --async --public-key --secret-key --account
        --data --header --json --quiet --verbose --help --version"

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            jobs | languages | key | job | wait | cancel | request) command=${COMP_WORDS[i]} ;;
        esac
    done
    case $before in
        -s | --shell) mapfile -t COMPREPLY < <(compgen -W "$(_unsb_languages)" -- "$word") ;;
        -n | --network)
            mapfile -t COMPREPLY < <(compgen -W "zerotrust semitrusted" -- "$word") ;;
        -v | --vcpu) mapfile -t COMPREPLY < <(compgen -W "1 2 3 4 5 6 7 8" -- "$word") ;;
        -o | --output) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        -f | --file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        -e | --env) mapfile -t COMPREPLY < <(compgen -v -S = -- "$word") ;;
        -t | --ttl | -p | --public-key | -k | --secret-key | --account) ;;
        -d | --data | -H | --header) ;;
        job | wait | cancel)
            mapfile -t COMPREPLY < <(compgen -W "$(unsb -q jobs 2>/dev/null | cut -d' ' -f1)" \
                -- "$word") ;;
        request)
            mapfile -t COMPREPLY < <(compgen -W "GET POST PUT PATCH DELETE" -- "$word") ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
            elif [ -z "$command" ]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$word"
                    compgen -W "jobs languages key job wait cancel request" -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _unsb unsb
