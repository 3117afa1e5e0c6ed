"""Property tests judge what the code does, not how fast the machine is just now."""

from __future__ import annotations

import importlib

from hypothesis import HealthCheck, settings

settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Load what a test would load late: pytest reads it as a syntax tree.

    A garbage collection of things that run code as they go fails that in the midst of tests
    ("AST constructor recursion depth mismatch", CPython before 3.11.5).
    """
    importlib.import_module("hypothesis.strategies._internal.regex")
