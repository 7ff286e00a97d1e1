# The library on other machines, in groups: sourced by all.sh, which calls them. The unit suites are
# built with each machine's compiler, all warnings on, and run on that machine or its simulator;
# where nothing can run, the library is compiled. Machines whose tools cannot be had are skipped by
# name.
#
# The suites run on mini/cmocka.h. On each machine mini/control.c shows first that failures are seen
# there: it must fail exactly where it means to.

matrix_dir=$BUILD/matrix
matrix_warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"
matrix_flags="-D_POSIX_C_SOURCE=200809L -I$ROOT -I$ROOT/tests/suites -I$ROOT/tests/mini \
    -I$ROOT/tests/matrix"
printf '#define UNSANDBOX_IMPLEMENTATION\n#include "unsandbox.h"\n' >"$WORK/library.c"

# ---- how programs run ----

on_this() { timeout 300 "$@"; }
on_wine() { timeout 300 $wine_run wine "$1" | tr -d '\r'; }
on_node() { timeout 300 node --no-experimental-fetch "$1"; }
on_qemu() { timeout 300 "qemu-$matrix_cpu" "$1"; }
on_riscv() {
    timeout 300 "qemu-system-riscv$matrix_cpu" -M virt -m 64M -bios none -display none \
        -monitor none -serial null -chardev stdio,id=out \
        -semihosting-config enable=on,target=native,chardev=out -kernel "$1" </dev/null
}
on_mps2() {
    timeout 300 qemu-system-arm -M "mps2-$matrix_cpu" -display none -monitor none -serial null \
        -chardev stdio,id=out -semihosting-config enable=on,target=native,chardev=out \
        -kernel "$1" </dev/null 2>/dev/null
}
# simavr ends with the program (sleep without interrupts), colours each line and adds a dot to it
on_avr() {
    timeout 300 simavr -m "$matrix_cpu" -f 16000000 "$1" 2>&1 |
        sed 's/\x1b\[[0-9;]*m//g; s/\.\{0,1\}\r*$//'
}

# ---- verdicts ----

# tap_checked LABEL RC FILE: the TAP of one program with its label, what is said of a failure behind
# it; a crash, a missing plan or a missing test is a failure
tap_checked() {
    awk -v label="$1" -v rc="$2" '
        /^1\.\.[0-9]+$/ {plan = substr($0, 4) + 0; held = ""}
        /^#/ {held = held $0 "\n"}
        /^(not )?ok [0-9]+ / {
            seen++
            skip = /# SKIP/
            bad += /^not ok/ && !skip
            sub(/ok [0-9]+ (- )?/, "ok - " (skip ? "" : label ": "))
            print
            if (/^not ok/) printf "%s", held
            held = ""
        }
        END {
            if (rc != 0 && !bad) print "not ok - " label ": exit status " rc
            if (!plan || seen < plan)
                print "not ok - " label ": " seen + 0 " of " plan + 0 " tests ran"
        }' "$3"
}

# control_checked FILE: did exactly those tests fail that should?
control_checked() {
    awk '/^not ok [0-9]+ - fail_/ {failed++; next}
        /^not ok/ || /^ok [0-9]+ - fail_/ {wrong++}
        /^ok [0-9]+ - pass_/ {passed++} /^ok [0-9]+ # SKIP skip_it/ {skipped++}
        END {print (failed == 16 && passed == 3 && skipped == 1 && !wrong ? "ok" : "not ok") \
            " - control: failures are seen"}' "$1"
}

# row NAME COMPILER FACTS BYTES: counts $WORK/tap, and says what ran there
row() {
    count "$1"
    verdict=${matrix_verdict:-run}
    [ "$f" = 0 ] && [ "$n" != 0 ] || verdict=failed
    say "   $2; $3; $4 bytes of code and constants"
    matrix_line core "$1" "$verdict" "$n passed, $s skipped; $3; $4 bytes"
}

row_skipped() { # NAME WHY
    echo "ok - # SKIP $1 ($2)" >"$WORK/tap"
    count "$1"
    matrix_line core "$1" skipped "$2"
}

text_size() { # the code and constants of an object
    ${matrix_size:-size} "$1" 2>/dev/null | awk 'NR == 2 {print $1}'
}

compiler_name() {
    case $1 in
        emcc) echo "emcc $(emcc -dumpversion 2>/dev/null)" ;;
        tcc) tcc -v | sed 's/^\(tcc version [^ ]*\).*/\1/; s/version //' ;;
        sdcc) sdcc --version | sed -n 's/^SDCC .* \([0-9.]*\) #.*/sdcc \1/p' ;;
        clang) echo "clang $("$@" -dumpversion)" ;;
        *) echo "gcc $("$1" -dumpversion)" ;;
    esac
}

# ---- one machine ----

machine_suite() { # NAME SOURCE COMPILER...
    name=$1 source=$2 program=$matrix_out/$1.${matrix_suffix:-elf}; shift 2
    # shellcheck disable=SC2086
    if ! "$@" $matrix_std $matrix_flags "$source" -o "$program" $matrix_link \
        >"$matrix_out/$name.log" 2>&1; then
        { echo "not ok - $name: the build"; head -n 12 "$matrix_out/$name.log" |
            sed 's/^/#   /'; } >"$matrix_out/$name.tap"
        return
    fi
    $matrix_run "$program" >"$matrix_out/$name.out" 2>"$matrix_out/$name.err" </dev/null
    rc=$?
    if [ "$name" = control ]; then
        control_checked "$matrix_out/$name.out" >"$matrix_out/$name.tap"
    else
        tap_checked "$name" $rc "$matrix_out/$name.out" >"$matrix_out/$name.tap"
    fi
}

machine_suites() { # "NAME ..." COMPILER...
    list=$1; shift
    for each in $list; do
        case $each in
            control) machine_suite control "$ROOT/tests/mini/control.c" "$@" ;;
            tiny) machine_suite tiny "$ROOT/tests/matrix/tiny.c" "$@" ;;
            *) machine_suite "$each" "$ROOT/tests/suites/test_$each.c" "$@" ;;
        esac
    done
}

# machine NAME RUN COMPILER FLAGS...: builds and runs $matrix_suites. RUN is a function above.
matrix_all="control client sign parts base64 request faults http json_reader json_writer"
matrix_suites=$matrix_all
matrix_std="-std=c11 $matrix_warn"
matrix_suffix='' matrix_link='' matrix_size='' matrix_cpu=''
machine() {
    matrix_name=$1 matrix_run=$2; shift 2
    matrix_out=$matrix_dir/$(echo "$matrix_name" | tr -c 'a-zA-Z0-9\n' _)
    rm -rf "$matrix_out" && mkdir -p "$matrix_out"
    machine_suites "$matrix_suites" "$@"
    : >"$WORK/tap"
    for each in $matrix_suites; do cat "$matrix_out/$each.tap" >>"$WORK/tap"; done
    machine_size=-
    # shellcheck disable=SC2086
    if "$@" $matrix_std $matrix_flags -Os -c "$WORK/library.c" -o "$matrix_out/library.o" \
        >"$matrix_out/library.log" 2>&1; then
        machine_size=$(text_size "$matrix_out/library.o")
    else
        { echo "not ok - the library alone"; sed 's/^/#   /' "$matrix_out/library.log" |
            head -n 12; } >>"$WORK/tap"
    fi
    facts=$(sed -n 's/^# machine: //p' "$matrix_out/control.out" "$matrix_out/tiny.out" \
        2>/dev/null | head -n 1)
    row "$matrix_name" "$(compiler_name "$@")" "$facts" "${machine_size:--}"
}

# compiled NAME FACTS COMPILER FLAGS...: no warning, and no name from outside but the five of
# string.h and the compiler's own helpers
compiled() {
    matrix_name=$1 facts=$2; shift 2
    matrix_out=$matrix_dir/$(echo "$matrix_name" | tr -c 'a-zA-Z0-9\n' _)
    rm -rf "$matrix_out" && mkdir -p "$matrix_out"
    for level in -O2 -Os; do
        # shellcheck disable=SC2086
        if "$@" -std=c99 $matrix_warn $level -ffreestanding -I"$ROOT" \
            -isystem "$ROOT/tests/compile/freestanding" -c "$WORK/library.c" \
            -o "$matrix_out/library.o" >"$matrix_out/log" 2>&1; then
            echo "ok - compiled $level"
            nm "$matrix_out/library.o" | awk -v level="$level" '$1 == "U" &&
                $2 !~ /^(__.*|memcpy|memmove|memset|memcmp|strlen)$/ {wrong = wrong " " $2}
                END {print (wrong == "" ? "ok" : "not ok") " - needs nothing else" wrong " " level}'
        else
            echo "not ok - compiled $level"; head -n 12 "$matrix_out/log" | sed 's/^/#   /'
        fi
    done >"$WORK/tap"
    matrix_verdict=compiled
    row "$matrix_name" "$(compiler_name "$@")" "$facts" "$(text_size "$matrix_out/library.o")"
    matrix_verdict=
}

# sdcc's objects list their areas with sizes in hexadecimal
compiled_sdcc() { # NAME FACTS FLAGS...
    matrix_name=$1 facts=$2; shift 2
    matrix_out=$matrix_dir/$(echo "$matrix_name" | tr -c 'a-zA-Z0-9\n' _)
    rm -rf "$matrix_out" && mkdir -p "$matrix_out"
    # not warnings of worth: code that an option (UNSB_SIGNING) makes unreachable
    for level in c99 c11; do
        if sdcc "$@" --std-$level --Werror --disable-warning 126 --disable-warning 110 -I"$ROOT" \
            -c "$WORK/library.c" -o "$matrix_out/library.rel" >"$matrix_out/log" 2>&1; then
            echo "ok - compiled as $level"
        else
            echo "not ok - compiled as $level"; head -n 12 "$matrix_out/log" | sed 's/^/#   /'
        fi
    done >"$WORK/tap"
    bytes=0
    for area in $(sed -n 's/^A \(_CODE\|CODE\|CONST\|CSEG\) size \([0-9A-F]*\) .*/\2/p' \
        "$matrix_out/library.rel"); do bytes=$((bytes + 0x$area)); done
    matrix_verdict=compiled
    row "$matrix_name" "$(compiler_name sdcc)" "$facts" "$bytes"
    matrix_verdict=
}

# can NAME CHECK PACKAGE ...: are the tools there, or can they be had?
can() {
    wanted=$1; shift
    try_need "to run the suites on $wanted" "$@" && return 0
    row_skipped "$wanted" "$refusal:$missing"
    return 1
}

# ---- Linux on other processors: qemu-user. -Os takes the compact loops (UNSB_SMALL), the others
# read words of 8 bytes ----

linux_machine() { # NAME PREFIX PACKAGE-SUFFIX QEMU FLAGS...
    can "$1" "command -v $2-gcc" "gcc-$2" "test -e /usr/$2/include/stdlib.h" \
        "libc6-dev-$3-cross" "command -v qemu-$4" qemu-user || return 0
    matrix_cpu=$4 prefix=$2 title=$1; shift 4
    machine "$title" on_qemu "$prefix-gcc" -static "$@"
}
matrix_linux() {
    say "== the library on other machines: Linux on other processors"
    linux_machine "s390x" s390x-linux-gnu s390x s390x -O1
    linux_machine "PowerPC" powerpc-linux-gnu powerpc ppc -Os
    linux_machine "m68k" m68k-linux-gnu m68k m68k -O1
    linux_machine "ARM Linux" arm-linux-gnueabihf armhf arm -Os
    linux_machine "AArch64 Linux" aarch64-linux-gnu arm64 aarch64 -O1
}

# ---- on this machine, by other means ----

matrix_here() {
    say "== the library on this machine, by other means"
    can "i686" "command -v i686-linux-gnu-gcc" gcc-i686-linux-gnu \
        "test -e /usr/i686-linux-gnu/include/stdlib.h" libc6-dev-i386-cross &&
        machine "i686" on_this i686-linux-gnu-gcc -static -O1
    machine "x86-64, unsigned char" on_this gcc -O1 -funsigned-char
    can "musl" "command -v musl-gcc" musl-tools && machine "musl" on_this musl-gcc -static -Os
    if can "tcc" "command -v tcc" tcc; then
        matrix_std="-std=c11 -Wall -Werror"
        machine "tcc" on_this tcc
        matrix_std="-std=c11 $matrix_warn"
    fi
    if can "WebAssembly (node)" "command -v emcc" emscripten "command -v node" nodejs; then
        matrix_suffix=js matrix_size=/usr/lib/llvm-14/bin/llvm-size
        matrix_link="-sALLOW_MEMORY_GROWTH=1 -sEXIT_RUNTIME=1"
        export NODE_PATH=/usr/share/nodejs
        machine "WebAssembly (node)" on_node emcc -O1
        matrix_suffix='' matrix_link='' matrix_size=''
    fi
}

matrix_windows() { # after ports/wine.sh
    say "== the library on Windows, as Wine plays it"
    matrix_suffix=exe
    machine "Windows (Wine)" on_wine x86_64-w64-mingw32-gcc -O1
    matrix_suffix=
}

# ---- no operating system: picolibc in qemu-system, by semihosting ----

bare="--specs=picolibc.specs --crt0=semihost --oslib=semihost -Wl,--defsym=__stack_size=0x4000"
memory() { # FLASH SIZE RAM SIZE
    echo "-Wl,--defsym=__flash=$1,--defsym=__flash_size=$2,--defsym=__ram=$3,--defsym=__ram_size=$4"
}
riscv() { # NAME BITS FLAGS...
    can "$1" "command -v riscv64-unknown-elf-gcc" gcc-riscv64-unknown-elf \
        "test -e /usr/lib/picolibc/riscv64-unknown-elf/picolibc.specs" \
        picolibc-riscv64-unknown-elf "command -v qemu-system-riscv$2" qemu-system-misc || return 0
    matrix_cpu=$2 title=$1; shift 2
    matrix_link=$(memory 0x80000000 0x400000 0x80400000 0x1000000)
    # shellcheck disable=SC2086
    machine "$title" on_riscv riscv64-unknown-elf-gcc "$@" $bare
    matrix_link=
}
cortex() { # NAME BOARD FLAGS...
    can "$1" "command -v arm-none-eabi-gcc" gcc-arm-none-eabi \
        "test -e /usr/lib/picolibc/arm-none-eabi/picolibc.specs" picolibc-arm-none-eabi \
        "command -v qemu-system-arm" qemu-system-arm || return 0
    matrix_cpu=$2 title=$1; shift 2
    matrix_link=$(memory 0 0x400000 0x21000000 0x1000000)
    # shellcheck disable=SC2086
    machine "$title" on_mps2 arm-none-eabi-gcc -mthumb "$@" $bare
    matrix_link=
}
matrix_bare() {
    say "== the library without an operating system"
    riscv "RV32IMAC" 32 -march=rv32imac -mabi=ilp32 -Os
    riscv "RV64IMAC" 64 -march=rv64imac -mabi=lp64 -mcmodel=medany -O2
    cortex "Cortex-M0+ code" an385 -mcpu=cortex-m0plus -Os
    cortex "Cortex-M3" an385 -mcpu=cortex-m3 -Os
    cortex "Cortex-M4" an386 -mcpu=cortex-m4 -O2

    # int of 16 bits; too small for the suites
    if can "AVR (ATmega1284P)" "command -v avr-gcc" gcc-avr "test -e /usr/lib/avr/include/avr/io.h" \
        avr-libc "command -v simavr" simavr; then
        matrix_cpu=atmega1284p
        matrix_suites="control tiny" matrix_link="-include avr.h"
        machine "AVR (ATmega1284P)" on_avr avr-gcc -mmcu=$matrix_cpu -Os
        matrix_suites=$matrix_all matrix_link=''
    fi
}

# ---- what can only be compiled here ----

matrix_compiled() {
    say "== the library for machines that cannot be run here"
    can "ESP8266 (xtensa-lx106)" "command -v xtensa-lx106-elf-gcc" gcc-xtensa-lx106 &&
        compiled "ESP8266 (xtensa-lx106)" "int 32, pointer 32, little-endian" xtensa-lx106-elf-gcc
    compiled "ARMv6-M by clang" "int 32, pointer 32, little-endian" clang --target=armv6m-none-eabi
    compiled "RV32 by clang" "int 32, pointer 32, little-endian" clang --target=riscv32-unknown-elf \
        -march=rv32imc
    compiled "MSP430 by clang" "int 16, pointer 16, little-endian" clang --target=msp430-none-elf
    can "Z80" "command -v sdcc" sdcc &&
        compiled_sdcc "Z80" "int 16, pointer 16, little-endian" -mz80
    can "STM8" "command -v sdcc" sdcc &&
        compiled_sdcc "STM8" "int 16, pointer 16, big-endian" -mstm8
}
