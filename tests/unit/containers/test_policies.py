from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.containers import detach_keys, health, restart
from moorage.lib import clock
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.health import Health, HealthcheckResult, HealthConfig
from moorage.spec.engine.hostconfig import RestartPolicy


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("no", 1, False),
        ("", 1, False),
        ("always", 0, True),
        ("unless-stopped", 0, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
    ],
)
def test_policies_restart_what_they_say(name: str, code: int, *, expected: bool) -> None:
    assert restart.applies(RestartPolicy(name=name), exit_code=code, restarts=0) is expected


def test_on_failure_gives_up_after_its_count() -> None:
    policy = RestartPolicy(name="on-failure", maximum_retry_count=2)
    assert restart.applies(policy, exit_code=1, restarts=1)
    assert not restart.applies(policy, exit_code=1, restarts=2)


def test_after_a_boot_unless_stopped_remembers_the_user() -> None:
    policy = RestartPolicy(name="unless-stopped")
    assert restart.applies_at_boot(policy, stopped_by_user=False)
    assert not restart.applies_at_boot(policy, stopped_by_user=True)
    assert restart.applies_at_boot(RestartPolicy(name="always"), stopped_by_user=True)
    assert not restart.applies_at_boot(RestartPolicy(name="on-failure"), stopped_by_user=False)


def test_pauses_double_to_a_minute_and_a_steady_run_resets_them() -> None:
    back_off = restart.BackOff()
    pauses = [back_off.next_pause(0.5) for _ in range(12)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 60
    assert back_off.next_pause(10.0) == 0.1


def test_how_long_a_run_was_is_not_asked_of_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back_off = restart.BackOff()
    assert back_off.ended() == 0.0  # it did not even start
    back_off.began()
    now_s = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now_s + 12)
    monkeypatch.setattr(clock, "now_ns", lambda: 0)
    assert back_off.ended() >= 12


def answer(code: int) -> HealthcheckResult:
    return HealthcheckResult(exit_code=code)


def test_health_turns_bad_after_the_retries_and_good_at_once() -> None:
    state = Health(status=health.STARTING, log=[])
    for streak in (1, 2):
        state = health.judge(state, answer(1), retries=3, settling=False)
        assert (state.status, state.failing_streak) == (health.STARTING, streak)
    state = health.judge(state, answer(1), retries=3, settling=False)
    assert state.status == health.UNHEALTHY
    state = health.judge(state, answer(0), retries=3, settling=False)
    assert (state.status, state.failing_streak) == (health.HEALTHY, 0)


def test_failures_in_the_start_period_do_not_count() -> None:
    state = Health(status=health.STARTING, log=[])
    state = health.judge(state, answer(1), retries=1, settling=True)
    assert (state.status, state.failing_streak) == (health.STARTING, 0)


def test_five_answers_are_kept() -> None:
    state = Health(status=health.STARTING, log=[])
    for code in range(9):
        state = health.judge(state, answer(code), retries=99, settling=False)
    assert [r.exit_code for r in state.log or []] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (None, None),
        ([], None),
        (["NONE"], None),
        (["CMD", "a", "b"], ["a", "b"]),
        (["CMD-SHELL", "a b"], ["/bin/sh", "-c", "a b"]),
    ],
)
def test_probe_commands(test: list[str] | None, expected: list[str] | None) -> None:
    assert health.command(HealthConfig(test=test), None) == expected


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-a", b"\x01"), ("a,ctrl-[", b"a\x1b"), ("ctrl-@", b"\0")],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert detach_keys.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ab", "ctrl-ab", "é"])
def test_bad_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="Unknown character"):
        detach_keys.parse(text)


@given(st.lists(st.binary(max_size=6)))
def test_input_without_the_keys_passes_unchanged_but_for_a_waiting_prefix(
    pieces: list[bytes],
) -> None:
    scanner = detach_keys.DetachScanner(b"\x10\x11")
    passed = b""
    for piece in pieces:
        more, detached = scanner.feed(piece)
        passed += more
        if detached:
            assert b"\x10\x11" in b"".join(pieces)
            return
    sent = b"".join(pieces)
    assert sent in {passed, passed + b"\x10"}


def test_keys_are_found_over_the_border_of_pieces() -> None:
    scanner = detach_keys.DetachScanner(b"\x10\x11")
    assert scanner.feed(b"ab\x10") == (b"ab", False)
    assert scanner.feed(b"\x11rest") == (b"", True)
