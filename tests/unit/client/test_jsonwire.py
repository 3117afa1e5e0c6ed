"""JSON on the C scanner, against the standard module."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import moorage
from moorage.client import jsonwire

SOURCE = Path(moorage.__file__).parent.parent
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_survives_its_text(value: Any) -> None:
    text = jsonwire.encode(value)
    assert json.loads(text) == value
    assert jsonwire.decode(text) == value
    assert jsonwire.decode(json.dumps(value).encode()) == value


@given(VALUES, st.sampled_from(["    ", "\t", " "]))
def test_indenting_changes_space_alone(value: Any, step: str) -> None:
    text = jsonwire.encode(value)
    laid_out = jsonwire.indent(text, step)
    assert laid_out == json.dumps(value, indent=step, ensure_ascii=False)
    assert jsonwire.indent(laid_out, step) == laid_out


def test_tokens_stay_as_the_daemon_wrote_them() -> None:
    text = '{"a":1e3,"b":"\\u003c\\"","c":1.10,"d":[ ],"e":{ }}'
    assert jsonwire.indent(text, " ") == (
        '{\n "a": 1e3,\n "b": "\\u003c\\"",\n "c": 1.10,\n "d": [],\n "e": {}\n}'
    )


@pytest.mark.parametrize("text", ["", "{", "<html>", "{} {}", '"a', "nul"])
def test_what_is_not_json_is_refused_by_its_beginning(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        jsonwire.decode(text)


@pytest.mark.parametrize("text", ["{", "[1,", '{"a"', '"open', "[1 2]", "nul", ""])
def test_what_is_no_json_is_a_value_error_though_the_standard_module_is_not_loaded(
    text: str,
) -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]\n"
        "from moorage.client import jsonwire\n"
        f"try: jsonwire.decode({text!r})\n"
        "except ValueError as e: print('json.decoder' in sys.modules, e)"
    )
    done = subprocess.run([sys.executable, "-ISc", program], capture_output=True, text=True)  # noqa: PLW1510
    assert (done.stdout, done.stderr) == (f"False not JSON: {text!r}\n", "")
