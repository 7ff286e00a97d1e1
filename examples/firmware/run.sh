#!/bin/sh
# Builds the device's three images and runs them under QEMU against the local service, over TLS:
#     sh examples/firmware/run.sh [ethernet|modem|tasks ...]
# It installs what is missing, stops what it started, and exits with 0 only if all went well.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
HERE=$ROOT/examples/firmware
WORK=$(mktemp -d) || exit 1
# shellcheck source=../../tests/lib.sh
. "$ROOT/tests/lib.sh"
# shellcheck source=functions.sh
. "$HERE/functions.sh"
trap 'stop_servers; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP

[ $# != 0 ] || set -- ethernet modem tasks
firmware_tools || die "no sources"
make_ca "$WORK/pki" && make_cert "$WORK/pki" localhost "DNS:localhost" || die "no certificates"
say "building"
firmware_make "$HERE/build" "$WORK/pki/ca.pem" IMAGES="$*" || die "the images do not build"
public=unsb-pk-devic-vault-unlck-12345 secret=unsb-sk-devic-vault-unlck-12345
start_server URL --tls "$WORK/pki/localhost.pem" "$WORK/pki/localhost.key" \
    --dialect live --signed-only --key-pair $public $secret
start_peer MODEM python3 -B "$HERE/modem.py"

failed=0
for image in "$@"; do
    say ""; say "== $image"
    wire=ethernet
    [ "$image" != modem ] || wire=modem:$MODEM
    sh "$HERE/qemu.sh" "$wire" "$HERE/build/$image.elf" localhost "${URL##*:}" \
        $public $secret ||
        { say "FAILED: exit status $?"; failed=1; }
    say ""
    python3 -B "$HERE/sizes.py" "$HERE/build/$image.elf.map"
done
exit $failed
