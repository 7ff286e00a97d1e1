# Proxies that are not ours: tinyproxy and squid. Sourced by all.sh.

say "== through tinyproxy and squid"
need "to run squid" \
    "ldconfig -p | grep -F libecap.so.3" libecap3 \
    "ldconfig -p | grep -F libltdl.so.7" libltdl7 "ldconfig -p | grep -F libtdb.so.1" libtdb1 \
    "ldconfig -p | grep -F libnetfilter_conntrack.so.3" libnetfilter-conntrack3 \
    "ldconfig -p | grep -F libldap-2.5.so.0" libldap-2.5-0 \
    "ldconfig -p | grep -F libsasl2.so.2" libsasl2-2 \
    "ldconfig -p | grep -F libgssapi_krb5.so.2" libgssapi-krb5-2 \
    "ldconfig -p | grep -F libgnutls.so.30" libgnutls30 \
    "ldconfig -p | grep -F libnettle.so.8" libnettle8
proxies_fetch() {
    (cd "$WORK/proxies" && apt-get download -q tinyproxy-bin squid squid-common squid-langpack &&
        for deb in *.deb; do dpkg -x "$deb" . || exit 1; done) >"$WORK/fetched" 2>&1
}

# unpacked, not installed: the packages would start servers on ports 8888 and 3128
mkdir -p "$WORK/proxies"
chmod 711 "$WORK" # they run as nobody
proxies_fetch || { $([ "$(id -u)" = 0 ] || echo sudo) apt-get update -q; proxies_fetch; } \
    >"$WORK/update" 2>&1 ||
    die "no proxies, they could not be fetched: $(tail -n 1 "$WORK/fetched")"
build "proxies" "$BUILD/sanitized" test_proxies CC=gcc CFLAGS="$SANITIZE" &&
    suite "gcc, sanitized" "$BUILD/sanitized/test_proxies" \
        "env UNSB_TEST_PROXIES=$WORK/proxies TMPDIR=$WORK"
