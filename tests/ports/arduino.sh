# The Arduino port for AVR, with Debian's Arduino core: sourced by all.sh. Compiles the port without
# warnings, links the example's sketch for an ATmega2560, and runs that sketch against the local
# service, on the host and in a simulator.

arduino_core=/usr/share/arduino/hardware/arduino/avr
say "== Arduino: the port for AVR, and the example's sketch"
need "to build a sketch for an Arduino Mega 2560" \
    "command -v avr-g++" gcc-avr "test -e /usr/lib/avr/include/avr/io.h" avr-libc \
    "test -e $arduino_core/cores/arduino/Arduino.h" arduino-core-avr \
    "test -e /usr/include/simavr/sim_avr.h" libsimavr-dev \
    "$(has_header gelf.h)" libelf-dev

arduino_dir=$BUILD/arduino
# as the core's platform.txt has them
arduino_board="-mmcu=atmega2560 -DF_CPU=16000000L -DARDUINO=10807 -DARDUINO_AVR_MEGA2560
    -DARDUINO_ARCH_AVR -I$arduino_core/cores/arduino -I$arduino_core/variants/mega"
arduino_cxx="avr-g++ -g -Os -std=gnu++11 -fpermissive -fno-exceptions -ffunction-sections
    -fdata-sections -fno-threadsafe-statics $arduino_board"
arduino_warn="-Wall -Wextra -Wpedantic -Wconversion -Wcast-align -Wundef"

# arduino_compile NAME SOURCE COMMAND...: no warning may stem from the files of this repository.
# (The core's headers warn; as system headers they would not compile, as avr-g++ takes those for C.)
arduino_compile() {
    name=$1 source=$2; shift 2
    if "$@" -x c++ -c "$source" \
        -o "$arduino_dir/$name.o" >"$WORK/log" 2>&1 &&
        ! grep -E '^[^ ]*(unsandbox|template|at_client|\.ino|/port_)[^ ]*: (warning|error)' \
            "$WORK/log" >"$WORK/own"; then
        echo "ok - $name" >>"$WORK/tap"
    else
        { echo "not ok - $name"
            sed 's/^/#   /' "$WORK/own" "$WORK/log" | head -n 12; } >>"$WORK/tap"
        return 1
    fi
}

# The core as a library (with a constant that GCC 5's float.h keeps from C++), and the sketch as the
# Arduino builder hands it to the compiler.
arduino_link() {
    for source in "$arduino_core"/cores/arduino/*.c "$arduino_core"/cores/arduino/*.S; do
        # shellcheck disable=SC2086
        avr-gcc -g -Os -std=gnu11 -ffunction-sections -fdata-sections $arduino_board -c "$source" \
            -o "$arduino_dir/core/$(basename "$source").o" || return 1
    done
    for source in "$arduino_core"/cores/arduino/*.cpp; do
        # shellcheck disable=SC2086
        $arduino_cxx -DDECIMAL_DIG=__DECIMAL_DIG__ -c "$source" \
            -o "$arduino_dir/core/$(basename "$source").o" || return 1
    done
    rm -f "$arduino_dir/core.a"
    avr-ar rcs "$arduino_dir/core.a" "$arduino_dir"/core/*.o &&
        avr-gcc -Os -mmcu=atmega2560 -Wl,--gc-sections "$arduino_dir/sketch.o" \
            "$arduino_dir/core.a" -lm -o "$arduino_dir/sketch.elf"
}

mkdir -p "$arduino_dir/core"
rm -f "$arduino_dir/sketch.elf"
for file in tap own size; do
    : >"$WORK/$file"
done
for std in gnu++11 c++11 c++14; do
    # shellcheck disable=SC2086
    arduino_compile "port_arduino, $std" compile/port_arduino.cpp \
        $arduino_cxx -std=$std $arduino_warn -Wshadow -I.. -I../ports
done
# in a folder of its own, with what its first comment says must be copied there
arduino_sketch=$arduino_dir/sketch
rm -rf "$arduino_sketch" && mkdir "$arduino_sketch" &&
    cp ../examples/arduino/* ../unsandbox.h ../ports/unsandbox_arduino.h "$arduino_sketch"
{ echo '#include <Arduino.h>'
    echo '#line 1 "arduino.ino"'
    cat ../examples/arduino/arduino.ino; } >"$arduino_sketch/arduino.ino.cpp"
# shellcheck disable=SC2086
if arduino_compile sketch "$arduino_sketch/arduino.ino.cpp" $arduino_cxx $arduino_warn; then
    if arduino_link >"$WORK/log" 2>&1; then
        # 8 KB of RAM: a quarter is left for the stack at the least
        avr-size "$arduino_dir/sketch.elf" | awk 'NR == 2 {flash = $1 + $2; ram = $2 + $3
            print (flash < 253952 && ram < 6144 ? "ok" : "not ok") " - it fits an ATmega2560"
            print "# figures: the sketch: " flash " bytes of flash, " ram " of RAM, the stack not counted"}' \
            >"$WORK/size"
        cat "$WORK/size" >>"$WORK/tap"
    else
        { echo "not ok - the sketch links"
            sed 's/^/#   /' "$WORK/log" | tail -n 12; } >>"$WORK/tap"
    fi
fi
count "Arduino, AVR"

# Serial1 goes to the tests' module at 115,200 baud, the analog pin sees a sine.
arduino_service=
start_server arduino_service
arduino_port=${arduino_service##*:}
if [ -e "$arduino_dir/sketch.elf" ] &&
    g++ -std=c++11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -Werror \
        -isystem /usr/include/simavr ports/arduino_host/simulate.cpp \
        -o "$arduino_dir/simulate" -lsimavr -lelf \
        >"$WORK/log" 2>&1; then
    if "$arduino_dir/simulate" "$arduino_dir/sketch.elf" "$arduino_port" >"$WORK/log" 2>&1; then
        echo "ok - the sketch runs on a simulated ATmega2560"
        verdict=run
    else
        verdict=failed
    fi
else
    verdict=failed
fi >"$WORK/tap"
[ $verdict = run ] || { echo "not ok - the sketch runs on a simulated ATmega2560"
    sed 's/^/#   /' "$WORK/log" | tail -n 12; } >>"$WORK/tap"
sed -n 's/^figures:/# figures:/p' "$WORK/log" >>"$WORK/tap"
matrix_line arduino "ATmega2560 (simavr)" $verdict "$(sed -n 's/^# figures: //p' "$WORK/size")"
count "the sketch in simavr"

build "the sketch, sanitized" "$BUILD/sanitized" arduino_sketch CC=gcc CFLAGS="$SANITIZE" &&
    suite "host, sanitized" "$BUILD/sanitized/arduino_sketch" "env UNSB_TEST_PORT=$arduino_port"
stop_servers
