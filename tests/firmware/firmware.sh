# Firmware, run under QEMU; sourced by all.sh. The device of examples/firmware does its work over
# each of its networks; check.c, made of the same parts, meets what can go wrong; and flash, RAM and
# stack are held against tests/firmware/budget (UNSB_FIRMWARE_RECORD=1 records it anew).

say "== firmware for Cortex-M3, run under QEMU"
# shellcheck source=../../examples/firmware/functions.sh
. "$ROOT/examples/firmware/functions.sh"

firmware_tap() { # firmware_tap CONDITION WHAT: CONDITION for test(1)
    if eval "[ $1 ]"; then echo "ok - $2"; else echo "not ok - $2 ($1)"; fi
}

# The most that a figure of an image has been, over its runs.
firmware_figure() {
    awk -v name="$1" -v value="$2" '$1 == name {if ($2 + 0 > value + 0) value = $2; next} {print}
        END {print name, value}' "$firmware_figures" >"$firmware_figures.new" &&
        mv "$firmware_figures.new" "$firmware_figures"
}

firmware_runs() { # how many programs the service has started
    cat "$WORK/firmware.journal" 2>/dev/null | wc -l
}

# firmware_chain DIRECTORY DIGEST CA-KEY SERVER-KEY: an authority and a certificate for localhost,
# with other kinds of keys than make_ca and make_cert make
firmware_chain() {
    mkdir -p "$1" && printf 'subjectAltName=DNS:localhost\n' >"$1/localhost.ext" &&
        openssl req -x509 $3 "-$2" -nodes -days 2 -subj "/CN=authority ${1##*/}" \
            -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null &&
        openssl req $4 -nodes -subj /CN=localhost -keyout "$1/localhost.key" \
            -out "$1/localhost.csr" 2>/dev/null &&
        openssl x509 -req -in "$1/localhost.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" \
            -CAcreateserial "-$2" -days 2 -extfile "$1/localhost.ext" \
            -out "$1/localhost.pem" 2>/dev/null
}

# firmware_run IMAGE WIRE ARGUMENT...: output to $WORK/firmware.out, exit status to firmware_status
firmware_run() {
    firmware_image=$1
    shift
    firmware_wire=$1
    shift
    sh "$ROOT/examples/firmware/qemu.sh" "$firmware_wire" "$firmware/$firmware_image.elf" \
        localhost "$@" >"$WORK/firmware.out"
    firmware_status=$?
    firmware_stack=$(sed -n 's/^# stack: //p; s/^stack.*: \([0-9]*\) bytes.*/\1/p' \
        "$WORK/firmware.out" | sort -n | tail -n 1)
    firmware_figure "stack.$firmware_image" "${firmware_stack:-0}"
    firmware_heap=$(sed -n 's/^# heap: //p' "$WORK/firmware.out")
    [ -z "$firmware_heap" ] || firmware_figure "heap.$firmware_image" "$firmware_heap"
}

# firmware_device IMAGE WIRE: the device's whole work, judged by what it says
firmware_device() {
    before=$(firmware_runs)
    firmware_run "$1" "$2" "${URL##*:}"
    awk -v status=$firmware_status '
        function verdict(good, what) { print (good ? "ok" : "not ok") " - " what }
        function near(value, wanted, by) { return value > wanted - by && value < wanted + by }
        /^spectrum of 256 samples$/ {part = "spectrum"}
        /^trend of 1000 samples$/ {part = "trend"}
        /^image of / {part = "image"; size = $3}
        /^  missing: 0$/ {whole[part] = 1}
        /^  peak at / {peak[++peaks] = $3}
        /^  slope: / {slope = $2; low = $8; high = $10}
        /^  meanwhile sampled: / {meanwhile[part] = $3}
        /^  sha256: / {hash = $2}
        /^samples due: / {due = $3 + 0; missed = $5}
        /^samples late: / {late = $3 + 0; tasks = 1}
        END {
            verdict(status == 0, "it ends well (exit status " status ")")
            verdict(near(peak[1], 50000, 500) && near(peak[2], 120000, 500),
                "the spectrum has both tones: " peak[1] ", " peak[2] " mHz")
            verdict(near(slope, 200000, 5000) && low <= slope && slope <= high,
                "the trend has the drift: " slope " thousandths a second")
            verdict(whole["spectrum"] && whole["trend"], "no sample is missing from either")
            # a job is asked for after 300 ms at the soonest: 150 samples
            verdict(meanwhile["trend"] >= 150, "it sampled while the job ran: " meanwhile["trend"])
            verdict(due > 1000 && missed == "0", "of " due " samples none was missed: " missed)
            verdict(size > 4096 && length(hash) == 64, "the image in flash has the hash printed")
            if (tasks) verdict(late == 0, "the sampling task was never late")
        }' "$WORK/firmware.out" >"$WORK/tap"
    firmware_tap "$(($(firmware_runs) - before)) = 3" "the service ran three programs" >>"$WORK/tap"
    [ "$firmware_status" = 0 ] || sed 's/^/#   /' "$WORK/firmware.out" >>"$WORK/tap"
    count "device [$1]"
}

# firmware_check IMAGE WIRE PORT SCENARIO RUNS [WHAT]: a scenario, in which the service starts RUNS
# programs; WHAT says more for a figure
firmware_check() {
    before=$(firmware_runs)
    firmware_run "$1" "$2" "$3" "$4"
    grep -E '^(not )?ok - ' "$WORK/firmware.out"
    case $4 in call | resumed)
        sed -n "s/^# time: /# figures: $1, $4${6:+ ($6)}, at 32 ns an instruction: /p" \
            "$WORK/firmware.out" ;;
    esac
    if [ "$firmware_status" != 0 ]; then
        grep -q '^not ok' "$WORK/firmware.out" || echo "not ok - $4: exit status $firmware_status"
        sed 's/^/#   /' "$WORK/firmware.out"
    fi
    firmware_tap "$(($(firmware_runs) - before)) = $5" "$4: the service started $5 programs"
}

firmware_proxied() { # firmware_proxied IMAGE WIRE SCENARIO cut|stall
    start_peer PROXY python3 -B "$ROOT/tests/firmware/proxy.py" "${URL##*:}" "$4" 60000
    firmware_check "$1" "$2" "$PROXY" "$3" 2
}

firmware_matrix() { # firmware_matrix PORT...: what was just counted ran on this machine's model
    verdict=run
    [ "$f" = 0 ] && [ "$n" != 0 ] || verdict=failed
    for name in "$@"; do
        matrix_line "$name" "${FIRMWARE:-Cortex-M3 (QEMU)}" $verdict "$n checks"
    done
}

# What a budget names is bounded by it, and what is measured stands in it.
firmware_budget() {
    budget=$ROOT/tests/firmware/budget
    if [ -n "${UNSB_FIRMWARE_RECORD-}" ]; then
        { echo "# What the images may take, in bytes: see firmware.sh"
            sort "$firmware_figures" | awk '{print $1, int(($2 + 383) / 256) * 256}'; } >"$budget"
    fi
    awk 'NR == FNR {if ($1 != "#") most[$1] = $2; next}
        {good = $1 in most && $2 > 0 && $2 <= most[$1]
            print (good ? "ok" : "not ok") " - " $1 ": " $2 " of " most[$1]; delete most[$1]}
        END {for (name in most) print "not ok - " name ": not measured"}' \
        "$budget" "$firmware_figures"
    # to a hundredth: the certificate in an image is made anew each time
    awk -F '|' 'NR == FNR {split($0, f, " "); value[f[1]] = f[2]; next}
        function check(name, shown) {
            gsub(/[ ,]/, "", shown)
            d = shown - value[name]
            print ((d < 0 ? -d : d) * 100 <= value[name] ? "ok" : "not ok") " - README.md: " name \
                ": " shown ", measured: " value[name]
            n++
        }
        /^\| bytes \| over a modem/ {on = 1}
        on && /^\| flash/ {check("flash.modem", $3); check("flash.ethernet", $4)}
        on && /^\| of it `unsandbox.h`/ {check("flash.library.modem", $3)}
        on && /^\| RAM, variables/ {check("ram.modem", $3); check("ram.ethernet", $4)}
        on && /^\| RAM, stack/ {check("stack.modem", $3); check("stack.ethernet", $4); on = 0}
        END {if (n != 7) print "not ok - README.md: the table of the device"}' \
        "$firmware_figures" "$ROOT/README.md"
}

firmware=$BUILD/firmware
firmware_figures=$WORK/firmware.figures
: >"$firmware_figures"
firmware_pki=$WORK/firmware.pki
firmware_built=false
firmware_tools && source_package mbedtls "$CACHE/mbedtls" &&
    source_package mbedtls "$CACHE/mbedtls3" trixie &&
    make_ca "$firmware_pki" && make_cert "$firmware_pki" localhost "DNS:localhost" &&
    make_cert "$firmware_pki" elsewhere "DNS:elsewhere.example" &&
    make_ca "$firmware_pki/other" && make_cert "$firmware_pki/other" localhost "DNS:localhost" &&
    firmware_chain "$firmware_pki/rsa" sha256 "-newkey rsa:2048" "-newkey rsa:2048" &&
    firmware_chain "$firmware_pki/p384" sha384 "-newkey ec -pkeyopt ec_paramgen_curve:P-384" \
        "-newkey ec -pkeyopt ec_paramgen_curve:P-256" &&
    firmware_make "$firmware" \
        "$firmware_pki/ca.pem $firmware_pki/rsa/ca.pem $firmware_pki/p384/ca.pem" \
        -f ../../tests/firmware/Makefile MBEDTLS="$CACHE/mbedtls" MBEDTLS3="$CACHE/mbedtls3" \
        all checks \
        >"$WORK/make.log" 2>&1 && firmware_built=true
if $firmware_built; then
    start_server URL --tls "$firmware_pki/localhost.pem" "$firmware_pki/localhost.key" \
        --journal "$WORK/firmware.journal"
    start_server ELSEWHERE --tls "$firmware_pki/elsewhere.pem" "$firmware_pki/elsewhere.key"
    start_server STRANGER --tls "$firmware_pki/other/localhost.pem" \
        "$firmware_pki/other/localhost.key"
    start_server RSA --tls "$firmware_pki/rsa/localhost.pem" "$firmware_pki/rsa/localhost.key" \
        --journal "$WORK/firmware.journal"
    start_server P384 --tls "$firmware_pki/p384/localhost.pem" "$firmware_pki/p384/localhost.key" \
        --journal "$WORK/firmware.journal"
    start_peer MODEM python3 -B "$ROOT/examples/firmware/modem.py"

    if gcc -std=c11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Wall -Wextra \
        -Wpedantic -Wconversion -Wshadow -Werror -D_POSIX_C_SOURCE=200809L -I"$ROOT" \
        -I"$ROOT/tests/ports" -I"$ROOT/examples/firmware" "$ROOT/tests/firmware/line.c" \
        -o "$WORK/line" -lcmocka -lpthread 2>"$WORK/errors"; then
        printf '#!/bin/sh\nexec "%s" %s\n' "$WORK/line" "$MODEM" >"$WORK/modem_line"
        chmod +x "$WORK/modem_line"
        suite "the contract, sanitized" "$WORK/modem_line"
    else
        { echo "not ok - modem_line: the build"; sed 's/^/#   /' "$WORK/errors"; } >"$WORK/tap"
        count "firmware [modem_line]"
    fi

    firmware_device ethernet ethernet
    firmware_matrix core
    firmware_device modem "modem:$MODEM"
    firmware_device tasks ethernet

    port=${URL##*:}
    for image in check check_mbedtls check_mbedtls3; do
        {
            firmware_check $image ethernet "$port" call 1
            firmware_check $image ethernet "${ELSEWHERE##*:}" wrong-host 0
            firmware_check $image ethernet "${STRANGER##*:}" untrusted 0
            for scenario in expired not-yet-valid clock-not-set entropy-fails entropy-missing \
                no-anchors wrong-key; do
                firmware_check $image ethernet "$port" $scenario 0
            done
            firmware_check $image ethernet 1 refused 0
            firmware_proxied $image ethernet cut cut
            firmware_check $image ethernet "$port" resumed 4
            firmware_check $image ethernet "$port" twenty 20
            firmware_check $image ethernet "$port" upload 1
            firmware_check $image ethernet "$port" artifact 1
            [ $image != check ] || firmware_check $image ethernet "$port" small-records 1
            [ $image != check ] || firmware_proxied $image ethernet stalled stall
        } >"$WORK/tap"
        count "firmware [$image]"
        case $image in
            check) firmware_matrix bearssl lwip ;;
            check_mbedtls) firmware_matrix mbedtls ;;
            *) FIRMWARE="Cortex-M3 (QEMU), Mbed TLS 3.6 with TLS 1.3" firmware_matrix mbedtls ;;
        esac
    done
    {
        firmware_check check ethernet "${RSA##*:}" call 1 RSA
        firmware_check check_p384 ethernet "${P384##*:}" call 1 P-384
        firmware_check check ethernet "${P384##*:}" unsupported 0
    } >"$WORK/tap"
    count "firmware [RSA, P-384]"
    {
        firmware_check check_modem "modem:$MODEM" "$port" call 1
        firmware_check check_modem "modem:$MODEM" 1 refused 0
        firmware_proxied check_modem "modem:$MODEM" cut cut
        firmware_proxied check_modem "modem:$MODEM" stalled stall
        firmware_check check_modem "modem:$MODEM" "$port" twenty 20
        firmware_check check_modem "modem:$MODEM" "$port" resumed 4
    } >"$WORK/tap"
    count "firmware [check_modem]"

    for image in ethernet modem tasks; do
        python3 -B "$ROOT/examples/firmware/sizes.py" "$firmware/$image.elf.map" >"$WORK/sizes"
        # shellcheck disable=SC2046
        set -- $(awk '/^all / {print $2, $3} /^unsandbox.h / {print $2}' "$WORK/sizes")
        firmware_figure "flash.library.$image" "${1:-0}"
        firmware_figure "flash.$image" "${2:-0}"
        firmware_figure "ram.$image" "${3:-0}"
    done
    for image in check_mbedtls check_mbedtls3; do # TLS 1.2 and 1.3, all else alike
        python3 -B "$ROOT/examples/firmware/sizes.py" "$firmware/$image.elf.map" >"$WORK/sizes"
        # shellcheck disable=SC2046
        set -- $(awk '/^all / {print $2, $3}' "$WORK/sizes")
        firmware_figure "flash.$image" "${1:-0}"
        firmware_figure "ram.$image" "${2:-0}"
    done
    firmware_budget >"$WORK/tap"
    sed -n 's/^\([a-z]*\.check_mbedtls3*\) \(.*\)/# figures: \1: \2 bytes/p' "$firmware_figures" >>"$WORK/tap"
    count "firmware [budget]"
    stop_servers
else
    { echo "not ok - the images are built"
        tail -n 20 "$WORK/make.log" | sed 's/^/#   /'; } >"$WORK/tap"
    count "firmware"
fi
