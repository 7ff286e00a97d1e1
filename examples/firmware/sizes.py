#!/usr/bin/env python3
"""What takes the flash and RAM of an image, by its linker map: sizes.py build/ethernet.elf.map"""

import re
import sys

PARTS = [  # the first that matches an input section's "name object" has it
    ("unsandbox.h", r"unsandbox\.o$"),
    ("its ports", r"\.(unsb|unsbi)_\S+ .*/main_\w+\.o$"),
    ("TLS state, record buffer, app", r"^\.bss\.d .*main_\w+\.o$"),
    ("BearSSL", r"bearssl\.a\("),
    ("lwIP", r"lwip\.a\("),
    ("mbedTLS", r"mbedtls\.a\("),
    ("C library, compiler's", r"(libc|libgcc|libm)\.a\("),
    ("programs that are sent", r"programs\.o$"),
    ("certificates", r"\.roots?\w* .*main_\w+\.o$"),
    ("the device's own", r""),
]
INPUT = re.compile(r"^ (\.\S+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", re.M)


def measure(path):
    """{part: [flash, RAM]} of all input sections that were kept."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = text[text.index("Linker script and memory map"):]
    # long names have lines of their own
    text = re.sub(r"^( \.\S+)\n +(?=0x)", r"\1 ", text, flags=re.M)
    sizes = {name: [0, 0] for name, _ in PARTS}
    for section, address, size, origin in INPUT.findall(text):
        if not re.match(r"\.(text|rodata|data|bss|vectors)|COMMON", section) or int(size, 16) == 0:
            continue
        name = next(n for n, p in PARTS if re.search(p, "%s %s" % (section, origin)))
        in_ram = int(address, 16) >= 0x20000000
        sizes[name][0] += int(size, 16) if not section.startswith((".bss", "COMMON")) else 0
        sizes[name][1] += int(size, 16) if in_ram else 0
    return sizes


def main():
    sizes = measure(sys.argv[1])
    print("%-30s %7s %7s" % ("", "flash", "RAM"))
    for name, (flash, ram) in sizes.items():
        if flash or ram:
            print("%-30s %7d %7d" % (name, flash, ram))
    print("%-30s %7d %7d" % ("all", sum(s[0] for s in sizes.values()),
                             sum(s[1] for s in sizes.values())))


main()
