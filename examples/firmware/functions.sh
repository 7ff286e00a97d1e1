# Shell functions for run.sh and for tests/firmware. POSIX sh; sourced after tests/lib.sh, with ROOT
# and WORK set.

firmware_tools() {
    need "to build firmware and to run it under QEMU" \
        "command -v arm-none-eabi-gcc" gcc-arm-none-eabi \
        "arm-none-eabi-gcc --specs=picolibc.specs -E -x c /dev/null" picolibc-arm-none-eabi \
        "command -v qemu-system-arm" qemu-system-arm "command -v make" make \
        "command -v openssl" openssl "python3 -c 'import ssl, http.server'" python3 \
        "command -v gcc" gcc "echo '#include <stdlib.h>' | cc -E -" libc6-dev
    source_package bearssl "$CACHE/bearssl" && source_package lwip "$CACHE/lwip"
}

# firmware_make DIRECTORY CA.pem ARGUMENT...: what the third parties' sources become is kept for the
# next time.
firmware_make() {
    directory=$1 authority=$2
    shift 2
    make -s -j2 -C "$ROOT/examples/firmware" B="$directory" LIBS="$CACHE/firmware" \
        BEARSSL="$CACHE/bearssl" LWIP="$CACHE/lwip" ROOTS="$authority" "$@"
}

# start_peer VARIABLE COMMAND...: starts what says "...: listening on 127.0.0.1:PORT", and sets
# VARIABLE to PORT. stop_servers() ends it.
start_peer() {
    variable=$1
    shift
    rm -f "$WORK/$variable.ready"
    "$@" >"$WORK/$variable.ready" 2>"$WORK/$variable.log" &
    PIDS="$PIDS $!"
    tries=0
    until grep -q ': listening on ' "$WORK/$variable.ready" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 $! 2>/dev/null; then
            cat "$WORK/$variable.log" >&2
            die "this did not start: $*"
        fi
        sleep 0.1
    done
    eval "$variable=\$(sed -n 's/.*://p' \"\$WORK/\$variable.ready\")"
}
