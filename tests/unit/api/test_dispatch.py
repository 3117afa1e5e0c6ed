"""What the log says of a request that failed."""

from __future__ import annotations

import logging

import pytest

from moorage.api.dispatch import error_response
from moorage.lib.errors import System


def failure() -> System:
    error = System("the registry cannot be reached")
    error.__cause__ = ConnectionError("refused")
    return error


def test_a_failure_of_the_world_is_one_line_and_its_reason_is_for_debugging(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    error_response(failure(), "/images/create")
    told, reason = caplog.records
    assert told.levelno == logging.ERROR
    assert told.getMessage() == "/images/create: the registry cannot be reached"
    assert told.exc_info is None
    assert reason.levelno == logging.DEBUG
    assert reason.exc_info is not None


def test_a_fault_of_ours_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    error_response(KeyError("x"), "/images/create")
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert told.exc_info is not None
