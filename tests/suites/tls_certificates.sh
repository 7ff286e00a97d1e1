#!/bin/sh
# Makes what tls_suite.h needs in the directory $1: authorities, and certificates with every fault.
#   NAME.pem  what the server sends, its own certificate first   NAME.key  its key
#   NAME.der  the first of them, for some   NAME.pin  SHA-256 of a key's SubjectPublicKeyInfo
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=../lib.sh
. "$ROOT/tests/lib.sh"
cd "$1"

ec_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
rsa_key() { openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" -out "$1"; }

for name in root other sub nosub leaf; do ec_key $name.key; done
rsa_key rsa.key 2048
rsa_key root_rsa.key 2048
rsa_key weak.key 1024

# root NAME: an authority
root() {
    signed "$1.pem" openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$1" -out "$1.pem" \
        -addext keyUsage=critical,keyCertSign
}

# issue NAME ISSUER KEY SUBJECT EXTENSIONS [OPTION...]: valid for some days
serial=1
issue() {
    name=$1 issuer=$2 key=$3 subject=$4 extensions=$5
    shift 5
    serial=$((serial + 1))
    printf '%b' "$extensions" >"$name.ext"
    openssl req -new -key "$key.key" -subj "$subject" -out "$name.csr"
    signed "$name.pem" openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" \
        -days 20 -set_serial $serial -extfile "$name.ext" -out "$name.pem" "$@"
    [ "$key" = "$name" ] || cp "$key.key" "$name.key"
}

# dated NAME START END [OPTION...]: by openssl's own authority, which can set dates
dated() {
    name=$1 from=$2 to=$3
    shift 3
    : >index
    openssl req -new -key leaf.key -subj /CN=leaf -out "$name.csr"
    openssl ca -batch -notext -config ca.cnf -startdate "$from" -enddate "$to" -in "$name.csr" \
        -out "$name.pem" "$@"
    cp leaf.key "$name.key"
}

good=subjectAltName=DNS:good.test
root root
root root_rsa
root other
cat root.pem root_rsa.pem >roots.pem
issue sub root sub /CN=sub 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign'
issue nosub root nosub /CN=nosub 'basicConstraints=critical,CA:FALSE'

issue ecdsa root leaf /CN=leaf $good
issue rsa root_rsa rsa /CN=leaf $good
issue usages root leaf /CN=leaf \
    "$good\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth"
issue any root leaf /CN=leaf "$good\nextendedKeyUsage=anyExtendedKeyUsage"
issue wild root leaf /CN=leaf 'subjectAltName=DNS:*.wild.test'
issue address root leaf /CN=leaf \
    'subjectAltName=DNS:a.test,IP:192.0.2.7,IP:127.0.0.1,IP:::1'
issue chain sub leaf /CN=leaf $good
cp chain.pem missing.pem && cp chain.key missing.key
cat sub.pem >>chain.pem
issue below nosub leaf /CN=leaf $good
cat nosub.pem >>below.pem
issue common root leaf /CN=good.test ''
issue mail root leaf /CN=good.test 'subjectAltName=email:a@good.test'
issue text root leaf /CN=leaf 'subjectAltName=DNS:127.0.0.1,DNS:::1,IP:::2'
issue untrusted other leaf /CN=leaf $good
# the right authority stands behind it, and has signed nothing
issue appended other leaf /CN=leaf $good
cat ecdsa.pem root.pem >>appended.pem
# with such an EC key, OpenSSL would not serve
issue usage root rsa /CN=leaf "$good\nkeyUsage=critical,keyEncipherment"
issue purpose root leaf /CN=leaf "$good\nextendedKeyUsage=clientAuth"
issue critical root leaf /CN=leaf "$good\n1.2.3.4=critical,ASN1:NULL"
issue sha1 root leaf /CN=leaf $good -sha1
issue md5 root_rsa leaf /CN=leaf $good -md5
issue weak root weak /CN=leaf $good
openssl req -x509 -new -key leaf.key -days 20 -subj /CN=self -addext $good \
    -addext basicConstraints=critical,CA:FALSE -out self.pem
cp leaf.key self.key

cat >ca.cnf <<EOF
[ca]
default_ca = authority
[authority]
database = index
new_certs_dir = .
rand_serial = yes
certificate = root.pem
private_key = root.key
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
$(echo $good | sed 's/=/ = /')
EOF
dated expired 20200101000000Z 20200201000000Z
dated future 20480101000000Z 20490101000000Z
dated past 20200101000000Z 20200201000000Z -selfsign -keyfile leaf.key
dated far 20480101000000Z 20600101000000Z -selfsign -keyfile leaf.key

for name in ecdsa rsa address past usages; do
    openssl x509 -in $name.pem -outform DER -out $name.der
done
for name in root leaf rsa weak; do
    openssl pkey -in $name.key -pubout -outform DER | openssl dgst -sha256 -binary >$name.pin
done
