"""Identifiers: 64 hexadecimal digits as Docker's, and a name for the container nobody named."""

from __future__ import annotations

import secrets
from typing import Final

_ADJECTIVES: Final = (
    "able airy amber ample azure bold brave breezy bright brisk calm candid cheery clear clever "
    "cosy crisp daring deft eager early easy fair fast fond frank fresh gentle glad golden grand "
    "handy happy hardy honest jolly keen kind light lively loyal lucid lucky mellow merry mild "
    "neat nimble noble patient placid plucky polite proud quick quiet ready salty sharp silver "
    "smart snug sound spry steady still stout sunny swift tidy trim trusty vivid warm wise witty "
    "zealous"
)
_MARINERS: Final = (
    "amundsen anson baffin baret barents beaufort bering bligh bougainville bowditch byrd cabot "
    "cabral cartier champlain clapperton columbus cook cousteau crozier dampier darwin davis diaz "
    "drake dumont ericson flinders fitzroy franklin frobisher gama grace hanno harrison hawkins "
    "henry heyerdahl hudson janszoon knox laperouse magellan maury mercator nansen nares parry "
    "perry piccard polo ptolemy pytheas quiros raleigh ross scott shackleton sharp slocum sverdrup "
    "tasman torres tupaia vancouver verrazzano vespucci wallis weddell wilkes zheng"
)


def new_id() -> str:
    """Return a fresh id of 64 hexadecimal digits.

    One whose first 12 digits are all decimal is never given: as a hostname it would be read as a
    number (Docker avoids it for the same reason).
    """
    while True:
        candidate = secrets.token_hex(32)
        if not candidate[:12].isdecimal():
            return candidate


def short(identifier: str) -> str:
    """Return the 12-digit form that people see."""
    return identifier.removeprefix("sha256:")[:12]


def token() -> str:
    """Return a short random suffix for temporary names."""
    return secrets.token_hex(6)


def random_name(attempt: int = 0) -> str:
    """Return a name such as ``brave_cook``; from the third *attempt* on with a number behind it."""
    name = f"{secrets.choice(_ADJECTIVES.split())}_{secrets.choice(_MARINERS.split())}"
    return name if attempt < 3 else f"{name}{secrets.randbelow(1000)}"
