"""Checks the manifests of ports/ by the rules of those who read them: manifests.py TREE LIBRARY,
where LIBRARY is what ports/make_arduino.sh made. Prints TAP."""
import json
import os
import re
import sys

import kconfiglib
import yaml

TREE, LIBRARY = sys.argv[1:3]
PORTS = os.path.join(TREE, 'ports')


def text(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


VERSION = re.search(r'^#define UNSB_VERSION_TEXT "(.*)"$', text(TREE, 'unsandbox.h'), re.M)[1]


def platformio():
    """PlatformIO, "library.json": fields, and what includeDir and srcFilter name."""
    m = json.loads(text(PORTS, 'library.json'))
    assert re.fullmatch(r'[^:/@<>]{1,50}', m['name']), m['name']
    assert m['version'] == VERSION, m['version']
    assert set(m) <= {'name', 'version', 'description', 'keywords', 'homepage', 'license',
                      'frameworks', 'platforms', 'headers', 'build'}, sorted(m)
    assert set(m['build']) <= {'includeDir', 'srcDir', 'srcFilter', 'flags'}, sorted(m['build'])
    where = [PORTS, os.path.join(PORTS, m['build']['includeDir'])]
    for header in m['headers']:
        assert any(os.path.isfile(os.path.join(d, header)) for d in where), header


def esp_idf():
    """ESP-IDF Component Manager, "idf_component.yml"."""
    m = yaml.safe_load(text(PORTS, 'esp-idf', 'unsandbox', 'idf_component.yml'))
    assert m['version'] == VERSION, m['version']
    assert set(m) <= {'version', 'description', 'url', 'license', 'dependencies'}, sorted(m)
    assert all(isinstance(m[k], str) for k in m if k != 'dependencies')
    assert m['dependencies'] == {'idf': '>=4.4'}, m['dependencies']


def zephyr_module():
    """Zephyr, "Modules": zephyr/module.yml in the module's root, where other paths start."""
    m = yaml.safe_load(text(PORTS, 'zephyr', 'module.yml'))
    assert set(m) == {'name', 'build'} and set(m['build']) == {'cmake', 'kconfig'}, m
    assert m['name'] == 'unsandbox', m['name']
    assert os.path.isfile(os.path.join(PORTS, m['build']['cmake'], 'CMakeLists.txt'))
    assert os.path.isfile(os.path.join(PORTS, m['build']['kconfig']))


def zephyr_kconfig():
    k = kconfiglib.Kconfig(os.path.join(PORTS, 'zephyr', 'Kconfig'), warn_to_stderr=False)
    assert not k.warnings, k.warnings
    option = k.syms['UNSANDBOX']
    assert option.str_value == 'n', 'not asked for, and there'
    option.set_value(2)
    assert option.str_value == 'y'


def arduino():
    """Arduino library specification 1.5: fields, categories and layout."""
    m = dict(line.split('=', 1) for line in text(LIBRARY, 'library.properties').splitlines())
    for field in ('name', 'version', 'author', 'maintainer', 'sentence', 'paragraph', 'category',
                  'url', 'architectures', 'includes'):
        assert m.get(field), field
    assert re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}', m['name']), m['name']
    assert m['version'] == VERSION, m['version']
    assert m['category'] in ('Display', 'Communication', 'Signal Input/Output', 'Sensors',
                             'Device Control', 'Timing', 'Data Storage', 'Data Processing', 'Other')
    for header in m['includes'].split(','):
        assert os.path.isfile(os.path.join(LIBRARY, 'src', header)), header
    for example in os.listdir(os.path.join(LIBRARY, 'examples')):
        assert os.path.isfile(os.path.join(LIBRARY, 'examples', example, example + '.ino'))
    present = os.listdir(os.path.join(LIBRARY, 'src'))
    for name in present:
        for included in re.findall(r'#include "([^"]*)"', text(LIBRARY, 'src', name)):
            assert included in present or '#ifndef' in text(LIBRARY, 'src', name), included


def versions():
    """Files that repeat the version, but for those above."""
    for name, pattern in (('unsandbox.pc', r'^Version: (.*)$'),
                          ('unsandbox-desktop.pc', r'^Version: (.*)$'),
                          ('unsandbox-desktop.pc', r'^Requires: unsandbox = ([^,]*),'),
                          ('meson.build', r"^unsandbox_version = '(.*)'$")):
        assert re.findall(pattern, text(PORTS, name), re.M) == [VERSION], name


for check in (platformio, esp_idf, zephyr_module, zephyr_kconfig, arduino, versions):
    try:
        check()
        print('ok - manifests: ' + check.__name__)
    except Exception as e:  # whatever it is: one check is one verdict
        print('not ok - manifests: %s\n#   %r' % (check.__name__, e))
