# ports/unsandbox_desktop.h, ports/unsandbox.hpp and every example. Sourced by run.sh.

say "== the desktop layer and the examples"
need "for the desktop layer and the examples" \
    "command -v gcc" gcc "command -v g++" g++ "command -v make" make \
    "$(has_header cmocka.h)" libcmocka-dev "$(has_header openssl/ssl.h)" libssl-dev \
    "$(has_header mbedtls/ssl.h)" libmbedtls-dev "$(has_header bearssl.h)" libbearssl-dev \
    "python3 -c 'import ssl, http.server'" python3 "command -v openssl" openssl
$all && need "for the desktop layer with other compilers" "command -v clang" clang
desk=$WORK/desktop
mkdir -p "$desk"
desk_warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"

# desk_verdict NAME: of the command just run, whose output is in $desk/log
desk_verdict() {
    if [ $? = 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"; sed 's/^/#   /' "$desk/log" | head -n 12
    fi >>"$WORK/tap"
}

# ---- what compiles ----
: >"$WORK/tap"
printf '%s\n' '#define UNSANDBOX_IMPLEMENTATION' '#include "unsandbox_desktop.h"' \
    'int main(void) { return 0; }' >"$desk/unit.c"
# desk_compile FLAGS FILE: at -O2 with --all, else as fast as can be
desk_compile() {
    if $all; then desk_level=-O2; else desk_level=-O0; fi
    # shellcheck disable=SC2086
    $1 $desk_warn $desk_level -I.. -I../ports -c "$2" -o "$desk/unit.o" >"$desk/log" 2>&1
    desk_verdict "$(basename "$2"): $1"
}
desk_compile "gcc -std=c99" "$desk/unit.c"
desk_compile "g++ -x c++ -std=c++11 -DUNSB_DESKTOP_TLS_MBEDTLS=1" "$desk/unit.c"
desk_compile "g++ -std=c++20 -Wno-missing-field-initializers" examples/designated.cpp
if $all; then
    for cc in "gcc -std=c99" "clang -std=c11" "g++ -x c++ -std=c++11" "clang++ -x c++ -std=c++11" \
        "g++ -x c++ -std=c++20"; do
        for tls in OPENSSL MBEDTLS BEARSSL; do
            desk_compile "$cc -DUNSB_DESKTOP_TLS_$tls=1" "$desk/unit.c"
        done
    done
    for cc in "g++ -std=c++11" "clang++ -std=c++17" "g++ -std=c++20" \
        "g++ -std=c++11 -fno-exceptions"; do
        desk_compile "$cc" ../examples/hello.cpp
    done
fi
! gcc -I.. -I../ports -DUNSB_DESKTOP_TLS_OPENSSL=1 -DUNSB_DESKTOP_TLS_BEARSSL=1 -c "$desk/unit.c" \
    -o "$desk/unit.o" >"$desk/log" 2>&1 && grep -q 'set one of' "$desk/log"
desk_verdict "two TLS libraries are refused"
count "desktop, compile"

. examples/services.sh

# ---- the suite with each TLS library ----
# desk_suite LABEL FLAGS LIBRARIES
desk_suite() {
    # shellcheck disable=SC2086
    if gcc -std=c11 -D_GNU_SOURCE -g $desk_warn -I.. -I../ports -Isuites $2 suites/test_desktop.c \
        -o "$desk/test_desktop" -lcmocka $3 -lpthread >"$desk/log" 2>&1; then
        suite "$1" "$desk/test_desktop" "env UNSB_TEST_PKI=$desk/pki"
    else
        { echo "not ok - the build"; sed 's/^/#   /' "$desk/log" | head -n 20; } >"$WORK/tap"
        count "test_desktop [$1]"
    fi
}
desk_suite "OpenSSL" "-O0" "-lssl -lcrypto"
desk_suite "Mbed TLS" "-O0 -DUNSB_DESKTOP_TLS_MBEDTLS=1" "-lmbedtls -lmbedx509 -lmbedcrypto"
desk_suite "BearSSL" "-O0 -DUNSB_DESKTOP_TLS_BEARSSL=1" "-lbearssl"
if $all; then
    desk_suite "OpenSSL, sanitized" "-O1 $SANITIZE" "-lssl -lcrypto"
fi

# ---- the examples ----
# desk_run NAME PATTERN COMMAND...: it must succeed and print a line like that
desk_run() {
    desk_name=$1 desk_pattern=$2; shift 2
    env HOME="$desk" SSL_CERT_FILE="$desk/pki/ca.pem" UNSANDBOX_URL="$UNSB_DESKTOP_TLS" \
        UNSANDBOX_PUBLIC_KEY="${desk_pair% *}" UNSANDBOX_SECRET_KEY="${desk_pair#* }" \
        timeout 120 "$@" >"$desk/log" 2>&1 && grep -q "$desk_pattern" "$desk/log"
    desk_verdict "$desk_name"
}

: >"$WORK/tap"
if $all; then desk_level=-O2; else desk_level=-O0; fi
make -s -C "$ROOT/examples" B="$desk/bin" CFLAGS="-std=c11 $desk_level" \
    CXXFLAGS="-std=c++11 $desk_level" >"$desk/log" 2>&1 && [ ! -s "$desk/log" ]
desk_verdict "they build without a warning"
printf '#!/bin/sh\necho six times seven\n' >"$desk/script"
desk_run hello '^42$' "$desk/bin/hello"
desk_run hello.cpp '^2$' "$desk/bin/hello_cpp"
desk_run pieces '^42$' "$desk/bin/pieces"
desk_run stream '^line 99999$' "$desk/bin/stream"
desk_run json_on_device '^300 readings, 6300 degrees in all$' "$desk/bin/json_on_device"
desk_run files '^exit code 0, ' "$desk/bin/files"
desk_run stdin "^\['a'\] 0 words$" "$desk/bin/stdin" a </dev/null
desk_run artifact '^there it printed: compiled far away$' "$desk/bin/artifact" "$desk/fetched"
desk_run "artifact: what it saved runs" '^compiled far away$' "$desk/fetched"
desk_run shebang '^six times seven$' "$desk/bin/shebang" "$desk/script"
desk_run job '^completed after ' "$desk/bin/job"
desk_run cancel 'partial output: begun' "$desk/bin/cancel"
desk_run failing NameError "$desk/bin/failing"
desk_run warm '^the session counted to 20' "$desk/bin/warm"
desk_run fan_out '^pi is about 3\.1' "$desk/bin/fan_out" 4
desk_run plugin '^both closed$' "$desk/bin/plugin_host" "$desk/bin/plugin_a.so" \
    "$desk/bin/plugin_b.so"
# shellcheck disable=SC2086
gcc -std=c11 -g $desk_warn examples/unload.c -o "$desk/unload" -ldl >"$desk/log" 2>&1
desk_verdict "plugin: the build of what unloads it"
desk_run "plugin: closed, no thread or descriptor left" '^nothing is left$' "$desk/unload" pinned \
    "$desk/bin/plugin_a.so" "$desk/bin/plugin_b.so"
# shellcheck disable=SC2086
gcc -std=c11 -O0 $desk_warn -DUNSB_POSIX_THREADS=0 -fPIC -shared -fvisibility=hidden -I.. \
    -I../ports ../examples/plugin.c -o "$desk/bin/plugin_c.so" -lssl -lcrypto >"$desk/log" 2>&1
desk_verdict "plugin: the build without threads"
desk_run "plugin: unloaded without a trace" '^nothing is left$' "$desk/unload" gone \
    "$desk/bin/plugin_c.so"
if $all; then
    need "to look for leaks of plug-ins" "command -v valgrind" valgrind
    desk_run "plugin: unloaded, under valgrind" '^nothing is left$' valgrind -q --error-exitcode=9 \
        --leak-check=full --errors-for-leak-kinds=definite "$desk/unload" pinned \
        "$desk/bin/plugin_a.so" "$desk/bin/plugin_b.so"
fi
desk_run game_frame '^the worst frame of ' "$desk/bin/game_frame"
# One program may run at a time, or every second request is refused: 429, without Retry-After. More
# tries than config.retries has are needed, so that fan_out itself rests and comes back.
desk_full=$UNSB_DESKTOP_TLS
# shellcheck disable=SC2086
start_server LIMITED --tls "$desk/pki/localhost.pem" "$desk/pki/localhost.key" \
    --key-pair $desk_pair --concurrency 1 --dialect live
UNSB_DESKTOP_TLS=https://localhost:${LIMITED##*:}
desk_run "fan_out where one may run at a time" '^pi is about 3\.1' "$desk/bin/fan_out" 4
# shellcheck disable=SC2086
start_server REFUSING --tls "$desk/pki/localhost.pem" "$desk/pki/localhost.key" \
    --key-pair $desk_pair --fail-first 6 429
UNSB_DESKTOP_TLS=https://localhost:${REFUSING##*:}
desk_run "fan_out that is told to come later" 'told to come later [1-9]' "$desk/bin/fan_out" 1
UNSB_DESKTOP_TLS=$desk_full

if $all; then
    # a lambda that throws leaves nothing behind and the client usable
    g++ -std=c++11 -g $desk_warn $SANITIZE -I.. -I../ports examples/throwing.cpp \
        -o "$desk/throwing" \
        -lssl -lcrypto -lpthread >"$desk/log" 2>&1 &&
        desk_run "unsandbox.hpp: a callback that throws" '^42$' "$desk/throwing" ||
        desk_verdict "unsandbox.hpp: a callback that throws, the build"
    need "to draw the game" "$(has_header SDL2/SDL.h)" libsdl2-dev "command -v Xvfb" xvfb \
        "command -v xvfb-run" xvfb "command -v xauth" xauth
    gcc -std=c11 -O2 $desk_warn -Wno-undef -DGAME_SDL=1 -I.. -I../ports ../examples/game_frame.c \
        -o "$desk/game" -lSDL2 -lssl -lcrypto -lpthread >"$desk/log" 2>&1
    desk_verdict "game_frame builds with SDL2"
    desk_run "game_frame, drawn" '^the worst frame of ' env GAME_PICTURE="$desk/game.bmp" \
        SDL_RENDER_DRIVER=software xvfb-run -a "$desk/game"
    python3 examples/picture.py --check "$desk/game.bmp" ../examples/game_frame.svg \
        >"$desk/log" 2>&1
    desk_verdict "game_frame: its picture is README's"
fi
stop_servers
count "examples"

# ---- Windows ----
if $all; then
    need "to build the desktop layer for Windows, and to run it" \
        "command -v x86_64-w64-mingw32-gcc" gcc-mingw-w64-x86-64 \
        "command -v wine" wine "test -e /usr/lib/wine/wine64" wine64
    # shellcheck disable=SC2086
    start_server WINDOWS --tls "$desk/pki/localhost.pem" "$desk/pki/localhost.key" \
        --key-pair $desk_pair
    desk_wine="env -u DISPLAY WINEPREFIX=$desk/prefix WINEDEBUG=-all"
    : >"$WORK/tap"
    x86_64-w64-mingw32-gcc -std=c11 -O2 $desk_warn -I.. -I../ports ../examples/hello.c \
        -o "$desk/hello.exe" -static -lws2_32 -lsecur32 -lcrypt32 >"$desk/log" 2>&1
    desk_verdict "hello.exe builds"
    $desk_wine wine wineboot -i >"$desk/log" 2>&1 </dev/null
    UNSB_DESKTOP_TLS=https://localhost:${WINDOWS##*:}
    # shellcheck disable=SC2086
    desk_run "hello.exe under Wine" '^42' $desk_wine wine "$desk/hello.exe"
    $desk_wine wineserver -k >/dev/null 2>&1
    $desk_wine wineserver -w >/dev/null 2>&1
    stop_servers
    count "desktop [Windows]"
fi
unset UNSB_DESKTOP_TLS UNSB_DESKTOP_OTHER UNSB_DESKTOP_UNKNOWN UNSB_DESKTOP_EXPIRED \
    UNSB_DESKTOP_PLAIN UNSB_DESKTOP_STOPPED UNSB_DESKTOP_PROXY
rm -rf "$desk"
