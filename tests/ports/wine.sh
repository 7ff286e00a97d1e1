# Windows, as Wine plays it: what winsock.sh, schannel.sh and matrix.sh share. Sourced by all.sh.

need "to build for Windows, and to run what was built" \
    "command -v x86_64-w64-mingw32-gcc" gcc-mingw-w64-x86-64 \
    "command -v x86_64-w64-mingw32-g++" g++-mingw-w64-x86-64 \
    "command -v wine" wine "test -e /usr/lib/wine/wine64" wine64 \
    "test -e /usr/share/mingw-w64/include/winsock2.h" mingw-w64-common \
    "ls /usr/lib/*/libgnutls.so.30 /lib/*/libgnutls.so.30 | grep -q ." libgnutls30

# A prefix of its own, so that it can be stopped without a look at what else runs. Its server would
# end after 3 s without a program, and a program that starts just then fail.
wine_run="env -u DISPLAY WINEPREFIX=$WORK/wine WINEDEBUG=-all"
at_end() {
    $wine_run wineserver -k
    $wine_run wineserver -w
    rm -rf "$WORK/wine"
} >/dev/null 2>&1
for command in "wine wineboot -i" "wineserver -w" "wineserver -p"; do
    # shellcheck disable=SC2086
    $wine_run $command >/dev/null 2>&1 </dev/null
done

# wine_bearssl: BearSSL as a static library for Windows, kept; its sources need no configuration.
wine_bearssl=$CACHE/bearssl
wine_lib=$CACHE/bearssl-x86_64-w64-mingw32/libbearssl.a
wine_bearssl() {
    source_package bearssl "$wine_bearssl" || return 1
    [ ! -e "$wine_lib" ] || return 0
    mkdir -p "$WORK/objects" "${wine_lib%/*}" &&
        find "$wine_bearssl/src" -name '*.c' -print0 | (cd "$WORK/objects" &&
            xargs -0 -n 16 -P 2 x86_64-w64-mingw32-gcc -O2 -w -I"$wine_bearssl/inc" \
                -I"$wine_bearssl/src" -c) &&
        x86_64-w64-mingw32-ar rcs "$wine_lib.$$" "$WORK"/objects/*.o &&
        mv "$wine_lib.$$" "$wine_lib"
}
