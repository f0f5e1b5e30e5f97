"""The circuit breaker of engines, remote servers and cache tiers."""

from __future__ import annotations

import pytest

from wyoming_qwen3tts.breaker import CircuitBreaker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still; its only item is the time."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_it_opens_at_the_threshold_and_a_success_between_failures_resets_the_count() -> None:
    circuit = CircuitBreaker((1.0,), threshold=3)
    assert not circuit.record_failure("first")
    assert not circuit.record_failure("second")
    assert circuit.record_success()
    assert [circuit.record_failure(f"failure {number}") for number in range(3)] == [False, False, True]
    assert (circuit.is_open, circuit.reason, circuit.failures) == (True, "failure 2", 3)


def test_failures_of_simultaneous_calls_count_once() -> None:
    circuit = CircuitBreaker((1.0,), threshold=2)
    began = circuit.incidents
    for _ in range(5):
        circuit.record_failure("all at once", began)
    assert (circuit.failures, circuit.incidents, circuit.is_open) == (1, 1, False)
    assert circuit.record_failure("later", circuit.incidents)


def test_the_rest_grows_with_every_failed_trial(clock: list[float]) -> None:
    circuit = CircuitBreaker((1.0, 5.0, 30.0))
    rests = []
    for _ in range(4):
        circuit.record_failure("gone")
        rests.append(circuit.rest)
        assert circuit.is_resting
        clock[0] += circuit.rest
        assert not circuit.is_resting
    assert rests == [1.0, 5.0, 30.0, 30.0]
    assert circuit.record_success()
    assert not circuit.record_success()
    circuit.record_failure("gone again")
    assert circuit.rest == 1.0


def test_it_can_be_opened_at_once_and_its_rest_can_be_ended(clock: list[float]) -> None:
    circuit = CircuitBreaker((60.0,), threshold=3)
    circuit.open("the device is lost")
    assert circuit.is_resting
    circuit.end_rest()
    assert (circuit.is_open, circuit.is_resting, circuit.reason) == (True, False, "the device is lost")
