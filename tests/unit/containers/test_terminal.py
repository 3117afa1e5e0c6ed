"""Sizes of terminals."""

from __future__ import annotations

import pytest

from moorage.containers import terminal
from moorage.lib.errors import InvalidParameter


@pytest.mark.parametrize(
    ("given", "size"),
    [(None, (0, 0)), ([], (0, 0)), ([24], (24, 0)), ([24, 80], (24, 80)), ([1, 2, 3], (1, 2))],
)
def test_a_size_is_read_as_an_array_of_two(given: list[int] | None, size: tuple[int, int]) -> None:
    """As Go does; one number alone was an internal error at the start."""
    assert terminal.size(given) == size


@pytest.mark.parametrize("given", [[70_000, 80], [24, 70_000], [-1, 80]])
def test_what_no_terminal_can_have_is_refused(given: list[int]) -> None:
    """The monitor could not set it and gave no answer: the request was held for ever."""
    with pytest.raises(InvalidParameter, match="invalid terminal size"):
        terminal.size(given)
