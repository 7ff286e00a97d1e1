"""Other libraries' sources from Debian, unpacked beneath the build directory. apt's own lists and
caches are not touched: it is given a directory of its own."""
import glob
import os
import subprocess

LIST = """Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: %s
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

# name: (Debian's source package, or 'deb:' and a binary one; what to unpack)
PACKAGES = {
    'cJSON': ('cjson', ['*/cJSON.c', '*/cJSON.h']),
    'http-parser': ('http-parser', ['*/http_parser.c', '*/http_parser.h']),
    'picohttpparser': ('libhttp-parser-xs-perl', ['*/picohttpparser.c', '*/picohttpparser.h']),
    'mbedTLS': ('mbedtls', ['*/include/mbedtls/*.h', '*/library/*.h', '*/library/base64.c',
                            '*/library/constant_time.c']),
    'mongoose': ('swupdate', ['*/mongoose/mongoose.c', '*/mongoose/mongoose.h']),
    'jsmn': ('deb:libjsmn-dev', []),
    'llhttp': ('deb:node-llhttp', []),
}


class Peers:
    def __init__(self, build):
        self.root = os.path.join(build, 'peers')
        self.apt_root = os.path.join(build, 'apt')
        self.missing = {}
        self.versions = {}
        self.ready = False

    def apt(self, *arguments):
        options = ['Dir::Etc::sourcelist=' + self.apt_root + '/list.sources',
                   'Dir::Etc::sourceparts=/dev/null', 'Dir::State::lists=' + self.apt_root + '/lists',
                   'Dir::Cache=' + self.apt_root + '/cache', 'APT::Sandbox::User=']
        command = ['apt-get', '-q'] + [x for o in options for x in ('-o', o)] + list(arguments)
        return subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, timeout=120,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def prepare(self):
        for name in ('lists/partial', 'cache/archives/partial'):
            os.makedirs(os.path.join(self.apt_root, name), exist_ok=True)
        codename = 'bookworm'
        with open('/etc/os-release', encoding='utf-8') as f:
            for line in f:
                if line.startswith('VERSION_CODENAME='):
                    codename = line.split('=')[1].strip()
        with open(os.path.join(self.apt_root, 'list.sources'), 'w', encoding='ascii') as f:
            f.write(LIST % codename)
        self.apt('update')
        self.ready = True

    def get(self, name):
        """The directory of a peer's sources, or None."""
        package, wanted = PACKAGES[name]
        directory = os.path.join(self.root, name)
        if not os.path.exists(directory + '/version'):
            try:
                self.fetch(package, wanted, directory)
            except (OSError, subprocess.SubprocessError) as error:
                self.missing[name] = str(error)
                return None
        with open(directory + '/version', encoding='ascii') as f:
            self.versions[name] = f.read()
        return directory

    def fetch(self, package, wanted, directory):
        os.makedirs(directory, exist_ok=True)
        if not self.ready:
            self.prepare()
        binary = package.startswith('deb:')
        package = package.replace('deb:', '')
        if binary:
            said = self.apt('download', package)
            found = glob.glob(self.root + '/' + package + '_*.deb')
        else:
            said = self.apt('source', '--download-only', package)
            found = glob.glob(self.root + '/' + package + '_*.orig.tar.*')
        if not found:
            raise OSError('not to be had from Debian: ' + said.stdout.strip().split('\n')[-1])
        if binary:
            subprocess.run(['dpkg', '-x', found[0], directory], check=True)
        else:
            subprocess.run(['tar', '-xf', found[0], '-C', directory, '--strip-components=1',
                            '--wildcards'] + wanted, check=True)
        version = os.path.basename(found[0]).split('_')[1].replace('.orig.tar', '')
        for ending in ('.gz', '.xz', '.bz2'):
            version = version.removesuffix(ending)
        with open(directory + '/version', 'w', encoding='ascii') as f:
            f.write(package + ' ' + version.replace('%3a', ':').replace('%2b', '+'))
