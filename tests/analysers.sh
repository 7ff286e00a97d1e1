# Static analysers over unsandbox.h and the ports: sourced by all.sh.

say "== analysers"
need "to analyse the sources" "command -v clang-tidy" clang-tidy "command -v cppcheck" cppcheck \
    "test -e /usr/lib/x86_64-linux-gnu/cppcheck/addons/misra.py || test -e /usr/share/cppcheck/addons/misra.py" cppcheck
analysed=$WORK/analysed
mkdir -p "$analysed"
printf '#define UNSANDBOX_IMPLEMENTATION\n#include "unsandbox.h"\n' >"$analysed/header.c"
header_ports="posix bearssl mbedtls openssl proxy template x509 address"

# analyser_verdict NAME LOG: of findings "file:line:check", one a line, those that no list excuses
analyser_verdict() {
    sort -u "$2" | while IFS=: read -r file line check; do
        where=$(awk -v line="$line" 'NR > line {exit}
            /^#define [A-Z0-9_]*\(/ {name = $2; sub(/\(.*/, "", name)}
            /^[A-Za-z].*[a-z0-9_]\(/ && !/;$/ {name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)}
            END {print name}' "$file")
        case $check in
            misra-c2012-*) grep -q "^${check#misra-c2012-} " misra.txt && continue ;;
        esac
        grep -q -e "^$check $where " -e "^$check \* " analysers.txt && continue
        printf '#   %s:%s: %s in %s\n' "${file##*/}" "$line" "$check" "$where"
    done >"$analysed/faults"
    if [ ! -s "$analysed/faults" ]; then echo "ok - $1"; else
        echo "not ok - $1"
        head -n 20 "$analysed/faults"
    fi >>"$WORK/tap"
}

# gcc and clang say "file:line:column: warning: text [-Wcheck or check]", clang-tidy likewise
findings() {
    sed -n 's/^\([^ :]*\):\([0-9]*\):[0-9]*: \(warning\|error\|fatal error\): .*\[\([^]]*\)\]$/\1:\2:\4/p
            t
            s/^\([^ :]*\):\([0-9]*\):[0-9]*: \(error\|fatal error\): .*/\1:\2:error/p' "$1" |
        sed 's/:-W\(analyzer\)/:\1/; s/,-warnings-as-errors$//'
}

# analyse NAME COMMAND...: the command must do its work, and find nothing
analyse() {
    name=$1; shift
    "$@" >"$analysed/log" 2>&1 || [ "$1" = clang-tidy ] ||
        { echo "not ok - $name"; tail -n 5 "$analysed/log" | sed 's/^/#   /'; } >>"$WORK/tap"
    findings "$analysed/log" >"$analysed/findings"
    analyser_verdict "$name" "$analysed/findings"
}

: >"$WORK/tap"
posix="-D_POSIX_C_SOURCE=200809L -std=c99 -I.. -I../ports"
# By default clang's analyser begins in no function of a header.
headers="-Xclang -analyzer-opt-analyze-headers"
tidy="-*,bugprone-*,cert-*,clang-analyzer-*"
for small in 0 1; do
    # shellcheck disable=SC2086
    analyse "gcc -fanalyzer, UNSB_SMALL=$small" gcc -fanalyzer -O1 -DUNSB_SMALL=$small $posix \
        -c "$analysed/header.c" -o "$analysed/out.o"
    # shellcheck disable=SC2086
    analyse "clang --analyze, UNSB_SMALL=$small" clang --analyze $headers -DUNSB_SMALL=$small $posix \
        -Xclang -analyzer-output=text "$analysed/header.c"
    # shellcheck disable=SC2086
    analyse "clang-tidy, UNSB_SMALL=$small" clang-tidy --quiet --checks="$tidy" --header-filter=. \
        "$analysed/header.c" -- -DUNSB_SMALL=$small $posix
done
for port in $header_ports; do
    # shellcheck disable=SC2086
    analyse "gcc -fanalyzer: $port" gcc -fanalyzer -O1 $posix -c "compile/port_$port.c" \
        -o "$analysed/out.o"
    # shellcheck disable=SC2086
    analyse "clang --analyze: $port" clang --analyze $headers $posix -Xclang -analyzer-output=text \
        "compile/port_$port.c"
    # shellcheck disable=SC2086
    analyse "clang-tidy: $port" clang-tidy --quiet --checks="$tidy" --header-filter=. \
        "compile/port_$port.c" -- $posix
done

# cppcheck NAME FILE OPTION...
analyse_cppcheck() {
    name=$1 file=$2; shift 2
    cppcheck --std=c99 --enable=warning,style,performance,portability -q -I.. -I../ports \
        --suppress=missingInclude --suppress=missingIncludeSystem \
        --template='{file}:{line}:{id}' "$@" "$file" >"$analysed/findings" 2>&1
    if [ $? != 0 ]; then
        echo "not ok - $name: it did not run" >>"$WORK/tap"
    fi
    analyser_verdict "$name" "$analysed/findings"
}
for small in 0 1; do
    analyse_cppcheck "cppcheck and MISRA C:2012, UNSB_SMALL=$small" "$analysed/header.c" \
        --addon=misra -DUNSB_SMALL=$small
done
for port in $header_ports; do
    analyse_cppcheck "cppcheck: $port" "compile/port_$port.c" -D_POSIX_C_SOURCE=200809L \
        -DCLOCK_MONOTONIC=1 -DAI_NUMERICHOST=4 -DMSG_NOSIGNAL=1 -DMBEDTLS_VERSION_NUMBER=0x021C0000 \
        -DOPENSSL_VERSION_NUMBER=0x30000000 -DMBEDTLS_SSL_CLI_C=1 -DMBEDTLS_SSL_PROTO_TLS1_2=1 \
        -DMBEDTLS_CTR_DRBG_C=1 -DMBEDTLS_SHA256_C=1 -DMBEDTLS_X509_CHECK_KEY_USAGE=1 \
        -DMBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE=1 -DMBEDTLS_VERSION_MAJOR=2 \
        -DMBEDTLS_PEM_PARSE_C=1 -DMBEDTLS_ENTROPY_C=1 -DMBEDTLS_HAVE_TIME_DATE=1 -DMBEDTLS_SHA512_C=1 \
        -DMBEDTLS_ECP_DP_SECP256R1_ENABLED=1
done
# A fault is found.
printf 'int f(int *p);\nint f(int *p)\n{\n    if (p)\n        *p = 1;\n    return *p;\n}\n' \
    >"$analysed/fault.c"
: >"$analysed/log"
clang --analyze -Xclang -analyzer-output=text "$analysed/fault.c" >"$analysed/log" 2>&1
findings "$analysed/log" | grep -q ':core.NullDereference$'
if [ $? = 0 ]; then echo "ok - a fault is found"; else echo "not ok - a fault is not found"; fi \
    >>"$WORK/tap"
count "analysers"
