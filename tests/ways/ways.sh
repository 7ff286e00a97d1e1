# The ways into a project of ports/README.md, each from an empty directory. Sourced by run.sh.

say "== ways in: CMake, pkg-config, Meson, and the manifests"
need "to use the library as other projects do" \
    "command -v cc" gcc "command -v c++" g++ "command -v make" make "command -v git" git \
    "command -v cmake" cmake "command -v meson" meson "command -v pkg-config" pkg-config \
    "$(has_header openssl/ssl.h)" libssl-dev "test -x /usr/bin/python3" python3 \
    "/usr/bin/python3 -c 'import yaml'" python3-yaml \
    "/usr/bin/python3 -c 'import kconfiglib'" python3-kconfiglib
ways=$WORK/ways
mkdir -p "$ways/log"
: >"$WORK/tap"

# ways_verdict NAME: of the command just run, whose output is in $ways/log/last
ways_verdict() {
    if [ $? = 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"; tail -n 12 "$ways/log/last" | sed 's/^/#   /'
    fi >>"$WORK/tap"
}

# ways_sub NAME COMMAND...: in a subshell, as these change the directory
ways_sub() {
    ways_name=$1; shift
    ("$@") >"$ways/log/last" 2>&1 </dev/null
    ways_verdict "$ways_name"
}

# ways_new NAME: makes an empty directory and goes there (to be called in a subshell)
ways_new() { mkdir "$ways/$1" && cd "$ways/$1" && cp "$ROOT"/tests/ways/*.c .; }

# ways_ran PROGRAM...: of core.c and desktop.c, as built
ways_ran() {
    for ways_program in "$@"; do
        case $ways_program in
            *core*) [ "$("$ways_program")" = "$ways_version 1" ] ;;
            *) "$ways_program" | grep -q '^opened: 0$' ;;
        esac || { echo "$ways_program does not run"; return 1; }
    done
}

ways_git() {
    git -c safe.directory='*' -c user.name=tests -c user.email=tests@localhost \
        -c core.autocrlf=false -c advice.detachedHead=false "$@"
}

# What is tracked, as it is now, committed in a repository of its own, and the release that git
# archive makes of that.
ways_release() {
    mkdir "$ways/repository" "$ways/tree" || return 1
    if [ -e "$ROOT/.git" ]; then
        (cd "$ROOT" && ways_git ls-files -z >"$ways/files" &&
            tar -cf - --null --ignore-failed-read -T "$ways/files" 2>/dev/null)
    else
        (cd "$ROOT" && tar -cf - --exclude=build --exclude=__pycache__ .)
    fi | (cd "$ways/repository" && tar -xf -) || return 1
    cd "$ways/repository" && ways_git init -q -b main && ways_git add -A &&
        ways_git commit -q -m release && ways_git tag v0 &&
        ways_git archive -o "$ways/release.tar" v0 && tar -xf "$ways/release.tar" -C "$ways/tree"
}

ways_superfluous() {
    # shellcheck disable=SC2012
    cd "$ways/tree" && ls -A | LC_ALL=C sort | tr '\n' ' ' >"$ways/top" &&
        cat "$ways/top" && echo &&
        { grep -qx 'LICENSE README.md examples ports tests unsandbox.h ' "$ways/top" ||
            grep -qx '.ci LICENSE README.md examples ports tests unsandbox.h ' "$ways/top"; } &&
        ! find . -mindepth 2 -name '.?*' ! -path './.ci*' | grep . &&
        ! find . -name build -o -name __pycache__ -o -name '*.o' -o -name '*.pyc' | grep . &&
        ! find . -size +400k | grep .
}

ways_cmake_lists() { # LANGUAGE LINE-OR-LINES: a user's CMakeLists.txt
    printf '%s\n' 'cmake_minimum_required(VERSION 3.18)' "project(user LANGUAGES $1)" "$2" \
        'add_executable(core core.c)' 'target_link_libraries(core PRIVATE unsandbox::unsandbox)' \
        'if(DESKTOP)' 'add_executable(desktop desktop.c)' \
        'target_link_libraries(desktop PRIVATE unsandbox::desktop)' 'endif()' >CMakeLists.txt
    [ "$1" = C ] || echo 'set_source_files_properties(core.c desktop.c PROPERTIES LANGUAGE CXX)' \
        >>CMakeLists.txt
}

ways_cmake() { # DIRECTORY LANGUAGE LINES CMAKE-ARGUMENT...
    ways_new "$1" && ways_cmake_lists "$2" "$3" || return 1
    shift 3
    cmake -Werror=dev -DDESKTOP=ON "$@" -B build . && cmake --build build &&
        ways_ran build/core build/desktop
}

ways_without_openssl() {
    ways_new without && ways_cmake_lists C "add_subdirectory(\"$ways/tree/ports\" lib)" &&
        cmake -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON -B build . && cmake --build build &&
        ways_ran build/core
}

# for Windows, whose libraries are others: what is built cannot be run here, that it links is enough
ways_windows() { # DIRECTORY LINES CMAKE-ARGUMENT...
    ways_new "$1" && ways_cmake_lists C "$2" || return 1
    shift 2
    cmake -Werror=dev -DDESKTOP=ON -DCMAKE_SYSTEM_NAME=Windows \
        -DCMAKE_C_COMPILER=x86_64-w64-mingw32-gcc "$@" -B build . && cmake --build build &&
        [ -s build/core.exe ] && [ -s build/desktop.exe ]
}

ways_windows_meson() {
    ways_new windows_meson && cp -R "$ways/tree" unsandbox &&
        printf '%s\n' '[binaries]' "c = 'x86_64-w64-mingw32-gcc'" \
            "strip = 'x86_64-w64-mingw32-strip'" '[host_machine]' "system = 'windows'" \
            "cpu_family = 'x86_64'" "cpu = 'x86_64'" "endian = 'little'" >cross.ini &&
        ways_meson_user "subdir('unsandbox/ports')" &&
        meson setup --fatal-meson-warnings --cross-file cross.ini build && ninja -C build &&
        [ -s build/desktop.exe ]
}

ways_install() {
    cd "$ways" && cmake -Werror=dev -S tree/ports -B installing &&
        cmake --install installing --prefix "$ways/prefix" &&
        find prefix -name 'template.h' | (! grep .) &&
        (cd tree && ls unsandbox.h ports/unsandbox*.h ports/unsandbox.hpp) |
            sed 's|.*/||' | sort >a &&
        (cd prefix/include && ls) | sort >b && cmp a b
}

# the plain install lines of ports/README.md, as they stand there
ways_install_line() {
    sed -n 's/^\(install .*\)/\1/p' "$ways/tree/ports/README.md" >"$ways/lines" &&
        [ "$(grep -c . "$ways/lines")" = 2 ] && cd "$ways/tree" &&
        prefix=$ways/plain sh -ex "$ways/lines" &&
        diff -r "$ways/plain/include" "$ways/prefix/include" &&
        diff -r "$ways/plain/share/pkgconfig" "$ways/prefix/share/pkgconfig"
}

ways_refused() { # a component that cannot be had is said so
    ways_new refused && ways_cmake_lists C 'find_package(unsandbox REQUIRED COMPONENTS desktop)' &&
        ! cmake -DCMAKE_PREFIX_PATH="$ways/prefix" -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON \
            -B build . >refusal 2>&1
    cat refusal
    tr -s ' \n' ' ' <refusal | grep -q 'component desktop is unknown, or needs OpenSSL 3'
}

ways_other_version() {
    ways_new other && ways_cmake_lists C 'find_package(unsandbox 99.0 REQUIRED)' &&
        ! cmake -DCMAKE_PREFIX_PATH="$ways/prefix" -B build .
}

ways_pkg_config() { # DIRECTORY PREFIX
    ways_new "$1" || return 1
    PKG_CONFIG_PATH=$2/share/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046
    pkg-config --validate unsandbox unsandbox-desktop &&
        [ "$(pkg-config --modversion unsandbox)" = "$ways_version" ] &&
        cc core.c -o core $(pkg-config --cflags --libs unsandbox) &&
        cc desktop.c -o desktop $(pkg-config --cflags --libs unsandbox-desktop) &&
        ways_ran ./core ./desktop
}

ways_meson_user() { # LINES: a user's meson.build
    printf '%s\n' "project('user', 'c', meson_version: '>=1.0')" "$@" \
        "executable('core', 'core.c', dependencies: unsandbox_dep)" \
        "executable('desktop', 'desktop.c', dependencies: unsandbox_desktop_dep)" >meson.build
}

ways_meson_run() {
    meson setup --fatal-meson-warnings build && ninja -C build && ways_ran build/core build/desktop
}

ways_meson_subdir() {
    ways_new meson_subdir && cp -R "$ways/tree" unsandbox &&
        ways_meson_user "subdir('unsandbox/ports')" && ways_meson_run
}

ways_meson_wrap() { # the wrap and its overlay are those of ports/README.md
    ways_new meson_wrap && mkdir -p subprojects/packagefiles/unsandbox &&
        sed -n '/^\[wrap-git\]/,/^```/p' "$ways/tree/ports/README.md" | grep -v '^```' |
        sed "s|^url = .*|url = file://$ways/repository|; s|^revision = .*|revision = v0|" \
            >subprojects/unsandbox.wrap &&
        sed -n "/^project('unsandbox'/,/^\`\`\`/p" "$ways/tree/ports/README.md" | grep -v '^```' \
            >subprojects/packagefiles/unsandbox/meson.build &&
        [ -s subprojects/packagefiles/unsandbox/meson.build ] &&
        ways_meson_user "unsandbox_dep = dependency('unsandbox')" \
            "unsandbox_desktop_dep = dependency('unsandbox-desktop')" && ways_meson_run
}

ways_esp_idf() {
    ways_new esp_idf &&
        cmake -DCOMPONENT="$ways/tree/ports/esp-idf/unsandbox" -DOUT="$PWD/dirs" \
            -P "$ROOT/tests/ways/esp_idf.cmake" && ways_with_dirs
}

ways_zephyr() {
    ways_new zephyr &&
        cmake -DMODULE="$ways/tree/ports/zephyr" -DOUT="$PWD/dirs" \
            -P "$ROOT/tests/ways/zephyr.cmake" && [ ! -s dirs ] &&
        cmake -DMODULE="$ways/tree/ports/zephyr" -DCONFIG_UNSANDBOX=y -DOUT="$PWD/dirs" \
            -P "$ROOT/tests/ways/zephyr.cmake" && ways_with_dirs
}

ways_with_dirs() { # core.c and desktop.c are compiled with the directories of the file dirs
    set --
    while read -r ways_dir; do set -- "$@" -I "$ways_dir"; done <dirs
    [ $# = 4 ] && cc "$@" core.c -o core && ways_ran ./core && cc "$@" -fsyntax-only desktop.c
}

ways_arduino() {
    cd "$ways" && mkdir libraries && sh tree/ports/make_arduino.sh libraries &&
        sh tree/ports/make_arduino.sh libraries && # again: it replaces its own
        mkdir -p strangers/unsandbox && : >strangers/unsandbox/kept &&
        ! sh tree/ports/make_arduino.sh strangers && [ -e strangers/unsandbox/kept ] &&
        c++ -x c++ -fsyntax-only -I libraries/unsandbox/src "$ROOT/tests/ways/core.c"
}

# arduino-builder finds the library by its properties. (GCC 5's float.h keeps a constant of the
# core's from C++.)
ways_arduino_builder() {
    mkdir "$ways/arduino_build" &&
        arduino-builder -compile -hardware /usr/share/arduino/hardware \
            -hardware /usr/share/arduino-builder -tools /usr/bin \
            -prefs compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__ \
            -libraries "$ways/libraries" -fqbn arduino:avr:mega:cpu=atmega2560 \
            -build-path "$ways/arduino_build" \
            "$ways/libraries/unsandbox/examples/arduino/arduino.ino" &&
        [ -s "$ways/arduino_build/arduino.ino.hex" ]
}

ways_version=$(sed -n 's/^#define UNSB_VERSION_TEXT "\(.*\)"$/\1/p' "$ROOT/unsandbox.h")
# No setting of the user's, no display, no network
GIT_CONFIG_GLOBAL=/dev/null CMAKE_BUILD_PARALLEL_LEVEL=2 CFLAGS=-O0 CXXFLAGS=-O0
export GIT_CONFIG_GLOBAL CMAKE_BUILD_PARALLEL_LEVEL CFLAGS CXXFLAGS
ways_sub "a release is made" ways_release
ways_sub "the release holds what it should, and no more" ways_superfluous
mv "$ways/tree" "$ways/a tree"
ways_sub "CMake: add_subdirectory, in a path with a space" \
    ways_cmake subdirectory C "add_subdirectory(\"$ways/a tree/ports\" unsandbox)"
mv "$ways/a tree" "$ways/tree"
ways_sub "CMake: add_subdirectory, without OpenSSL" ways_without_openssl
ways_sub "CMake: FetchContent" ways_cmake fetch C "include(FetchContent)
FetchContent_Declare(unsandbox GIT_REPOSITORY \"file://$ways/repository\" GIT_TAG v0
                     SOURCE_SUBDIR ports)
FetchContent_MakeAvailable(unsandbox)"
ways_sub "CMake: install" ways_install
ways_sub "CMake: find_package" ways_cmake find C \
    "find_package(unsandbox ${ways_version%.*} REQUIRED COMPONENTS desktop)" \
    "-DCMAKE_PREFIX_PATH=$ways/prefix"
ways_sub "CMake: find_package, of a C++ program" ways_cmake find_cxx CXX \
    "find_package(unsandbox REQUIRED)" "-DCMAKE_PREFIX_PATH=$ways/prefix"
ways_sub "CMake: find_package, a component that cannot be had" ways_refused
ways_sub "CMake: find_package, another version" ways_other_version
ways_sub "pkg-config" ways_pkg_config pkg_config "$ways/prefix"
ways_sub "install without CMake" ways_install_line
ways_sub "pkg-config, installed without CMake" ways_pkg_config pkg_config_plain "$ways/plain"
ways_sub "Meson: subdir" ways_meson_subdir
ways_sub "Meson: wrap" ways_meson_wrap
ways_sub "ESP-IDF: the component's directories" ways_esp_idf
ways_sub "Zephyr: the module's directories" ways_zephyr
ways_sub "Arduino: the library" ways_arduino
# shellcheck disable=SC2154
if $all; then
    need "to build a sketch with the Arduino library" "command -v arduino-builder" arduino-builder \
        "test -e /usr/share/arduino/hardware/arduino/avr/boards.txt" arduino-core-avr \
        "command -v avr-g++" gcc-avr "test -e /usr/lib/avr/include/avr/io.h" avr-libc
    need "to build for Windows" "command -v x86_64-w64-mingw32-gcc" gcc-mingw-w64-x86-64
    ways_sub "Windows: CMake, add_subdirectory" ways_windows windows \
        "add_subdirectory(\"$ways/tree/ports\" unsandbox)"
    ways_sub "Windows: CMake, find_package" ways_windows windows_find \
        "find_package(unsandbox REQUIRED COMPONENTS desktop)" \
        "-Dunsandbox_DIR=$ways/prefix/share/cmake/unsandbox"
    ways_sub "Windows: Meson" ways_windows_meson
    ways_sub "Arduino: arduino-builder takes the library and its example" ways_arduino_builder
fi
# the system's, which has the modules
/usr/bin/python3 -B ways/manifests.py "$ways/tree" "$ways/libraries/unsandbox" \
    >"$ways/log/last" 2>&1
grep -q '^ok' "$ways/log/last" || echo "not ok - manifests.py" >>"$WORK/tap"
cat "$ways/log/last" >>"$WORK/tap"
unset GIT_CONFIG_GLOBAL CMAKE_BUILD_PARALLEL_LEVEL CFLAGS CXXFLAGS
count "ways in"
