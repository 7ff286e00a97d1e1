# Sourced by run.sh: the suites of what uses vector instructions, built for each set of them, and
# for none. The other builds of run.sh have SSE2.

vectors="test_base64 test_json_reader test_json_writer test_parts"

say "== without vector instructions, and with those that the processor has"
variant "gcc -O2, no vectors" "$BUILD/vectors_none" "$vectors" CC=gcc CFLAGS="-O2 -DUNSB_SIMD=0"

# x86 SET: an emulator stands in for a processor that lacks the set
x86() {
    emulator=
    if ! grep -qw "$1" /proc/cpuinfo; then
        if ! command -v qemu-x86_64 >/dev/null 2>&1; then
            echo "ok - $vectors # SKIP the processor has no $1, and there is no qemu-x86_64" >"$WORK/tap"
            count "gcc -O2 -m$1"
            return
        fi
        emulator="qemu-x86_64 -cpu max"
    fi
    build "gcc -O2 -m$1" "$BUILD/vectors_$1" "$vectors" CC=gcc CFLAGS="-O2 -m$1" || return
    for name in $vectors; do suite "gcc -O2 -m$1" "$BUILD/vectors_$1/$name" "$emulator"; done
}
x86 ssse3
x86 avx2

if $all; then
    variant "gcc -O2, byte order unknown" "$BUILD/vectors_order" "$vectors" CC=gcc \
        CFLAGS="-O2 -DUNSB_SIMD=0 -U__BYTE_ORDER__ -D__BYTE_ORDER__=0"
    say "== NEON, by an emulator"
    need "for 64-bit Arm" "command -v aarch64-linux-gnu-gcc" gcc-aarch64-linux-gnu \
        "test -e /usr/aarch64-linux-gnu/include/stdlib.h" libc6-dev-arm64-cross \
        "command -v qemu-aarch64" qemu-user
    mkdir -p "$BUILD/vectors_neon"
    for name in $vectors; do
        # no cmocka there
        if aarch64-linux-gnu-gcc -std=c11 -O2 -static -Wall -Wextra -Wpedantic -Wconversion -Werror \
            -D_POSIX_C_SOURCE=200809L -Imini -I.. -Isuites "suites/$name.c" \
            -o "$BUILD/vectors_neon/$name" >"$WORK/make.log" 2>&1; then
            suite "aarch64, NEON" "$BUILD/vectors_neon/$name" qemu-aarch64
        else
            { echo "not ok - the build"; sed 's/^/#   /' "$WORK/make.log" | head -n 20; } >"$WORK/tap"
            count "$name [aarch64, NEON]"
        fi
    done
fi
