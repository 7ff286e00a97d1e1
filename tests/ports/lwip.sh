# The lwIP port, sourced by all.sh: lwIP as Debian has it, over a TAP device in a network namespace.
# Where there is neither the tests say so.

say "== lwIP's raw API, over a TAP device"

# lwip_suites LABEL DIRECTORY PROGRAMS CFLAGS: builds lwIP and the programs, and runs them
lwip_suites() {
    if make -s -j2 -C "$ROOT/tests/ports/lwip" B="$2" LWIP="$CACHE/lwip" CC=gcc CFLAGS="$4" \
        PROGRAMS="$3" >"$WORK/make.log" 2>&1; then
        missing=$("$2/test_lwip" missing)
        if [ -z "$missing" ]; then
            suites "$1" "$2" "$3"
        else
            matrix_line lwip Linux skipped "$missing"
            for name in $3; do
                echo "ok - $name # SKIP $missing" >"$WORK/tap"
                count "$name [$1]"
            done
        fi
    else
        tail -n 20 "$WORK/make.log"
        echo "not ok - the build" >"$WORK/tap"
        count "build [$1]"
    fi
}

# lwip_compile COMPILER-AND-FLAGS
lwip_compile() {
    # shellcheck disable=SC2086
    $1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror -I.. -I../ports \
        -isystem "$CACHE/lwip/src/include" -isystem ports/lwip -c compile/port_lwip.c \
        -o "$WORK/port_lwip.o" >"$WORK/log" 2>&1
}

if source_package lwip "$CACHE/lwip"; then
    for cc in "gcc -std=c99" "clang -std=c99" "gcc -std=c17 -Os" "g++ -x c++ -std=c++11" \
        "clang++ -x c++ -std=c++11" "g++ -x c++ -std=c++20" "i686-linux-gnu-gcc -std=c99"; do
        for options in "" -DLWIP_IPV6=0 -DLWIP_IPV4=0 -DLWIP_DNS=0 "-DLWIP_IPV6=0 -DLWIP_DNS=0" \
            -DLARGE -DNO_SYS=0; do
            if lwip_compile "$cc -O2 $options"; then echo "ok - $cc $options"; else
                echo "not ok - $cc $options"; sed 's/^/#   /' "$WORK/log" | head -n 12
            fi
        done
    done >"$WORK/tap"
    # what is missing is said by name
    for option in LWIP_TCP LWIP_CALLBACK_API; do
        if ! lwip_compile "gcc -D$option=0" && grep -q "unsandbox_lwip.h needs $option" "$WORK/log"
        then echo "ok - refused: $option 0"; else echo "not ok - refused: $option 0"; fi
    done >>"$WORK/tap"
    count "compile [lwIP]"

    lwip_suites "gcc -O2" "$BUILD/lwip" "conform_lwip test_lwip" "-O2"
    lwip_suites "gcc -O2, windows over 64 KB" "$BUILD/lwip_large" test_lwip "-O2 -DLARGE"
    # from malloc, so that what is used after it was freed, or never freed, is seen
    lwip_suites "gcc, sanitized" "$BUILD/lwip_sanitized" "conform_lwip test_lwip" \
        "$SANITIZE -DMEM_LIBC_MALLOC=1 -DMEMP_MEM_MALLOC=1"
else
    echo "not ok - the sources of lwIP" >"$WORK/tap"
    count "lwIP"
fi
