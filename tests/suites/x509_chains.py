"""Chains of certificates for each rule of ports/unsandbox_x509.h, good and bad.

usage: x509_chains.py DIRECTORY

Certificates are put together here, byte by byte, as no tool makes bad ones; keys and signatures are
OpenSSL's. All leaves have the key leaf.key. Into DIRECTORY go, for each case,

    NAME.chain   what a server sends: each certificate, behind three bytes of length
    cases.list   a line each: NAME HOST ANCHORS VERDICT FAULT
                 ANCHORS names a PEM file, VERDICT is "good" or "bad", FAULT the number that the
                 walker of unsandbox_x509.h finds in the path from the leaf on (0: none)

and the anchors, as PEM and as .der.
"""
import base64
import os
import subprocess
import sys
import time

# ---- DER ----


def tlv(tag, *parts):
    body = b''.join(parts)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    count = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | count]) + size.to_bytes(count, 'big') + body


def seq(*parts):
    return tlv(0x30, *parts)


def oid(text):
    first, second, *rest = [int(n) for n in text.split('.')]
    out = bytes([first * 40 + second])
    for n in rest:
        piece = [n & 0x7F]
        while n > 0x7F:
            n >>= 7
            piece.insert(0, n & 0x7F | 0x80)
        out += bytes(piece)
    return tlv(6, out)


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, 'big'))


def name(*attributes):
    """Common names; 'O=...' is an organisation."""
    return seq(*[tlv(0x31, seq(oid('2.5.4.10' if a.startswith('O=') else '2.5.4.3'),
                               tlv(0x0C, a[2 * a.startswith('O='):].encode())))
                 for a in attributes])


def dates(first=-1, last=30):
    return seq(*[tlv(0x17, time.strftime('%y%m%d%H%M%SZ', time.gmtime(time.time() + d * 86400))
                     .encode()) for d in (first, last)])


TRUE = tlv(1, b'\xff')


def extension(number, value, critical=False):
    return seq(oid(number), TRUE if critical else b'', tlv(4, value))


def dns(text):
    return tlv(0x82, text.encode())


def ip(*numbers):
    return tlv(0x87, bytes(numbers))


def directory(value):
    return tlv(0xA4, value)


def names(*entries):
    return extension('2.5.29.17', seq(*entries))


def subtrees(tag, bases):
    return tlv(tag, *[seq(b) if isinstance(b, bytes) else seq(*b) for b in bases]) if bases else b''


def constraints(permitted=(), excluded=(), critical=False):
    return extension('2.5.29.30', seq(subtrees(0xA0, permitted), subtrees(0xA1, excluded)),
                     critical)


def authority(path_length=None, is_ca=True):
    return extension('2.5.29.19', seq(TRUE if is_ca else b'',
                                      b'' if path_length is None else integer(path_length)), True)


def usage(bits):
    return extension('2.5.29.15', tlv(3, bytes([0, bits])), True)


def purposes(*numbers, critical=False):
    return extension('2.5.29.37', seq(*[oid(n) for n in numbers]), critical)


SIGN = 0x06  # keyCertSign, cRLSign
SERVER, CLIENT, CODE = ['1.3.6.1.5.5.7.3.%d' % n for n in (1, 2, 3)]
ANY = '2.5.29.37.0'
BY_EC = seq(oid('1.2.840.10045.4.3.2'))
BY_EC_384 = seq(oid('1.2.840.10045.4.3.3'))
BY_RSA = seq(oid('1.2.840.113549.1.1.11'), tlv(5))
BY_RSA_BARE = seq(oid('1.2.840.113549.1.1.11'))

# ---- keys and certificates ----


def openssl(*arguments, text=None):
    return subprocess.run(['openssl', *arguments], input=text, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Key:
    def __init__(self, label, bits=0):
        self.file = label + '.key'
        self.rsa = bits != 0
        options = ['RSA', '-pkeyopt', 'rsa_keygen_bits:%d' % bits] if bits else \
            ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256']
        openssl('genpkey', '-algorithm', *options, '-out', self.file)
        self.public = openssl('pkey', '-in', self.file, '-pubout', '-outform', 'DER')

    def sign(self, data):
        return openssl('dgst', '-sha256', '-sign', self.file, text=data)


class Certificate:
    serial = 0

    def __init__(self, subject, key, issuer=None, extensions=(), version=2, inner=None, outer=None,
                 behind=b'', spoil=False, valid=None, key_bytes=None):
        """`issuer` None: itself. `behind`: after its end. `spoil`: its signature is not right."""
        Certificate.serial += 1
        self.subject, self.key = subject, key
        signer = (issuer or self).key
        by = BY_RSA if signer.rsa else BY_EC
        body = seq(tlv(0xA0, integer(version)) if version else b'',
                   integer(0x1000 + Certificate.serial), inner or by, (issuer or self).subject,
                   valid or dates(), subject, key_bytes or key.public,
                   tlv(0xA3, seq(*extensions)) if extensions else b'')
        signature = signer.sign(body + b'x' if spoil else body)
        self.der = seq(body, outer or by, tlv(3, b'\0' + signature)) + behind
        self.bare = self.der[:len(self.der) - len(behind)]


KEYS = {}


def key(label, bits=0):
    if label not in KEYS:
        KEYS[label] = Key(label, bits)
    return KEYS[label]


def ca(label, issuer=None, *extra, basic=None, bits=0, sign=True, **more):
    extensions = [authority() if basic is None else basic] + ([usage(SIGN)] if sign else [])
    return Certificate(more.pop('subject', name(label)), key(label, bits), issuer,
                       [e for e in extensions if e] + list(extra), **more)


GOOD = names(dns('good.test'))


def leaf(issuer, *extra, san=GOOD, subject=None, **more):
    return Certificate(name('leaf') if subject is None else subject, key('leaf'), issuer,
                       ([san] if san else []) + list(extra), **more)


# ---- cases ----

OK, MALFORMED, VERSION, TWICE, ALGORITHMS, WEAK, PURPOSE, CONSTRAINT, LIMIT = range(9)
CASES = []


def case(label, chain, verdict, fault=OK, host='good.test', anchors='root'):
    assert label not in [c[0] for c in CASES]
    with open(label + '.chain', 'wb') as file:
        for c in chain:
            file.write(len(c.der).to_bytes(3, 'big') + c.der)
    CASES.append((label, host, anchors, verdict, fault))


def good(label, *chain, **more):
    case(label, chain, 'good', **more)


def bad(label, *chain, **more):
    case(label, chain, 'bad', **more)


def anchor(label, *certificates):
    with open(label + '.pem', 'w', encoding='ascii') as file:
        for c in certificates:
            file.write('-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n' %
                       base64.encodebytes(c.der).decode())
    for c in certificates[:1]:
        with open(label + '.der', 'wb') as file:
            file.write(c.der)


def plain_chains(root):
    sub, last = ca('sub', root), ca('last', root, basic=authority(0))
    deep = ca('deep', sub)
    deeper = ca('deeper', deep)
    good('direct', leaf(root))
    good('one_issuer', leaf(sub), sub)
    good('three_issuers', leaf(deeper), deeper, deep, sub)
    good('path_length_met', leaf(last), last)
    below = ca('below', last)
    bad('path_length_exceeded', leaf(below), below, last)
    not_ca = ca('not_ca', root, basic=authority(is_ca=False))
    bad('no_authority', leaf(not_ca), not_ca)
    silent = Certificate(name('silent'), key('silent'), root, [usage(SIGN)])
    bad('basic_constraints_missing', leaf(silent), silent)
    old = Certificate(name('old'), key('old'), root, version=0)
    bad('issuer_of_version_1', leaf(old), old)
    unsigning = ca('unsigning', root, usage(0x80), sign=False)
    bad('issuer_without_key_cert_sign', leaf(unsigning), unsigning)
    usageless = ca('usageless', root, sign=False)
    good('issuer_without_key_usage', leaf(usageless), usageless)
    bad('signature_of_the_leaf', leaf(root, spoil=True))
    spoilt = ca('spoilt', root, spoil=True)
    bad('signature_of_the_issuer', leaf(spoilt), spoilt)
    expired = ca('expired', root, valid=dates(-20, -10))
    bad('expired_issuer', leaf(expired), expired)
    unknown = ca('unknown', root, extension('1.2.3.4', tlv(5), True))
    bad('unknown_critical_in_issuer', leaf(unknown), unknown)


def orders(root):
    sub = ca('sub', root)
    deep = ca('deep', sub)
    deeper = ca('deeper', deep)
    other = ca('other')
    again = ca('sub', subject=name('sub'))  # the same name and key, signed by itself
    end = leaf(deeper)
    good('order_root_appended', leaf(sub), sub, root)
    good('order_root_first', leaf(sub), root, sub)
    good('order_reversed', end, sub, deep, deeper)
    good('order_mixed', end, deep, sub, deeper)
    good('order_leaf_twice', leaf(sub), leaf(sub), sub)
    good('order_issuer_twice', end, deeper, deeper, deep, deep, sub)
    good('order_stranger', leaf(sub), other, sub)
    good('order_self_issued', leaf(sub), again, sub)
    large = [ca('large', root, extension('1.2.3.4', tlv(4, bytes(4200)))),
             ca('larger', None, extension('1.2.3.4', tlv(4, bytes(4000))))]
    good('order_large', leaf(sub), *large, sub)
    good('order_too_large', leaf(large[0]), large[1], large[0])
    bad('order_issuer_missing', end, deeper, sub)
    bad('order_strangers_alone', end, other, other)


def constraint_chains(root):
    def chain(label, verdict, permitted=(), excluded=(), critical=False, fault=OK, san=GOOD,
              host='good.test', **more):
        issuer = ca('constrained', root, constraints(permitted, excluded, critical))
        case(label, (leaf(issuer, san=san, **more), issuer), verdict, fault=fault, host=host)

    out = ('bad', CONSTRAINT)
    for critical in (False, True):
        how = '_critical' if critical else ''
        for label, verdict, permitted, excluded in (
                ('name_permitted', ('good', OK), [dns('good.test')], []),
                ('name_not_permitted', out, [dns('other.test')], []),
                ('name_excluded', out, [], [dns('good.test')]),
                ('name_not_excluded', ('good', OK), [], [dns('other.test')])):
            chain('nc_' + label + how, verdict[0], permitted, excluded, critical, verdict[1])
    good_one, two = dns('good.test'), names(dns('good.test'), dns('other.test'))
    chain('nc_domain_permitted', 'good', [dns('test')])
    chain('nc_domain_excluded', *out[:1], [], [dns('test')], fault=CONSTRAINT)
    chain('nc_capitals', 'good', [dns('GOOD.Test')])
    chain('nc_part_of_a_label', 'bad', [dns('ood.test')], fault=CONSTRAINT)
    chain('nc_longer_than_the_name', 'bad', [dns('a.good.test')], fault=CONSTRAINT)
    chain('nc_all_names', 'good', [dns('')])
    chain('nc_no_names', 'bad', [], [dns('')], fault=CONSTRAINT)
    chain('nc_leading_dot', 'good', [dns('.test')])
    chain('nc_leading_dot_name_itself', 'bad', [dns('.good.test')], fault=CONSTRAINT)
    chain('nc_leading_dot_excluded', 'bad', [], [dns('.test')], fault=CONSTRAINT)
    chain('nc_two_names_permitted', 'good', [good_one, dns('other.test')], san=two)
    chain('nc_second_name_not_permitted', 'bad', [good_one], fault=CONSTRAINT, san=two)
    chain('nc_second_name_excluded', 'bad', [], [dns('other.test')], fault=CONSTRAINT, san=two)
    chain('nc_permitted_but_excluded', 'bad', [dns('test')], [good_one], fault=CONSTRAINT)
    wild = names(dns('*.good.test'))
    chain('nc_wildcard_permitted', 'good', [good_one], san=wild, host='a.good.test')
    chain('nc_wildcard_wider_than_permitted', 'bad', [dns('a.good.test')], san=wild,
          host='a.good.test', fault=CONSTRAINT)
    chain('nc_wildcard_excluded', 'bad', [], [dns('a.good.test')], san=wild, host='b.good.test',
          fault=CONSTRAINT)
    home = names(ip(127, 0, 0, 1))
    both = names(dns('good.test'), ip(192, 0, 2, 1))
    chain('nc_address_permitted', 'good', [ip(127, 0, 0, 0, 255, 0, 0, 0)], san=home,
          host='127.0.0.1')
    chain('nc_address_not_permitted', 'bad', [ip(10, 0, 0, 0, 255, 0, 0, 0)], san=home,
          host='127.0.0.1', fault=CONSTRAINT)
    chain('nc_address_excluded', 'bad', [], [ip(127, 0, 0, 0, 255, 255, 255, 0)], san=home,
          host='127.0.0.1', fault=CONSTRAINT)
    chain('nc_address_not_excluded', 'good', [], [ip(127, 0, 0, 2, 255, 255, 255, 255)], san=home,
          host='127.0.0.1')
    chain('nc_address_of_the_other_family', 'bad', [tlv(0x87, bytes(32))], san=home,
          host='127.0.0.1', fault=CONSTRAINT)
    chain('nc_address_beside_a_name', 'bad', [good_one, ip(10, 0, 0, 0, 255, 0, 0, 0)], san=both,
          fault=CONSTRAINT)
    chain('nc_addresses_leave_names_alone', 'good', [ip(10, 0, 0, 0, 255, 0, 0, 0)])
    chain('nc_mask_with_a_gap', 'bad', [ip(127, 0, 0, 1, 255, 0, 0, 255)], san=home,
          host='127.0.0.1', fault=CONSTRAINT)
    chain('nc_address_without_a_mask', 'bad', [ip(127, 0, 0, 1)], san=home, host='127.0.0.1',
          fault=CONSTRAINT)
    there, here = name('O=there'), name('O=here')
    inside = name('O=here', 'leaf')
    chain('nc_directory_permitted', 'good', [directory(here)], subject=inside)
    chain('nc_directory_not_permitted', 'bad', [directory(there)], subject=inside,
          fault=CONSTRAINT)
    chain('nc_directory_excluded', 'bad', [], [directory(here)], subject=inside, fault=CONSTRAINT)
    chain('nc_directory_without_subject', 'good', [directory(there)], subject=name())
    chain('nc_directory_as_alternative', 'bad', [directory(here)], subject=inside,
          san=names(dns('good.test'), directory(there)), fault=CONSTRAINT)
    mail, uri = tlv(0x81, b'a@good.test'), tlv(0x86, b'https://good.test/')
    chain('nc_mail_without_mail', 'good', [tlv(0x81, b'other.test')])
    chain('nc_mail', 'bad', [tlv(0x81, b'other.test')], san=names(good_one, mail),
          fault=CONSTRAINT)
    chain('nc_uri', 'bad', [], [tlv(0x86, b'.good.test')], san=names(good_one, uri),
          fault=CONSTRAINT)
    chain('nc_minimum', 'bad', [(dns('good.test'), tlv(0x80, b'\x01'))], fault=CONSTRAINT)
    chain('nc_maximum', 'bad', [(dns('good.test'), tlv(0x81, b'\x01'))], fault=CONSTRAINT)
    chain('nc_subtree_of_nothing', 'bad', [()], fault=MALFORMED)
    bad('nc_in_the_leaf', leaf(root, constraints([dns('good.test')])), fault=CONSTRAINT)
    top = ca('top', root, constraints([dns('other.test'), directory(name('O=here'))]))
    middle = ca('middle', top)
    bad('nc_two_above', leaf(middle), middle, top, fault=CONSTRAINT)
    top = ca('top', root, constraints([dns('good.test'), directory(name('O=here'))]))
    middle = ca('middle', top, subject=name('O=there', 'middle'))
    bad('nc_directory_of_an_issuer', leaf(middle, subject=inside), middle, top, fault=CONSTRAINT)
    middle = ca('middle', top, subject=name('O=here', 'middle'))
    good('nc_directories_of_all', leaf(middle, subject=inside), middle, top)
    narrow = ca('narrow', root, constraints([dns('test')]))
    narrower = ca('narrower', narrow, constraints([dns('good.test')]))
    good('nc_narrowed_twice', leaf(narrower), narrower, narrow)
    narrower = ca('narrower', narrow, constraints([dns('other.test')]))
    bad('nc_narrowed_to_others', leaf(narrower), narrower, narrow, fault=CONSTRAINT)
    many = names(*[dns('host-%02d.good.test' % i) for i in range(40)], dns('good.test'))
    good('many_names', leaf(root, san=many))
    chain('nc_too_many_names', 'bad', [dns('good.test')], san=many, fault=LIMIT)
    # to the byte: 512 are the names, 3 more for each, and the base that they are compared with
    taken = sum(3 + len(n) - 2 for n in (name('leaf'), name('constrained'), dns('good.test')))
    for more, verdict, fault in ((0, 'good', OK), (1, 'bad', LIMIT)):
        last = 512 - taken - 3 - len('good.test') + more
        chain('nc_names_fit_%d' % more, verdict, [dns('good.test')],
              san=names(dns('good.test'), tlv(0x82, b'.good.test'.rjust(last, b'a'))), fault=fault)


def purpose_chains(root):
    for label, verdict, uses in (('server', 'good', [SERVER]), ('any', 'good', [ANY]),
                                 ('client', 'bad', [CLIENT]), ('code', 'bad', [CODE]),
                                 ('client_and_server', 'good', [CLIENT, SERVER])):
        for critical in (False, True):
            issuer = ca('purposeful', root, purposes(*uses, critical=critical))
            case('purpose_of_issuer_%s%s' % (label, '_critical' if critical else ''),
                 (leaf(issuer), issuer), verdict, PURPOSE if verdict == 'bad' else OK)
    top = ca('clients', root, purposes(CLIENT))
    middle = ca('servers', top, purposes(SERVER))
    bad('purpose_two_above', leaf(middle), middle, top, fault=PURPOSE)
    bad('purpose_none', leaf(root, purposes()), fault=PURPOSE)
    bad('purpose_of_leaf', leaf(root, purposes(CLIENT, CODE)), fault=PURPOSE)
    good('purpose_of_leaf_critical', leaf(root, purposes(SERVER, critical=True)))
    bad('purpose_of_leaf_client_critical', leaf(root, purposes(CLIENT, critical=True)),
        fault=PURPOSE)
    good('purpose_of_leaf_among_others', leaf(root, purposes(CLIENT, SERVER)))


def form_chains(root):
    sub = ca('sub', root)
    odd = extension('1.2.3.4', tlv(5))
    bad('twice_unknown', leaf(root, odd, odd), fault=TWICE)
    bad('twice_names', leaf(root, names(dns('other.test'))), fault=TWICE)
    bad('twice_names_first_other', leaf(root, GOOD, san=names(dns('other.test'))), fault=TWICE)
    twice = ca('twice', root, authority())
    bad('twice_basic_constraints', leaf(twice), twice, fault=TWICE)
    twice = ca('twice', root, constraints([dns('test')]), constraints([dns('good.test')]))
    bad('twice_constraints', leaf(twice), twice, fault=TWICE)
    bad('version_1_with_extensions', leaf(root, version=0), fault=VERSION)
    bad('version_2_with_extensions', leaf(root, version=1), fault=VERSION)
    elder = ca('elder', root, version=0)
    bad('version_1_issuer_with_extensions', leaf(elder), elder, fault=VERSION)
    bad('version_1', leaf(root, san=None, version=0))
    bad('algorithms_differ', leaf(root, inner=BY_EC_384), fault=ALGORITHMS)
    differing = ca('differing', root, inner=BY_RSA)
    bad('algorithms_of_issuer_differ', leaf(differing), differing, fault=ALGORITHMS)
    bad('algorithm_parameters_differ', leaf(root, inner=seq(oid('1.2.840.10045.4.3.2'), tlv(5))),
        fault=ALGORITHMS)
    bad('behind_leaf', leaf(root, behind=b'\0'), fault=MALFORMED)
    bad('behind_leaf_many', leaf(sub, behind=sub.der), sub, fault=MALFORMED)
    trailing = ca('trailing', root, behind=b'\x05\0')
    bad('behind_issuer', leaf(trailing), trailing, fault=MALFORMED)
    bad('behind_names', leaf(root, extension('2.5.29.17', seq(dns('good.test')) + tlv(5)),
                             san=None), fault=MALFORMED)
    bad('extension_without_value', leaf(root, seq(oid('1.2.3.4'))), fault=MALFORMED)
    bad('length_not_shortest', leaf(root, extension(
        '2.5.29.17', b'\x30\x81\x0b' + dns('good.test')), san=None), fault=MALFORMED)
    bad('extensions_too_many', leaf(root, *[extension('1.2.3.%d' % n, tlv(5))
                                            for n in range(24)]), fault=LIMIT)
    good('extensions_many', leaf(root, *[extension('1.2.3.%d' % n, tlv(5)) for n in range(23)]))


def weak_chains(root):
    roots = {}
    for bits in (512, 1024, 2048):
        roots[bits] = ca('rsa_%d' % bits, bits=bits)
        anchor('rsa_%d' % bits, roots[bits], root)
    good('rsa_2048', leaf(roots[2048]), anchors='rsa_2048')
    bad('rsa_1024', leaf(roots[1024]), anchors='rsa_1024', fault=WEAK)
    bad('rsa_512', leaf(roots[512]), anchors='rsa_512', fault=WEAK)
    sub = ca('rsa_sub_1024', root, bits=1024)
    bad('rsa_1024_issuer', leaf(sub), sub, fault=WEAK)


def main():
    os.chdir(sys.argv[1])
    root = ca('root')
    anchor('root', root)
    for make in (plain_chains, orders, constraint_chains, purpose_chains, form_chains, weak_chains):
        make(root)
    # anchors that are not to be loaded, each with one that is
    for label, c in (('expired_anchor', ca('expired_anchor', valid=dates(-20, -10))),
                     ('future_anchor', ca('future_anchor', valid=dates(10, 20))),
                     ('constrained_anchor', ca('bound', None, constraints([dns('other.test')]))),
                     ('client_anchor', ca('clients_only', None, purposes(CLIENT))),
                     ('server_anchor', ca('servers_only', None, purposes(SERVER)))):
        anchor(label, c, root)
    with open('cases.list', 'w', encoding='ascii') as file:
        for c in CASES:
            file.write('%s %s %s %s %d\n' % c)


main()
