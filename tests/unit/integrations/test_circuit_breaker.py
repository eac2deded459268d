"""The circuit breaker of one process, with a clock of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bookingapp.integrations.circuit_breaker import CircuitBreaker, CircuitOpen
from tests.unit.integrations.breakers import Down, Refused, assert_one_probe, fail, fail_times, refuse
from tests.unit.integrations.clients import state


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(failure_threshold=3, reset_after=30, clock=clock)
    fail_times(breaker, 3)
    assert state(breaker) == "open"
    return breaker


def test_it_opens_at_the_threshold_and_then_calls_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=3, reset_after=30, clock=clock)
    fail_times(breaker, 2)
    assert state(breaker) == "closed"
    fail_times(breaker, 1)
    clock.now += 10
    # A call would raise its own exception.
    with pytest.raises(CircuitOpen) as refused:
        breaker.call(fail)
    assert refused.value.retry_after == 20


def test_only_failures_in_a_row_count() -> None:
    breaker = CircuitBreaker(failure_threshold=3, reset_after=30, clock=Clock())
    fail_times(breaker, 2)
    assert breaker.call(lambda: "answer", counts=Down) == "answer"
    fail_times(breaker, 2)
    with pytest.raises(Refused):
        breaker.call(refuse, counts=Down)
    fail_times(breaker, 2)
    assert state(breaker) == "closed"


@pytest.mark.parametrize("probe", [lambda: "answer", refuse])
def test_after_the_wait_a_probe_that_is_answered_closes_it(probe: Callable[[], str]) -> None:
    """Open, half-open, closed, and the count begins at nothing. A refusal comes from a provider that is up again."""
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    assert state(breaker) == "half_open"
    with suppress(Refused):
        assert breaker.call(probe, counts=Down) == "answer"
    assert state(breaker) == "closed"
    fail_times(breaker, 2)
    assert state(breaker) == "closed"


def test_a_probe_that_fails_opens_it_for_another_wait() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 31
    fail_times(breaker, 1)
    assert state(breaker) == "open"
    clock.now += 29
    with pytest.raises(CircuitOpen):
        breaker.call(lambda: None)
    clock.now += 1
    assert state(breaker) == "half_open"


def test_after_an_interrupted_probe_the_next_is_admitted() -> None:
    """What is no Exception says nothing about the provider, and must not block the probe for ever."""
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaker.call(interrupted, counts=Down)
    assert state(breaker) == "half_open"
    breaker.call(lambda: None)
    assert state(breaker) == "closed"


def test_half_open_admits_one_of_many_threads() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    assert_one_probe([breaker])
    assert state(breaker) == "closed"


def test_the_lock_is_not_held_during_a_call() -> None:
    breaker = CircuitBreaker()
    together = threading.Barrier(10, timeout=10)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: breaker.call(together.wait), range(10)))
    assert state(breaker) == "closed"


def test_what_an_earlier_era_reports_comes_too_late() -> None:
    """A call that began before the breaker opened neither closes it nor lengthens the wait."""
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=2, reset_after=30, clock=clock)
    begun, release = threading.Barrier(4, timeout=10), threading.Event()

    def slow_success() -> None:
        begun.wait()
        assert release.wait(10)

    def slow_failure() -> None:
        begun.wait()
        assert release.wait(10)
        raise Down

    with ThreadPoolExecutor(3) as pool:
        success = pool.submit(breaker.call, slow_success, counts=Down)
        failures = [pool.submit(breaker.call, slow_failure, counts=Down) for _ in range(2)]
        begun.wait()
        fail_times(breaker, 2)
        clock.now += 20
        release.set()
        success.result(timeout=10)
        for failure in failures:
            assert isinstance(failure.exception(timeout=10), Down)
    assert state(breaker) == "open"
    clock.now += 10
    assert state(breaker) == "half_open"
