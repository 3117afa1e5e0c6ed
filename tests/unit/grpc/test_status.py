"""Outcomes of calls as trailers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.grpc import status
from moorage.grpc.status import CallFailed, Code, Detail
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, NotFound, NotImplemented_


@given(
    st.sampled_from([code for code in Code if code]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(st.builds(Detail, type_url=st.just("a/b"), value=st.binary(max_size=9)), max_size=2),
)
def test_a_failure_survives_its_trailers(code: Code, text: str, details: list[Detail]) -> None:
    sent = dict(status.trailers(CallFailed(code, text, details=tuple(details))))
    assert all(value.isascii() and value.isprintable() for value in sent.values())
    found = status.of_trailers(sent)
    assert found is not None
    assert (found.code, found.message, found.details) == (code, text, tuple(details))


def test_success_is_none() -> None:
    assert status.of_trailers(dict(status.trailers(None))) is None


def test_an_end_without_a_status_is_a_failure() -> None:
    found = status.of_trailers({":status": "502"})
    assert found is not None
    assert "502" in found.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidParameter("a"), Code.INVALID_ARGUMENT),
        (NotFound("a"), Code.NOT_FOUND),
        (Conflict("a"), Code.FAILED_PRECONDITION),
        (NotImplemented_("a"), Code.UNIMPLEMENTED),
        (MoorageError("a"), Code.UNKNOWN),
        (CallFailed(Code.ABORTED, "a"), Code.ABORTED),
    ],
)
def test_our_errors_have_codes(error: MoorageError, code: Code) -> None:
    assert status.of_error(error).code == code
