#!/bin/sh
# sh netns.sh COMMAND...: runs it in namespaces of its own, where loopback is a slow line (3.2 Mbit/s
# with a queue of 600 KB) and the system was suspended for 100,000 s. Exits with 77 if this system
# does not let it.
set -u
if [ "${1-}" != --inside ]; then
    for program in unshare ip tc; do command -v $program >/dev/null 2>&1 || exit 77; done
    unshare -n -T --boottime 100000 --fork sh "$0" --inside true 2>/dev/null || exit 77
    exec unshare -n -T --boottime 100000 --fork sh "$0" --inside "$@"
fi
shift
ip link set lo up mtu 1500 &&
    tc qdisc add dev lo root tbf rate 3200kbit burst 16kb limit 600kb || exit 77
UNSB_TEST_NETNS=1
export UNSB_TEST_NETNS
exec "$@"
