#!/bin/sh
# Runs an image under QEMU: sh qemu.sh ethernet|modem:PORT IMAGE.elf ARGUMENT...
# The exit status is the image's (124, 125: an assertion of lwIP's, a fault; see board.c).
#
# ethernet: QEMU's user network, in which 10.0.2.2 is this machine's 127.0.0.1. modem:PORT: the
# serial line goes to modem.py, listening there. -icount: an instruction takes 32 ns, as on a
# processor of some 30 MHz, however fast this machine is; sleeping takes its real time.
set -u
wire=$1 image=$2
shift 2
arguments=arg=device
for argument in "$@"; do arguments="$arguments,arg=$argument"; done
case $wire in
    modem:*) set -- -nic user,model=lan9118,restrict=on -serial null \
        -chardev "socket,id=line,host=127.0.0.1,port=${wire#modem:}" -serial chardev:line ;;
    *) set -- -nic user,model=lan9118 -serial null ;;
esac
exec timeout 120 qemu-system-arm -M mps2-an385 -display none -monitor none "$@" \
    -icount shift=5,sleep=on -semihosting-config "enable=on,target=native,$arguments" \
    -kernel "$image" 2>&1
