"""Tests matrix.py: python3 -B matrix_test.py"""
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix.py")
DOCUMENT = """text
| port | target | here |
| --- | --- | --- |
| none | of this | counts |

<!-- matrix -->
| port | target | here | figures |
| --- | --- | --- | --- |
| posix | Linux | %s | |
| lwip | some board | %s | |
<!-- /matrix -->
end
"""


class Matrix(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.lines = os.path.join(self.folder.name, "lines")
        self.path = os.path.join(self.folder.name, "README.md")
        open(self.lines, "w").close()

    def tearDown(self):
        self.folder.cleanup()

    def ran(self, *lines):
        with open(self.lines, "a", encoding="utf-8") as file:
            for line in lines:
                file.write("\t".join(line) + "\n")

    def tool(self, command, *claims):
        if claims:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(DOCUMENT % claims)
        done = subprocess.run([sys.executable, "-B", TOOL, command, self.lines, self.path],
                              stdout=subprocess.PIPE, universal_newlines=True)
        return done.returncode, done.stdout

    def test_claims_up_to_what_ran(self):
        self.ran(("posix", "Linux", "run", "21 tests"), ("lwip", "some board", "compiled", ""))
        for claims in (("run here in CI", "compiled here"), ("compiled here", "untested"),
                       ("untested", "untested")):
            rc, text = self.tool("check", *claims)
            self.assertEqual(rc, 0, text)
            self.assertIn("ok - ", text)
            self.assertIn("posix on Linux: run here in CI, 21 tests\n", text)

    def test_claims_beyond_it(self):
        self.ran(("posix", "Linux", "compiled", ""))
        for claims in (("run here in CI", "untested"), ("untested", "compiled here"),
                       ("untested", "run here in CI"), ("runs", "untested"), ("", "untested")):
            rc, text = self.tool("check", *claims)
            self.assertEqual(rc, 1, text)
            self.assertRegex(text, "(?m)^not ok - ")

    def test_a_failure_outweighs_all(self):
        self.ran(("posix", "Linux", "run", ""), ("posix", "Linux", "failed", ""),
                 ("posix", "Linux", "run", ""))
        self.assertEqual(self.tool("check", "run here in CI", "untested")[0], 1)
        self.assertEqual(self.tool("check", "compiled here", "untested")[0], 1)

    def test_the_most_that_was_shown_counts(self):
        self.ran(("posix", "Linux", "run", "a"), ("posix", "Linux", "compiled", "b"))
        self.assertEqual(self.tool("check", "run here in CI", "untested")[0], 0)

    def test_what_was_skipped_is_said_and_no_failure(self):
        self.ran(("posix", "Linux", "run", ""), ("lwip", "some board", "skipped", "no tools"))
        rc, text = self.tool("check", "run here in CI", "run here in CI")
        self.assertEqual(rc, 0, text)
        self.assertRegex(text, "(?m)^ok - # SKIP .*'run here in CI' for lwip on some board$")
        self.assertNotIn("# SKIP", self.tool("check", "run here in CI", "untested")[1])
        self.assertEqual(self.tool("write")[0], 0)
        with open(self.path, encoding="utf-8") as file:
            self.assertIn("| lwip | some board | untested | |\n", file.read())
        self.ran(("lwip", "some board", "failed", ""))
        self.assertEqual(self.tool("check", "run here in CI", "run here in CI")[0], 1)
        self.ran(("posix", "Linux", "skipped", ""))  # elsewhere in the same run
        self.assertIn("posix on Linux: run here in CI", self.tool("check", "untested", "untested")[1])

    def test_lines_and_documents_that_are_none(self):
        self.ran(("posix", "Linux", "run", ""))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("no table\n")
        self.assertEqual(self.tool("check")[0], 1)
        self.ran(("posix", "Linux", "splendid", ""))
        self.assertEqual(self.tool("check", "untested", "untested")[0], 1)
        self.ran(("posix",))
        self.assertEqual(self.tool("write", "untested", "untested")[0], 1)

    def test_write(self):
        self.ran(("posix", "Linux", "run", "21 tests"), ("posix", "Cygwin", "compiled", ""),
                 ("core", "s390x", "run", ""))
        self.assertEqual(self.tool("write", "untested", "run here in CI")[0], 0)
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("| posix | Linux | run here in CI | 21 tests |\n"
                      "| posix | Cygwin | compiled here |  |\n"
                      "| lwip | some board | untested |  |\n", text)
        self.assertNotIn("s390x", text)
        self.assertEqual(self.tool("check")[0], 0)


if __name__ == "__main__":
    unittest.main()
