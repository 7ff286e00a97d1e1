#!/bin/sh
# Makes a library for the Arduino IDE, arduino-cli or arduino-builder, which want their own layout:
#     sh make_arduino.sh DIRECTORY      for example ~/Arduino/libraries
# creates DIRECTORY/unsandbox, or replaces what it had made there. Zipped, that folder is what "Add
# .ZIP Library" takes.
set -eu
[ $# = 1 ] || { echo "usage: sh make_arduino.sh DIRECTORY" >&2; exit 2; }
ports=$(cd "$(dirname "$0")" && pwd)
root=$ports/..
library=$1/unsandbox
version=$(sed -n 's/^#define UNSB_VERSION_TEXT "\(.*\)"$/\1/p' "$root/unsandbox.h")
if [ -e "$library" ] && ! grep -q '^name=unsandbox$' "$library/library.properties"; then
    echo "$library is there, and is another library" >&2
    exit 1
fi
rm -rf "$library"
mkdir -p "$library/src" "$library/examples"
cp "$root/unsandbox.h" "$library/src"
for port in arduino bearssl mbedtls x509 address proxy roots; do
    cp "$ports/unsandbox_$port.h" "$library/src"
done
cp -R "$root/examples/arduino" "$library/examples/arduino"
cp "$root/LICENSE" "$library"
cat >"$library/library.properties" <<END
name=unsandbox
version=$version
author=unsandbox.h
maintainer=unsandbox.h
sentence=Runs code on unsandbox.com.
paragraph=Send source code; get its output and artifacts. Over any Client, without allocation.
category=Communication
url=https://unsandbox.com
architectures=*
includes=unsandbox.h,unsandbox_arduino.h
license=Unlicense OR MIT-0
END
