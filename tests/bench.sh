#!/bin/sh
# Measures the library: flash, RAM, instructions, and whole calls beside libcurl + cJSON.
#   sh tests/bench.sh                    all of it; the report also goes to tests/bench/report.json
#   sh tests/bench.sh flash|ram|instructions|end-to-end    one part (the rest of the report is kept)
#   sh tests/bench.sh table              the report as Markdown, also in tests/bench/table.md
#   sh tests/bench.sh budget             sizes against tests/size_budget, as TAP
#   sh tests/bench.sh budget --record    writes them there, rounded up to a multiple of 16
#   sh tests/bench.sh counts             instructions against tests/instruction_budget, as TAP
#   sh tests/bench.sh counts --record    writes them there; 5 % more are let pass
#   sh tests/bench.sh growth             that work grows with the size alone, and memory does not: TAP
# Installs what is missing. UNSB_BENCH_CFLAGS is added when the library's instructions are counted.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
command=${1-all}
case $command in
    all|flash|ram|instructions|end-to-end|budget|counts|growth|table) ;;
    *) sed -n 's/^#  *sh /usage: sh /p' "$0" >&2; exit 2 ;;
esac
[ $# = 0 ] || shift
case "$# $command $*" in
    "0 "*|"1 budget --record"|"1 counts --record") ;;
    *) sed -n 's/^#  *sh /usage: sh /p' "$0" >&2; exit 2 ;;
esac
# shellcheck source=lib.sh
. "$ROOT/tests/lib.sh"
begin_work
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

# TAP alone on stdout: what is installed is said on stderr
{
    need "to measure" "command -v python3" python3 "command -v gcc" gcc \
        "echo '#include <stdlib.h>' | cc -E -" libc6-dev "command -v readelf" binutils
    case $command in all|flash|ram|budget)
        need "to compile for microcontrollers" \
            "command -v arm-none-eabi-gcc" gcc-arm-none-eabi \
            "test -e /usr/include/newlib/string.h" libnewlib-arm-none-eabi \
            "command -v riscv64-unknown-elf-gcc" gcc-riscv64-unknown-elf \
            "test -e /usr/lib/picolibc/riscv64-unknown-elf/lib/libc.a" picolibc-riscv64-unknown-elf \
            "command -v avr-gcc" gcc-avr "test -e /usr/lib/avr/include/string.h" avr-libc \
            "command -v xtensa-lx106-elf-gcc" gcc-xtensa-lx106
    esac
    case $command in all|instructions|counts|growth)
        need "to count instructions" "command -v valgrind" valgrind
    esac
    case $command in all|instructions|end-to-end|counts|growth)
        need "for its client requests" "$(has_header valgrind/callgrind.h)" valgrind
    esac
    case $command in all|instructions|end-to-end)
        need "to compare with others" \
            "$(has_header openssl/ssl.h)" libssl-dev "$(has_header mbedtls/base64.h)" libmbedtls-dev \
            "$(has_header cjson/cJSON.h)" libcjson-dev "$(has_header jansson.h)" libjansson-dev \
            "$(has_header curl/curl.h)" libcurl4-openssl-dev \
            "$(has_header http_parser.h)" libhttp-parser-dev \
            "$(has_header bearssl.h)" libbearssl-dev "command -v openssl" openssl
        make_ca "$WORK/pki" && make_cert "$WORK/pki" localhost "DNS:localhost,IP:127.0.0.1" ||
            die "no certificates"
    esac
} >&2

python3 -B "$ROOT/tests/bench/bench.py" "$command" "$@" --build "$WORK" --cache "$CACHE"
