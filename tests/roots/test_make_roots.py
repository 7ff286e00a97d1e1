"""ports/make_roots.py: what it takes, what it refuses and in which words."""

import base64
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "ports", "make_roots.py")

spec = importlib.util.spec_from_file_location("make_roots", SCRIPT)
make_roots = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_roots)

KEYS = {
    "p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "k1": ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "explicit": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt",
                 "ec_param_enc:explicit"],
    "rsa1024": ["rsa:1024"],
    "rsa2048": ["rsa:2048"],
    "pss": ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed25519": ["ed25519"],
}


def openssl(*arguments, data=None):
    return subprocess.run(("openssl",) + arguments, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True).stdout


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def put(self, name, data):
        with open(self.path(name), "wb") as handle:
            handle.write(data)
        return self.path(name)

    def get(self, path):
        with open(path, "rb") as handle:
            return handle.read()

    def certificate(self, name, key="p256", subject=None, ca=True, usage="keyCertSign",
                    reuse=False):
        """A self-signed certificate in a file of this name; made once."""
        path = self.path(name + ".pem")
        if not os.path.exists(path):
            subject = "/CN=" + name if subject is None else subject
            arguments = ["-addext", "basicConstraints=critical,CA:" + ("TRUE" if ca else "FALSE")]
            if usage:
                arguments += ["-addext", "keyUsage=critical," + usage]
            how = ["-key", self.path(key + ".key")] if reuse else \
                ["-newkey"] + KEYS[key] + ["-nodes", "-keyout", self.path(key + ".key")]
            openssl("req", "-x509", "-config", os.devnull, *how, "-days", "30", "-utf8", "-subj",
                    subject, *arguments, "-out", path)
        return path

    def run_script(self, *arguments, data=None):
        done = subprocess.run([sys.executable, "-B", SCRIPT] + list(arguments), input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout.decode("ascii"), done.stderr.decode()

    def good(self, *arguments, data=None):
        status, out, err = self.run_script(*arguments, data=data)
        self.assertEqual((status, err), (0, ""))
        return out

    def refused(self, words, *arguments, data=None, status=1):
        got, out, err = self.run_script(*arguments, data=data)
        self.assertEqual((got, out), (status, ""), err)
        self.assertIn(words, err)
        self.assertNotIn("Traceback", err)
        return err

    # ---- what is taken ----

    def test_every_key(self):
        for key in ("p256", "p384", "p521", "rsa2048"):
            path = self.certificate(key, key)
            text = self.good(path)
            self.assertIn("#define MY_ROOTS_%s MY_ROOTS_DEFAULT" % key.upper(), text)
            der = openssl("x509", "-in", path, "-outform", "DER")
            found = arrays(text)
            self.assertEqual(found["my_roots_i_%s_der" % key], der)
            public = openssl("pkey", "-pubin", "-outform", "DER",
                             data=openssl("x509", "-in", path, "-noout", "-pubkey"))
            if key == "rsa2048":
                self.assertIn(found["my_roots_i_rsa2048_key"][:256], public)
                self.assertEqual(found["my_roots_i_rsa2048_key"][256:], b"\1\0\1")
            else:
                self.assertTrue(public.endswith(found["my_roots_i_%s_key" % key]))
            self.assertIn(found["my_roots_i_%s_name" % key], der)
            fingerprint = openssl("x509", "-in", path, "-noout", "-fingerprint", "-sha256")
            self.assertIn(fingerprint.decode().strip().split("=")[1].replace(":", ""), text)

    def test_the_same_again(self):
        path = self.certificate("again")
        self.assertEqual(self.good(path), self.good(path))
        self.assertEqual(self.good("-", data=self.get(path)).replace(" -\n", " again.pem\n")
                         .replace("from -.", "from again.pem."), self.good(path))

    def test_names(self):
        path = self.certificate("name")
        text = self.good("--prefix", "office", "proxy=" + path)
        self.assertIn("#ifndef OFFICE_H\n", text)
        self.assertIn("br_x509_trust_anchor office[]", text)
        self.assertIn("#define OFFICE_PROXY OFFICE_DEFAULT", text)
        self.assertNotIn("unsb_roots", text)
        self.assertIn("#define MY_ROOTS_H_", self.good("H_1=" + path))
        odd = self.certificate("odd", subject="/O=Some Where/OU=4 u/CN= \\+a--b.c")
        self.assertIn("MY_ROOTS_A_B_C", self.good(odd))
        only_o = self.certificate("only_o", subject="/O=Some Where")
        self.assertIn("MY_ROOTS_SOME_WHERE", self.good(only_o))

    def test_a_subject_cannot_leave_the_comment(self):
        path = self.certificate("comment", subject="/CN=x *\\/ int evil; \\/* \u00dc\u2028 y")
        text = self.good(path)
        head = text[:text.index("#ifndef")]
        self.assertEqual(head.count("*/"), 1)
        self.assertEqual(head.count("/*"), 1)
        self.assertIn("\\u00dc\\u2028", head)

    def test_several_in_one_file_and_text_around(self):
        first, second = self.get(self.certificate("one")), self.get(self.certificate("two"))
        text = self.good(self.put("both.pem", b"\xef\xbb\xbfOne:\r\n" + first.replace(
            b"\n", b"\r\n") + b"\nand two\n" + second.replace(b"CERTIFICATE", b"X509 CERTIFICATE")))
        self.assertIn("compiled in: 2 of them", text)
        self.assertLess(text.index("MY_ROOTS_ONE"), text.index("MY_ROOTS_TWO"))

    def test_leaf_when_asked_for(self):
        path = self.certificate("leaf", ca=False)
        self.assertIn("NAME(my_roots_i_leaf_name), 0,", self.good("--allow-leaf", path))

    def test_output_file_survives_errors(self):
        path, out = self.certificate("out"), self.path("out.h")
        self.good("-o", out, path)
        before = self.get(out)
        self.assertIn(b"/* out.h - ", before)
        self.refused("not a certificate of an authority", "-o", out,
                     self.certificate("leaf", ca=False))
        self.assertEqual(self.get(out), before)
        self.assertEqual([name for name in os.listdir(self.folder.name) if "out.h" in name],
                         ["out.h"])
        self.refused("No such file", "-o", self.path("no/where.h"), path)

    def test_past_end_is_a_warning(self):
        der = openssl("x509", "-in", self.certificate("past"), "-outform", "DER")
        _, last = re.findall(rb"\x17\x0d([0-9]{12}Z)", der)
        path = self.put("old.pem", wrap(der.replace(last, b"190101000000Z")))
        status, out, err = self.run_script(path)
        self.assertEqual(status, 0)
        self.assertIn("until 2019-01-01;", out)
        self.assertIn("warning: %s: it ended 2019-01-01" % path, err)

    # ---- what is refused ----

    def test_no_authority(self):
        self.refused("its basicConstraints do not say CA", self.certificate("leaf", ca=False))
        self.refused("its keyUsage lacks keyCertSign",
                     self.certificate("usage", usage="digitalSignature"))
        self.good(self.certificate("no_usage", usage=None))

    def test_version_1(self):
        self.certificate("v1_key")
        request = openssl("req", "-new", "-key", self.path("p256.key"), "-subj", "/CN=v1",
                          "-config", os.devnull)
        pem = openssl("x509", "-req", "-signkey", self.path("p256.key"), "-days", "3", data=request)
        self.refused("version 1 has no basicConstraints", self.put("v1.pem", pem))

    def test_keys(self):
        for key, words in (("k1", "a curve that is not supported (1.3.132.0.10)"),
                           ("explicit", "a curve without a name"),
                           ("rsa1024", "its RSA key has 1024 bits; 2048 to 4096 are supported"),
                           ("pss", "not supported (RSA-PSS)"),
                           ("ed25519", "not supported (Ed25519)")):
            with self.subTest(key):
                self.refused(words, self.certificate(key, key))

    def test_pem(self):
        path = self.certificate("pem")
        pem = self.get(path)
        lines = pem.splitlines(True)
        der = openssl("x509", "-in", path, "-outform", "DER")
        for words, data in (
                ("this is DER, not PEM", der),
                ("no certificate in it", b""),
                ("no certificate in it", b"hello\n"),
                ("this is no text", b"\xff\xfe" + pem),
                ("the file ends within a block", b"".join(lines[:-1])),
                ("line 1: the end of a block that did not begin", lines[-1]),
                ("line 3: a block begins within another", b"".join(lines[:2]) + pem),
                ("line 2: a broken boundary", b"\n-----BEGIN CERTIFICATE----\n"),
                ("is not base64", pem.replace(lines[2], b"*" + lines[2])),
                ("is not base64", pem.replace(lines[2], lines[2][1:])),
                ("a private key", self.get(self.path("p256.key"))),
                ("another kind: TRUSTED CERTIFICATE",
                 pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")),
                ("the DER ends early", pem.replace(b"".join(lines[3:-1]), b"")),
                ("bytes too many after it", wrap(der + b"\0")),
                ("not a certificate", wrap(b"\x30\x00")),
                ("longer than need be", wrap(b"\x30\x83\x00" + der[2:])),
                ("a DER length that cannot be", wrap(b"\x30\x80" + der[2:]))):
            with self.subTest(words):
                self.refused(words, self.put("bad.pem", data))

    def test_places_are_told(self):
        pem = self.get(self.certificate("place")) + self.get(self.certificate("leaf", ca=False))
        self.assertIn("mixed.pem, certificate 2: not a certificate of an authority",
                      self.refused("", self.put("mixed.pem", pem)))
        self.refused("nowhere.pem: No such file or directory", self.path("nowhere.pem"))

    def test_duplicates(self):
        path = self.certificate("dup")
        copy = self.put("copy.pem", self.get(path))
        self.refused("the same certificate as " + path, path, "other=" + copy)
        other = self.certificate("dup_other", subject="/CN=dup/O=other")
        self.refused("the same name, DUP, as " + path, path, other)
        self.refused("the same name, X, as " + path, "x=" + path, "X=" + other)
        self.good(path, "dup2=" + other)
        renewed = self.certificate("renewed", subject="/CN=dup/O=other", reuse=True, usage=None)
        self.refused("the same subject and key as " + other, other, "renewed=" + renewed)
        both = self.put("dups.pem", self.get(path) + self.get(other))
        self.refused("one name for 2 certificates", "x=" + both)
        self.refused("in a file of its own", both)

    def test_arguments(self):
        path = self.certificate("arguments")
        for name in make_roots.RESERVED:
            self.refused("the name %s is taken" % name, name.lower() + "=" + path)
        self.refused("no double underscore", "a__b=" + path)
        self.refused("either files or --debian", status=2)
        self.refused("either files or --debian", "--debian", path, status=2)
        self.refused("--prefix takes", "--prefix", "Roots", path, status=2)
        self.refused("--date is not a date", "--date", "2026-02-30", path, status=2)
        self.refused("--directory goes with --debian", "--directory", "x", path, status=2)
        self.refused("ISRG_Root_X1.crt: No such file", "--debian", "--directory", self.folder.name)

    def test_damage(self):
        """No damaged certificate may end in anything but an answer."""
        der = openssl("x509", "-in", self.certificate("damage"), "-outform", "DER")
        dice = random.Random(1)
        refused = 0
        for number in range(4000):
            data = bytearray(der)
            for _ in range(1 + number % 3):
                data[dice.randrange(len(data))] = dice.randrange(256)
            if number % 4 == 0:
                del data[dice.randrange(len(data)):]
            try:
                certificate = make_roots.Certificate(bytes(data))
                certificate.check_authority()
                certificate.label = certificate.default_label()
                make_roots.header([certificate], "x", "", "", "x.h", False).encode("ascii")
            except make_roots.Problem as problem:
                self.assertTrue(str(problem))
                refused += 1
        self.assertGreater(refused, 1500)


def wrap(der):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + \
        b"-----END CERTIFICATE-----\n"


def arrays(text):
    found = re.findall(r"static const unsigned char (\w+)\[\] = \{([^}]*)\}", text)
    return {name: bytes(int(item, 16) for item in body.split(",")) for name, body in found}


if __name__ == "__main__":
    unittest.main()
