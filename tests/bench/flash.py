"""Flash: what linkers keep of the library for programs that use a part of it, by target."""
import os
import re
import subprocess
from concurrent import futures

FLAGS = ['-Os', '-gdwarf-4', '-ffunction-sections', '-fdata-sections']
FREESTANDING = os.path.join(os.path.dirname(__file__), '../compile/freestanding')
# target: (name, compiler, its flags, the linker's). Code must not lie at 0, where the line numbers of
# what the linker left out point to.
TARGETS = {
    'm0plus': ('Cortex-M0+', 'arm-none-eabi-gcc', ['-mthumb', '-mcpu=cortex-m0plus'],
               ['--specs=nosys.specs', '-Wl,-Ttext=0x8000']),
    'm4': ('Cortex-M4', 'arm-none-eabi-gcc', ['-mthumb', '-mcpu=cortex-m4'],
           ['--specs=nosys.specs', '-Wl,-Ttext=0x8000']),
    'rv32imc': ('RISC-V rv32imc', 'riscv64-unknown-elf-gcc',
                ['-march=rv32imc', '-mabi=ilp32', '--specs=picolibc.specs'],
                ['-Wl,--defsym=__flash=0x80000000,--defsym=__flash_size=0x100000,'
                 '--defsym=__ram=0x90000000,--defsym=__ram_size=0x100000']),
    'lx106': ('Xtensa (ESP8266)', 'xtensa-lx106-elf-gcc',
              ['-mlongcalls', '-ffreestanding', '-isystem', FREESTANDING],
              ['-nostdlib', '-Wl,--unresolved-symbols=ignore-all', '-Wl,-Ttext=0x8000']),
    'avr6': ('AVR atmega2560', 'avr-gcc', ['-mmcu=atmega2560'], ['-Wl,-Ttext=0x8000']),
}
OPTIONS = {  # of the programs that use a client
    'bare': ['-DUNSB_SIGNING=0', '-DUNSB_ERROR_TEXT=0'],
    'signing': ['-DUNSB_SIGNING=1', '-DUNSB_ERROR_TEXT=0'],
    'texts': ['-DUNSB_SIGNING=0', '-DUNSB_ERROR_TEXT=1'],
    'full': ['-DUNSB_SIGNING=1', '-DUNSB_ERROR_TEXT=1'],
}
# what each of these saves that is set to 0 (with what else must be), and all of them together
LEFT_OUT = {'UNSB_FILES': [], 'UNSB_ARTIFACTS': [], 'UNSB_SETTINGS': [], 'UNSB_NUMBERS': [],
            'UNSB_DETAILS': [], 'UNSB_RETRIES': [], 'UNSB_KEEP_ALIVE': [], 'UNSB_UTF8': [],
            'UNSB_JOBS': [], 'UNSB_LISTS': [], 'UNSB_KEYS': [], 'UNSB_RUN': [], 'UNSB_REQUEST': []}
SMALLEST = ['-D%s=0' % name for name in LEFT_OUT]
# peer: (sources, flags, includes, functions used, stubs, what it is compared with, what it is)
PEERS = {
    'picohttpparser': (['picohttpparser/picohttpparser.c'], ['-Ipicohttpparser'],
                       ['picohttpparser.h'], ['phr_parse_response', 'phr_decode_chunked'], '',
                       'http', 'response head and chunked; whole head in memory'),
    'http-parser': (['http_parser.c'], ['-I.'], ['http_parser.h'],
                    ['http_parser_init', 'http_parser_execute'], '', 'http', 'HTTP parser'),
    'llhttp': (['usr/share/llhttp/llhttp.c', 'usr/share/llhttp/http.c', 'usr/share/llhttp/api.c'],
               ['-Iusr/share/include/llhttp'], ['llhttp.h'],
               ['llhttp_settings_init', 'llhttp_init', 'llhttp_execute', 'llhttp_finish'], '', 'http',
               'HTTP parser'),
    'jsmn': ([], ['-Iusr/include'], ['jsmn.h'], ['jsmn_init', 'jsmn_parse'], '', 'json-reader',
             'tokens alone: no unescaping'),
    'cJSON': (['cJSON.c'], ['-I.'], ['cJSON.h'],
              ['cJSON_ParseWithLength', 'cJSON_PrintUnformatted', 'cJSON_Delete',
               'cJSON_CreateObject', 'cJSON_AddStringToObject', 'cJSON_GetObjectItem'], '',
              'json', 'parse and print; malloc, strtod, sscanf besides'),
    'mbedTLS': (['library/base64.c', 'library/constant_time.c'],
                ['-Iinclude', '-Ilibrary', '-DMBEDTLS_CONFIG_FILE="bench_config.h"'],
                ['mbedtls/base64.h'], ['mbedtls_base64_encode', 'mbedtls_base64_decode'], '',
                'base64', 'base64 both ways'),
    'mongoose': (['mongoose/mongoose.c'],
                 ['-Imongoose', '-DMG_ARCH=MG_ARCH_CUSTOM', '-DMG_ENABLE_SOCKET=0',
                  '-DMG_ENABLE_FILE=0', '-include', 'bench_platform.h'], ['mongoose.h'],
                 ['mg_mgr_init', 'mg_mgr_free', 'mg_http_connect', 'mg_printf', 'mg_send',
                  'mg_json_get_str', 'mg_json_get_long', 'mg_base64_encode', 'mg_base64_decode'],
                 'void mg_connect_resolved(struct mg_connection *c) {(void)c;}\n'
                 'bool mg_send(struct mg_connection *c, const void *p, size_t n)\n'
                 '{return mg_iobuf_add(&c->send, c->send.len, p, n) == n;}\n'
                 'bool mg_open_listener(struct mg_connection *c, const char *u)\n'
                 '{(void)c; (void)u; return 0;}\n'
                 'void mg_mgr_poll(struct mg_mgr *m, int ms) {(void)m; (void)ms;}\n',
                 'execute', 'HTTP client, JSON, base64; no sockets, TLS, JSON writer'),
}
FILES = {
    'bench_config.h': '#define MBEDTLS_BASE64_C\n',
    'bench_platform.h': ''.join('#include <%s.h>\n' % n for n in (
        'stdarg', 'stdbool', 'stddef', 'stdint', 'stdio', 'stdlib', 'string', 'ctype', 'errno',
        'limits', 'time')),
}
INPUT = re.compile(r'^ (\.\S+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$', re.M)
KEPT = re.compile(r'^\.(text|literal|rodata|srodata|progmem|data|sdata)\b')


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise SystemExit(' '.join(command) + '\n' + done.stdout)
    return done.stdout


class Linked:
    """One linked program: its input sections that take flash, by object."""

    def __init__(self, target, objects, output):
        _, compiler, flags, link_flags = TARGETS[target]
        # a program that is never started: the array `used` is what must be kept
        run([compiler] + flags + link_flags +
            ['-nostartfiles', '-Wl,--gc-sections', '-Wl,-u,used', '-Wl,-e,used',
             '-Wl,-Map=' + output + '.map', '-o', output] + objects)
        with open(output + '.map', encoding='utf-8') as f:
            text = f.read().split('Linker script and memory map', 1)[1]
        self.inputs = []
        for name, address, size, origin in INPUT.findall(text):
            if int(size, 16) and KEPT.match(name):
                self.inputs.append((name, int(address, 16), int(size, 16), origin))
        self.output = output
        self.target = target

    def size(self, objects):
        return sum(s for _, _, s, o in self.inputs if o in objects)

    def constants_in_ram(self, objects):
        """AVR's compilers copy constants to RAM, as flash is another address space there; on an
        ESP8266, whose flash is read by words alone, linker scripts do."""
        kinds = ('.data', '.rodata') if self.target in ('avr6', 'lx106') else ('.data', '.sdata')
        return sum(s for n, _, s, o in self.inputs if o in objects and n.startswith(kinds))

    def helpers(self, objects):
        found = {}
        for _, _, size, origin in self.inputs:
            if origin not in objects:
                match = re.search(r'\((?:lib_a-|libc_\w*?_)?([^()]*?)\.(?:o|obj|c\.o)\)$', origin)
                name = match.group(1) if match else os.path.basename(origin)
                found[name] = found.get(name, 0) + size
        return dict(sorted(found.items()))

    def by_section(self, header, objects):
        """Code by the line that it comes from, data by its name."""
        rows = []
        for line in run(['readelf', '--debug-dump=decodedline', '-W', self.output]).split('\n'):
            match = re.match(r'^(\S+)\s+(\d+)\s+0x([0-9a-f]+)', line) or \
                re.match(r'^(\S+)\s+(\d+)\s+(0)\b', line)
            if match:
                rows.append((int(match.group(3), 16), len(rows), match.group(1), int(match.group(2))))
        rows.sort()
        found = {}

        def add(section, size):
            if size:
                found[section] = found.get(section, 0) + size

        for name, address, size, origin in self.inputs:
            if origin not in objects:
                continue
            if name.startswith('.text'):
                end = address + size
                own = [r for r in rows if address <= r[0] < end]
                places = [r[0] for r in own] + [end]
                for i, (_, _, file, line) in enumerate(own):
                    section = header.section(line) if file.endswith('unsandbox.h') else 'other'
                    add(section, places[i + 1] - places[i])
                add('other', size if not own else own[0][0] - address)
            else:
                parts = name.split('.')
                symbol = parts[2] if len(parts) > 2 else ''
                section = 'strings' if '.str' in name else header.section_of(symbol)
                add(section or 'other data', size)
        order = header.tags + ['strings', 'other', 'other data']
        return {k: found[k] for k in order if k in found}


def use(path, includes, functions, stubs=''):
    """A program that uses the functions: an array of their addresses."""
    with open(path, 'w', encoding='ascii') as f:
        for name in includes:
            f.write('#include "%s"\n' % name)
        f.write('typedef void (*any)(void);\n' + stubs + 'extern const any used[];\n'
                'const any used[] = {%s};\n' % ', '.join('(any)%s' % n for n in functions))


def programs(header):
    """program: (the functions that it uses, whether the options matter to it)"""
    # without the two conveniences, which are little functions around it
    reader = [name for name in header.takes('unsb_json_reader', 'parts')
              if name not in ('unsb_json_read_copy', 'unsb_json_double')]
    writer = header.takes('unsb_json_writer', 'parts')
    client = header.takes('unsb_client')
    return {
        'base64': (header.takes('unsb_base64', 'parts'), False),
        'json-reader': (reader, False),
        'json-writer': (writer, False),
        'http': (header.takes('unsb_http', 'parts'), False),
        'execute': (['unsb_init', 'unsb_execute', 'unsb_error_text'], True),
        'operations': (client + ['unsb_error_text'], True),
        'everything': (header.api(), True),
    }


def measure_variant(header, source, build, target, name, defines):
    """The library built with some options, as far as these leave the functions there."""
    title, compiler, flags, _ = TARGETS[target]
    directory = os.path.join(build, 'flash', target)
    base = [compiler] + flags + FLAGS + ['-std=c99', '-I' + source] + OPTIONS['bare'] + defines
    library = '%s/library_%s.o' % (directory, name)
    run(base + ['-c', directory + '/library.c', '-o', library])
    declared = run(base + ['-E', '-P', directory + '/library.c'])
    found = {}
    for program in ('execute', 'operations'):
        functions = [f for f in programs(header)[program][0]
                     if re.search(r'\b%s(_\d+_\d+)?\(' % f, declared)]
        path = '%s/use_%s_%s' % (directory, program, name)
        use(path + '.c', ['unsandbox.h'], functions)
        run(base + ['-w', '-c', path + '.c', '-o', path + '.o'])
        found[program] = Linked(target, [path + '.o', library], path + '.elf').size([library])
    return found


def measure_target(header, source, build, target):
    title, compiler, flags, _ = TARGETS[target]
    directory = os.path.join(build, 'flash', target)
    os.makedirs(directory, exist_ok=True)
    found = {}
    base = [compiler] + flags + FLAGS + ['-std=c99', '-I' + source]
    with open(directory + '/library.c', 'w', encoding='ascii') as f:
        f.write('#define UNSANDBOX_IMPLEMENTATION\n#include "unsandbox.h"\n')
    for option, defines in OPTIONS.items():
        library = '%s/library_%s.o' % (directory, option)
        run(base + defines + ['-c', directory + '/library.c', '-o', library])
        for program, (functions, has_options) in programs(header).items():
            if not has_options and option != 'bare':
                continue
            key = program + '.' + option if has_options else program
            path = directory + '/use_' + key
            use(path + '.c', ['unsandbox.h'], functions)
            run(base + defines + ['-w', '-c', path + '.c', '-o', path + '.o'])
            linked = Linked(target, [path + '.o', library], path + '.elf')
            helpers = linked.helpers([path + '.o', library])
            found[key] = {'bytes': linked.size([library]),
                          'constants_in_ram': linked.constants_in_ram([library]),
                          'sections': linked.by_section(header, [library]),
                          'helper_bytes': sum(helpers.values()), 'helpers': helpers}
    left = measure_variant(header, source, build, target, 'smallest', SMALLEST)
    found['smallest.bare'] = {'bytes': left['execute'], 'constants_in_ram': 0, 'sections': {},
                              'helper_bytes': 0, 'helpers': {}}
    saved = {}
    if target == 'm0plus':
        for name, defines in list(LEFT_OUT.items()) + [('all of these', SMALLEST)]:
            if name in LEFT_OUT:
                defines = ['-D%s=0' % name] + defines
            less = measure_variant(header, source, build, target, name.replace(' ', '_'), defines)
            saved[name] = {p: found[p + '.bare']['bytes'] - less[p] for p in less}
    return {'title': title, 'programs': dict(sorted(found.items())), 'saved': saved}


def measure_ours(header, source, build):
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda t: measure_target(header, source, build, t), TARGETS)
        return dict(zip(TARGETS, results))


def measure_peers(peers, build):
    report = {}
    for name, (sources, flags, includes, functions, stubs, beside, what) in PEERS.items():
        directory = peers.get(name)
        if directory is None:
            continue
        entry = report[name] = {'beside': beside, 'what': what, 'version': peers.versions[name],
                                'bytes': {}, 'helper_bytes': {}}
        for file, text in FILES.items():
            with open(os.path.join(directory, file), 'w', encoding='ascii') as f:
                f.write(text)
        for target in ('m0plus', 'm4'):
            _, compiler, target_flags, _ = TARGETS[target]
            base = [compiler] + target_flags + FLAGS + ['-DNDEBUG', '-w', '-I.'] + flags
            out = os.path.join(build, 'flash', target, 'peer_' + name)
            # a header-only peer counts with the object that includes it, less the array
            use(out + '.c', includes, functions, stubs)
            run(base + ['-c', out + '.c', '-o', out + '.o'], cwd=directory)
            objects = []
            for source in sources:
                objects.append(out + '_' + os.path.basename(source) + '.o')
                run(base + ['-c', source, '-o', objects[-1]], cwd=directory)
            linked = Linked(target, [out + '.o'] + objects, out + '.elf')
            if sources:
                own = linked.size(objects)
            else:
                own = linked.size([out + '.o']) - 4 * len(functions)
            entry['bytes'][target] = own
            entry['helper_bytes'][target] = sum(linked.helpers([out + '.o'] + objects).values())
    return report
