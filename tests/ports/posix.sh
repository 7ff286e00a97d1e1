# The POSIX port where it takes more than one process or a network of its own, and as systems other
# than Linux get it. all.sh sources it.

say "== the POSIX port: other systems' ways, plugins, slow lines"
posix_build=$BUILD/posix
variant "POSIX alone" "$posix_build/plain" "conform_posix conform_bearssl test_posix test_posix_faults" CC=gcc \
    CFLAGS="-O2 -DUNSB_POSIX_LINUX=0"
variant "pipes" "$posix_build/pipes" "test_posix_faults" CC=gcc \
    CFLAGS="-O2 -DUNSB_POSIX_LINUX=0 -DPLAIN_SOCKETS"
variant "no threads" "$posix_build/threadless" "conform_posix test_posix_faults" CC=gcc \
    CFLAGS="-O2 -DUNSB_POSIX_THREADS=0"
variant "one address at a time" "$posix_build/single" "conform_posix" CC=gcc \
    CFLAGS="-O2 -DUNSB_POSIX_ATTEMPTS=1"

# What warnings would say that are not on by default. In a header of static functions, functions
# are used that might not be; the rest are about C90 and padding.
for cc in "clang -std=gnu99 -Weverything -Wno-padded -Wno-declaration-after-statement \
-Wno-used-but-marked-unused" "gcc -std=gnu99 -fanalyzer" "gcc -std=gnu99 -O2 -fanalyzer" \
    "gcc -std=gnu99 -Wimplicit-fallthrough=5" "g++ -x c++ -std=c++11 -Wimplicit-fallthrough=5"; do
    for option in -DUNSB_POSIX_LINUX=1 -DUNSB_POSIX_LINUX=0 -DUNSB_POSIX_THREADS=0; do
        # shellcheck disable=SC2086
        if $cc -Wall -Wextra -Werror $option -I.. -I../ports -c compile/port_posix.c \
            -o "$WORK/object.o" >"$WORK/make.log" 2>&1; then
            echo "ok - $cc $option"
        else
            echo "not ok - $cc $option"; head -n 12 "$WORK/make.log" | sed 's/^/#   /'
        fi
    done
done >"$WORK/tap"
count "warnings [POSIX port]"

if build "plugin" "$posix_build/plugin" "test_plugin test_uplink" CC=gcc CFLAGS="-O2" \
    LIBS=-ldl; then
    gcc -std=c11 -O2 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -I.. -I../ports -fPIC -shared \
        ports/posix_lookup.c -o "$posix_build/plugin/lookup.so" -lpthread >"$WORK/make.log" 2>&1 &&
        suite "unloaded while it resolves" "$posix_build/plugin/test_plugin" \
            "env UNSB_TEST_PLUGIN=$posix_build/plugin/lookup.so"
    try_need "for a slow line" "command -v tc && command -v ip" iproute2
    if sh ports/netns.sh true >/dev/null 2>&1; then
        suite "3.2 Mbit/s" "$posix_build/plugin/test_uplink" "sh ports/netns.sh"
    else
        echo "ok - test_uplink # SKIP there are no namespaces, or no tc, for a slow line here" \
            >"$WORK/tap"
        count "test_uplink"
    fi
fi
