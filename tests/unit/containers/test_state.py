from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.containers.state import ACTIVE, ALIVE, TRANSITIONS, Event, State, advance
from moorage.lib.errors import Conflict


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", [State.REMOVING, State.DEAD, State.PAUSED, State.RUNNING])
def test_what_runs_or_goes_cannot_start(state: State) -> None:
    with pytest.raises(Conflict):
        advance(state, Event.START)


@pytest.mark.parametrize("state", sorted(ALIVE))
def test_what_has_a_process_cannot_be_removed(state: State) -> None:
    with pytest.raises(Conflict):
        advance(state, Event.REMOVE)


@given(st.lists(st.sampled_from(list(Event))))
def test_no_sequence_of_events_leads_out_of_the_table(events: list[Event]) -> None:
    state = State.CREATED
    for event in events:
        try:
            state = advance(state, event)
        except Conflict:
            continue
    assert state in TRANSITIONS


@given(st.lists(st.sampled_from(list(Event))))
def test_only_a_removal_makes_a_container_dead(events: list[Event]) -> None:
    state, removing = State.CREATED, False
    for event in events:
        try:
            state = advance(state, event)
        except Conflict:
            continue
        removing = removing or event is Event.REMOVE
    assert removing or state not in {State.REMOVING, State.DEAD}


def test_active_is_what_the_api_calls_running() -> None:
    assert {State.RUNNING, State.PAUSED, State.RESTARTING} == ACTIVE
