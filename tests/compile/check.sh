#!/bin/sh
# What must compile, what must not, and what the result may need: sh compile/check.sh [all]
# Prints a line "ok - NAME" or "not ok - NAME" for each check, with the compiler's words below a failure.
set -u
cd "$(dirname "$0")/.." || exit 1
OUT=$(mktemp -d) || exit 1
trap 'rm -rf "$OUT"' EXIT
WARN="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wundef -Werror"
INC="-I.. -I../ports"
status=0

verdict() { # verdict NAME: of the command just run, whose output is in $OUT/log
    if [ $? = 0 ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/#   /' "$OUT/log" | head -n 12
        status=1
    fi
}

# compile NAME COMPILER-AND-FLAGS FILE: done by compile_all, as many at a time as there are cores
compile() {
    printf '%s\n' "$1: $2|$2 $WARN $INC -c $3" >>"$OUT/jobs"
}

compile_all() {
    tr '\n' '\0' <"$OUT/jobs" | OUT=$OUT xargs -0 -n 1 -P "$(nproc)" sh -c '
        name=${1%%|*} log=$(mktemp "$OUT/log.XXXXXX")
        if ${1#*|} -o "$log.o" >"$log" 2>&1; then
            echo "ok - $name"
        else
            { echo "not ok - $name"; sed "s/^/#   /" "$log" | head -n 12; } >"$log.text"
            cat "$log.text"
        fi
        rm -f "$log" "$log.o"' compile >"$OUT/verdicts"
    cat "$OUT/verdicts"
    ! grep -q '^not ok' "$OUT/verdicts" || status=1
}

C="gcc clang"
CXX="g++ clang++"

for file in declarations implementation hostile unused_static; do
    optimize=-O2 # for the warnings that need it, once
    [ $file != hostile ] || optimize=-O0
    for std in c99 c11 c17; do
        for cc in $C; do compile $file "$cc -std=$std $optimize" compile/$file.c; done
    done
    for std in c++11 c++14 c++17 c++20; do
        for cc in $CXX; do compile $file "$cc -x c++ -std=$std $optimize" compile/$file.c; done
    done
done

none="-DUNSB_FILES=0 -DUNSB_ARTIFACTS=0 -DUNSB_SETTINGS=0 -DUNSB_NUMBERS=0 -DUNSB_DETAILS=0"
none="$none -DUNSB_RETRIES=0 -DUNSB_KEEP_ALIVE=0 -DUNSB_UTF8=0 -DUNSB_JOBS=0 -DUNSB_REQUEST=0"
for options in -DUNSB_SIGNING=0 -DUNSB_ERROR_TEXT=0 -DUNSB_SMALL=0 -DUNSB_SMALL=1 \
    -DUNSB_JSON_DEPTH=8 -DUNSB_JSON_DEPTH=248 -DUNSB_HTTP_HEAD_LIMIT=256 \
    -DUNSB_HTTP_HEAD_LIMIT=65535 -DUNSB_FILES=0 -DUNSB_ARTIFACTS=0 -DUNSB_SETTINGS=0 \
    -DUNSB_NUMBERS=0 -DUNSB_DETAILS=0 -DUNSB_RETRIES=0 -DUNSB_KEEP_ALIVE=0 -DUNSB_UTF8=0 \
    "-DUNSB_RETRIES=0 -DUNSB_KEEP_ALIVE=0" -DUNSB_JOBS=0 -DUNSB_LISTS=0 -DUNSB_KEYS=0 \
    -DUNSB_RUN=0 -DUNSB_REQUEST=0 "-DUNSB_FILES=0 -DUNSB_JOBS=0 -DUNSB_REQUEST=0" \
    "-DUNSB_ARTIFACTS=0 -DUNSB_DETAILS=0 -DUNSB_RETRIES=0" "-DUNSB_NUMBERS=0 -DUNSB_SETTINGS=0" \
    "-DUNSB_JOBS=0 -DUNSB_RUN=0 -DUNSB_UTF8=0 -DUNSB_LISTS=0" "$none" \
    "-DUNSB_SIGNING=0 -DUNSB_ERROR_TEXT=0 -DUNSB_SMALL=1" \
    -funsigned-char -fshort-enums "-Os -Wconversion" "-O3" "-O0"; do
    for cc in "gcc -std=c99" "clang -std=c99" "g++ -x c++ -std=c++11" "clang++ -x c++ -std=c++11"; do
        compile implementation "$cc $options" compile/implementation.c
    done
done

for cc in "gcc -std=c99" "clang -std=c99" "g++ -x c++ -std=c++11" "clang++ -x c++ -std=c++20"; do
    for options in "" "$none -DUNSB_SIGNING=0 -DUNSB_SMALL=1"; do
        compile trace "$cc -O2 $options" compile/trace.c
    done
done

if command -v i686-linux-gnu-gcc >/dev/null 2>&1; then
    for file in declarations implementation hostile unused_static; do
        compile $file "i686-linux-gnu-gcc -std=c99 -O2" compile/$file.c
        compile $file "i686-linux-gnu-gcc -std=c99 -Os" compile/$file.c
    done
else
    echo "ok - for i686 # SKIP no i686-linux-gnu-gcc"
fi

for file in port_posix port_bearssl port_mbedtls port_openssl port_proxy port_template \
    port_x509 port_address; do
    for cc in "gcc -std=gnu99" "clang -std=gnu99" "gcc -std=c99 -D_POSIX_C_SOURCE=200809L" \
        "clang -std=c11 -D_POSIX_C_SOURCE=200809L" "g++ -x c++ -std=c++11" \
        "clang++ -x c++ -std=c++11" "g++ -x c++ -std=c++20" "gcc -std=gnu17 -DUNSB_POSIX_THREADS=0"; do
        compile $file "$cc -O2" compile/$file.c
    done
done

compile port_mbedtls "gcc -std=c99 -O2 -DUNSB_MBEDTLS_ENTROPY=0" compile/port_mbedtls.c
for cc in "g++ -std=c++11" "clang++ -std=c++11" "g++ -std=c++20"; do
    compile port_arduino "$cc -O2 -Iports/arduino_host" compile/port_arduino.cpp
done

compile_all

# an option given wrongly says so
for bad in -DUNSB_STATIC=1 -DUNSB_JSON_DEPTH=7 -DUNSB_JSON_DEPTH=249 -DUNSB_HTTP_HEAD_LIMIT=255 \
    -DUNSB_HTTP_HEAD_LIMIT=65536 -DUNSB_SIGNING= -DUNSB_SMALL= -DUNSB_STATIC= \
    "-DUNSB_DETAILS=0 -DUNSB_LISTS=1" "-DUNSB_NUMBERS=0 -DUNSB_DETAILS=1" \
    "-DUNSB_SETTINGS=0 -DUNSB_RUN=1"; do
    : >"$OUT/log"
    file=declarations
    case $bad in *SIGNING*|*SMALL*) file=implementation ;; esac
    # shellcheck disable=SC2086
    ! gcc -std=c99 $INC $bad -c compile/$file.c -o "$OUT/object.o" 2>/dev/null
    verdict "refused: $bad"
done

# the port's skeleton, renamed as its first comment says
sed 's/template/demo/g; s/TEMPLATE/DEMO/g' ../ports/template.h >"$OUT/unsandbox_demo.h"
sed 's/template/demo/g; s/"demo\.h"/"unsandbox_demo.h"/' compile/port_template.c >"$OUT/demo.c"
gcc -std=c99 $WARN $INC -I"$OUT" -c "$OUT/demo.c" -o "$OUT/object.o" >"$OUT/log" 2>&1
verdict "a port made of template.h"

# two static copies in one program
for cc in "gcc -std=c99" "clang -std=c99" "g++ -x c++ -std=c++11"; do
    { $cc $WARN $INC -DCOPY=copy_one -c compile/static_copy.c -o "$OUT/one.o" &&
        $cc $WARN $INC -DCOPY=copy_two -c compile/static_copy.c -o "$OUT/two.o" &&
        gcc compile/static_main.c "$OUT/one.o" "$OUT/two.o" -o "$OUT/static" &&
        "$OUT/static"; } >"$OUT/log" 2>&1
    verdict "two static copies: $cc"
done

# ports together in each of two files: with one library, and with one in each
for cc in "gcc -std=gnu99" "clang -std=gnu99" "g++ -x c++ -std=c++11"; do
    for mode in "" "-DUNSB_STATIC=1 -DUNSANDBOX_IMPLEMENTATION"; do
        # shellcheck disable=SC2086
        { $cc $WARN $INC -DFILE_NAME=copy_one ${mode:--DUNSANDBOX_IMPLEMENTATION} \
            -c compile/ports_together.c -o "$OUT/one.o" &&
            $cc $WARN $INC -DFILE_NAME=copy_two $mode -c compile/ports_together.c \
                -o "$OUT/two.o" &&
            gcc compile/static_main.c "$OUT/one.o" "$OUT/two.o" -o "$OUT/together" -lssl -lcrypto \
                -lmbedtls -lmbedx509 -lmbedcrypto -lbearssl -lpthread &&
            "$OUT/together"; } >"$OUT/log" 2>&1
        verdict "ports together in two files: $cc $mode"
    done
done

# files that disagree about a layout do not link; those that agree do
gcc $INC -c compile/implementation.c -o "$OUT/impl.o" &&
    gcc $INC compile/depth_user.c "$OUT/impl.o" -o "$OUT/depth" >"$OUT/log" 2>&1 && "$OUT/depth"
verdict "same UNSB_JSON_DEPTH links"
! gcc $INC -DUNSB_JSON_DEPTH=64 compile/depth_user.c "$OUT/impl.o" -o "$OUT/depth" 2>/dev/null
verdict "another UNSB_JSON_DEPTH does not link"
! gcc $INC -DUNSB_ARTIFACTS=0 compile/depth_user.c "$OUT/impl.o" -o "$OUT/depth" 2>/dev/null
verdict "other options do not link"

# what the implementation needs, and that it has no variables
for cc in "gcc -std=c99" "clang -std=c99"; do
    for opt in -Os -O2 "-Os -DUNSB_SMALL=0"; do
        $cc $INC $opt -ffreestanding -fno-stack-protector -c compile/implementation.c -o "$OUT/object.o"
        nm -u "$OUT/object.o" | awk '{print $2}' |
            grep -vxE 'memcpy|memmove|memset|memcmp|strlen|_GLOBAL_OFFSET_TABLE_' >"$OUT/log"
        [ ! -s "$OUT/log" ]
        verdict "no other symbol needed: $cc $opt"
        $cc $INC $opt -fno-pic -c compile/implementation.c -o "$OUT/fixed.o"
        nm "$OUT/fixed.o" | grep -E ' [bBdDcC] ' >"$OUT/log"
        [ ! -s "$OUT/log" ]
        verdict "no variable: $cc $opt"
        nm -g --defined-only "$OUT/object.o" | awk '{print $3}' | grep -v '^unsb_' >"$OUT/log"
        [ ! -s "$OUT/log" ]
        verdict "nothing else exported: $cc $opt"
    done
done

# RAM, by machine; a client of 32 bits has a limit
for cc in gcc i686-linux-gnu-gcc; do
    command -v $cc >/dev/null 2>&1 || continue
    $cc -std=c99 $INC -c compile/sizes.c -o "$OUT/sizes.o" >"$OUT/log" 2>&1
    nm -S "$OUT/sizes.o" | while read -r _ size _ name; do
        echo "${name%_} $(printf '%d' "0x$size")"
    done >"$OUT/sizes"
    echo "# figures: bytes, $cc: $(tr '\n' ',' <"$OUT/sizes" | sed 's/,$//; s/,/, /g')"
    column=$([ $cc = gcc ] && echo 3 || echo 4)
    awk -F '|' -v column=$column 'NR == FNR {split($0, f, " "); size[f[1]] = f[2]; next}
        /^## / {on = /Memory/}
        on && match($2, /`unsb_[a-z_]*`/) && $3 + 0 > 0 {name = substr($2, RSTART + 1, RLENGTH - 2); n++
            if (size[name] != $column + 0) {print name, "is", size[name]; bad = 1}}
        END {exit bad || n != 4}' "$OUT/sizes" ../README.md >"$OUT/log"
    verdict "the README's figures: $cc"
    [ $cc = gcc ] || awk '$1 == "unsb_client" {exit !($2 <= 296)}' "$OUT/sizes"
    verdict "unsb_client is small enough: $cc"
done

# text
! LC_ALL=C grep -nP '[^\x00-\x7F]' ../unsandbox.h ../ports/*.h >"$OUT/log"
verdict "ASCII alone"
! awk 'length > 100 {print FILENAME ":" FNR; found = 1} END {exit !found}' ../unsandbox.h ../ports/*.h \
    >"$OUT/log"
verdict "no line over 100 columns"
! grep -nE '^ *# *pragma|(^|[ ;{})])//' ../unsandbox.h >"$OUT/log"
verdict "no pragma, no // comment"
grep -oE '>>[a-z0-9-]+' ../unsandbox.h | sort | uniq -c | awk '$1 < 2 {print; bad = 1} END {exit bad}' \
    >"$OUT/log"
verdict "each section's tag stands in the contents and at the section"

# the programs shown in the manual and the README are those that compile
awk '/^ *\* *\[example\]/ {on = 1; next} /^ *\* *\[end\]/ {on = 0} on {sub(/^ \*( |$)/, ""); print}' \
    ../unsandbox.h >"$OUT/manual.c"
[ -s "$OUT/manual.c" ] && gcc -std=gnu11 $INC -Wall -Wextra -Werror "$OUT/manual.c" -o "$OUT/manual" \
    -lbearssl -lpthread >"$OUT/log" 2>&1
verdict "the manual's example"
awk '/^```c$/ {n++; on = 1; next} /^```$/ {on = 0} on && n == 1' ../README.md >"$OUT/readme.c"
cmp "$OUT/readme.c" ../examples/hello.c >"$OUT/log" 2>&1
verdict "the README's first example is examples/hello.c"
awk -v out="$OUT/snippet" '/^```c$/ {n++; on = 1; next} /^```$/ {on = 0} on {print > (out n ".c")}' \
    ../README.md
for snippet in "$OUT"/snippet*.c; do
    gcc -std=gnu11 $INC -I../examples -Wall -Wextra -Werror -c "$snippet" -o "$OUT/object.o" \
        >"$OUT/log" 2>&1
    verdict "README snippet $(basename "$snippet" .c | tr -dc 0-9) compiles"
done
exit $status
