"""Modules loaded when they are first used: a program of its own, whose modules are its own."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from moorage.daemon import seldom
from moorage.lib import later

later.defer(seldom.MODULES, seldom.AT_IMPORT)
later.load_without("msgspec", "typing_extensions")
import ast, tomllib
from email import utils
from isal import isal_zlib

assert "typing_extensions" not in sys.modules
for name in ("ast", "tomllib", "email.utils", "isal.isal_zlib"):
    assert not vars(sys.modules[name]).get("__file__"), name
assert tomllib.loads("a = 1") == {"a": 1}
assert sys.modules["tomllib"].__file__.endswith(".py")
assert utils.formatdate(0).startswith("Thu, 01 Jan 1970")
assert isal_zlib.decompress(isal_zlib.compress(b"x" * 99)) == b"x" * 99
assert ast.dump(ast.parse("1")).startswith("Module(")
"""


def test_module_is_loaded_for_its_first_attribute() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
