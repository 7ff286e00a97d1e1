# The POSIX port over lwIP's sockets and newlib, as ESP-IDF has them: sourced by all.sh. It is
# compiled, without warnings, and must need nothing but these two.

say "== the POSIX port over lwIP's sockets"
need "to compile for a Cortex-M3" "command -v arm-none-eabi-gcc" gcc-arm-none-eabi \
    "test -e /usr/include/newlib/stdio.h" libnewlib-arm-none-eabi
lwip_shim=$WORK/lwip_sockets
mkdir -p "$lwip_shim/arch" "$lwip_shim/netinet"
# what a platform brings: options, types of its system, and the names of POSIX's headers
printf '#define %s\n' "NO_SYS 0" "LWIP_SOCKET 1" "LWIP_DNS 1" "LWIP_TIMEVAL_PRIVATE 0" \
    "LWIP_COMPAT_SOCKETS 1" "LWIP_POSIX_SOCKETS_IO_NAMES 1" "LWIP_SOCKET_POLL 1" "LWIP_IPV6 1" \
    "LWIP_TCP_KEEPALIVE 1" "LWIP_NETIF_API 0" >"$lwip_shim/lwipopts.h"
printf '#include <sys/time.h>\n#define LWIP_ERRNO_STDINCLUDE 1\n' >"$lwip_shim/arch/cc.h"
printf 'typedef void *%s;\n' sys_sem_t sys_mutex_t sys_mbox_t sys_thread_t \
    >"$lwip_shim/arch/sys_arch.h"
for header in netinet/in.h netinet/tcp.h poll.h; do
    echo '#include <lwip/sockets.h>' >"$lwip_shim/$header"
done
if source_package lwip "$CACHE/lwip" >"$WORK/log" 2>&1 &&
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -std=gnu99 -Wall -Wextra -Wpedantic -Wconversion \
        -Wshadow -Wcast-align -Wundef -Werror -DUNSB_POSIX_THREADS=0 -D_POSIX_TIMERS=1 \
        -D_POSIX_MONOTONIC_CLOCK=1 -I.. -I../ports -isystem "$lwip_shim" \
        -isystem "$CACHE/lwip/src/include" -isystem "$CACHE/lwip/src/include/compat/posix" \
        -c compile/port_posix.c -o "$WORK/lwip_sockets.o" >"$WORK/log" 2>&1 &&
    arm-none-eabi-nm -u "$WORK/lwip_sockets.o" >"$WORK/log" &&
    ! grep -vE ' (lwip_[a-z]+|__errno|__aeabi_[a-z]+|clock_gettime|mem[a-z]+|strlen|time)$' \
        "$WORK/log"; then
    echo "ok - the POSIX port over lwIP's sockets" >"$WORK/tap"
    verdict=compiled
else
    { echo "not ok - the POSIX port over lwIP's sockets"
        sed 's/^/#   /' "$WORK/log" | head -n 12; } >"$WORK/tap"
    verdict=failed
fi
matrix_line posix "lwIP 2.1 sockets, newlib, Cortex-M3" $verdict
count "POSIX port, lwIP's sockets"
