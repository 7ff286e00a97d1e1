# ports/make_roots.py and ports/unsandbox_roots.h. Sourced by run.sh.

say "== compiled-in roots"
need "for the compiled-in roots" \
    "$(has_header mbedtls/x509_crt.h)" libmbedtls-dev \
    "test -d /usr/share/ca-certificates/mozilla" ca-certificates
roots=$WORK/roots
mkdir -p "$roots/system"
# as -isystem, /usr/include itself would come before the compiler's own headers
ln -s /usr/include/bearssl* /usr/include/mbedtls /usr/include/psa "$roots/system/"
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"

python3 -B -W error roots/test_make_roots.py -v >"$WORK/unittest" 2>&1
awk '/ \.\.\. ok$/ {print "ok - " $1} / \.\.\. (FAIL|ERROR)$/ {print "not ok - " $0}' \
    "$WORK/unittest" >"$WORK/tap"
grep -q '^OK' "$WORK/unittest" ||
    { echo "not ok - unittest"; tail -n 30 "$WORK/unittest" | sed 's/^/#   /'; } >>"$WORK/tap"
count "make_roots.py"

# roots_verdict NAME: of the command just run, whose output is in $roots/log
roots_verdict() {
    if [ $? = 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"; sed 's/^/#   /' "$roots/log" | head -n 12
    fi >>"$WORK/tap"
}

# roots_compile NAME OUTPUT COMMAND...
roots_compile() {
    roots_name=$1 roots_out=$2; shift 2
    # shellcheck disable=SC2086
    "$@" $warn -isystem "$roots/system" -I../ports -c roots/user.c -o "$roots/$roots_out" \
        >"$roots/log" 2>&1
    roots_verdict "$roots_name"
}

python3 -B roots/regenerate.py >"$WORK/tap" 2>&1 || echo "not ok - regenerate.py" >>"$WORK/tap"
for forms in -DWITH_BEARSSL -DWITH_MBEDTLS "-DWITH_BEARSSL -DWITH_MBEDTLS" -DUNSB_ROOTS_DER=1; do
    for cc in "gcc -std=c99" "clang -std=c99" "g++ -x c++ -std=c++11" "g++ -x c++ -std=c++17" \
        "clang++ -x c++ -std=c++11" "clang++ -x c++ -std=c++20" "g++ -x c++ -std=c++20"; do
        # shellcheck disable=SC2086
        roots_compile "compiles: $cc $forms" user.o $cc $forms -O2
    done
    # shellcheck disable=SC2086
    roots_compile "compiles: i686 $forms" fixed.o i686-linux-gnu-gcc -std=c99 $forms -fno-pic -Os
    nm "$roots/fixed.o" 2>"$roots/log" | grep -E ' [bBdDcC] ' >>"$roots/log"
    [ ! -s "$roots/log" ]
    roots_verdict "constant: $forms"
    # each form's bytes, as the header's comment has them, and no byte of the other form
    case $forms in
        *BEARSSL*MBED*) want=7 ;; *BEARSSL*) want=0 ;; *MBED*) want=1 ;; *) continue ;;
    esac
    nm -S -t d "$roots/fixed.o" | awk '$3 == "r" {n += $2} END {print n}' >"$roots/bytes"
    sed -n 's/.*; all: \([0-9]*\) for BearSSL,.*/\1/p; s/^ \* \([0-9]*\) for Mbed TLS\..*/\1/p' \
        ../ports/unsandbox_roots.h | awk -v want="$want" -v have="$(cat "$roots/bytes")" '
        {n[NR - 1] = $1} END {n[7] = n[0] + n[1]; print have, "bytes instead of", n[want]
            exit !(NR == 2 && have == n[want])}' >"$roots/log"
    roots_verdict "as large as it says: $forms"
done
# one root, the others, none, and neither library
roots_compile "one root" one.o gcc -std=c99 -DWITH_BEARSSL -DUNSB_ROOTS_DEFAULT=0 \
    -DUNSB_ROOTS_ISRG_X2=1 -Os
size -A "$roots/one.o" | awk '$1 ~ /^\.(rodata|data)/ {n += $2} END {exit !(n > 170 && n < 330)}' \
    2>"$roots/log"
roots_verdict "one root takes no other's bytes"
roots_compile "all but one" less.o gcc -std=c99 -DWITH_MBEDTLS -DUNSB_ROOTS_ISRG_X2=0 -O2
for wrong in "-DWITH_BEARSSL -DUNSB_ROOTS_DEFAULT=0:every root is left out" \
    "-DWITH_BEARSSL -DUNSB_ROOTS_ISRG_X1=:" "-DNEITHER:include <bearssl.h>"; do
    # shellcheck disable=SC2086
    ! gcc -std=c99 ${wrong%%:*} -I../ports -c roots/user.c -o "$roots/wrong.o" >"$roots/log" 2>&1 &&
        grep -q "${wrong#*:}" "$roots/log"
    roots_verdict "refused: ${wrong%%:*}"
done
count "unsandbox_roots.h"

# roots_pki KIND KEY-ARGUMENT...: an authority with such a key and a server's certificate with one
roots_pki() {
    d=$roots/$1; shift
    mkdir -p "$d" && printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$d/ext" &&
        openssl req -x509 -newkey "$@" -nodes -days 2 -subj "/O=test/CN=${d##*/}" \
            -keyout "$d/ca.key" -out "$d/ca.pem" &&
        openssl req -newkey "$@" -nodes -subj /CN=localhost -keyout "$d/localhost.key" \
            -out "$d/localhost.csr" &&
        openssl x509 -req -in "$d/localhost.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" \
            -CAcreateserial -days 2 -extfile "$d/ext" -out "$d/localhost.pem"
}

# roots_suite LABEL FLAGS
roots_suite() {
    # shellcheck disable=SC2086
    if gcc -std=c11 -D_GNU_SOURCE -I.. -I../ports -Isuites -I"$roots" -isystem "$roots/system" \
        $warn $2 roots/test_roots.c -o "$roots/test_roots" \
        -lcmocka -lbearssl -lmbedtls -lmbedx509 -lmbedcrypto -lpthread >"$roots/log" 2>&1; then
        UNSB_TEST_ROOTS=$roots suite "$1" "$roots/test_roots"
    else
        { echo "not ok - the build"; sed 's/^/#   /' "$roots/log" | head -n 20; } >"$WORK/tap"
        count "test_roots [$1]"
    fi
}

# curves of P-521 need SHA-512; RSA has an unusual exponent
if { roots_pki p256 ec -pkeyopt ec_paramgen_curve:P-256 &&
    roots_pki p384 ec -pkeyopt ec_paramgen_curve:P-384 -sha384 &&
    roots_pki p521 ec -pkeyopt ec_paramgen_curve:P-521 -sha512 &&
    roots_pki rsa rsa:2048 -pkeyopt rsa_keygen_pubexp:3 &&
    mkdir "$roots/self" &&
    openssl req -x509 -config /dev/null -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 2 -subj /CN=localhost -addext basicConstraints=CA:FALSE \
        -addext subjectAltName=DNS:localhost -keyout "$roots/self/localhost.key" \
        -out "$roots/self/localhost.pem" &&
    python3 -B ../ports/make_roots.py --prefix test_roots --allow-leaf -o "$roots/test_roots.h" \
        "$roots/p256/ca.pem" "$roots/p384/ca.pem" "$roots/p521/ca.pem" "$roots/rsa/ca.pem" \
        leaf="$roots/p256/localhost.pem" self="$roots/self/localhost.pem"
    } >"$roots/log" 2>&1; then
    roots_suite "gcc -O2" -O2
    roots_suite "gcc, sanitized" "$SANITIZE"
else
    { echo "not ok - a header of test authorities"; sed 's/^/#   /' "$roots/log"; } >"$WORK/tap"
    count "test_roots"
fi
