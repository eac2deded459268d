"""Calls that tests send through circuit breakers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from bookingapp.integrations.circuit_breaker import CircuitBreaker, CircuitOpen


class Down(Exception): ...


class Refused(Exception): ...


def fail() -> None:
    raise Down


def refuse() -> str:
    raise Refused


def fail_times(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Down):
            breaker.call(fail, counts=Down)


def assert_one_probe(breakers: Sequence[CircuitBreaker]) -> None:
    """Twenty threads call half-open breakers at once: one call is made, and the others are refused meanwhile."""
    release = threading.Event()
    probes: list[int] = []

    def probe() -> str:
        probes.append(1)
        assert release.wait(10)
        return "answer"

    def attempt(number: int) -> str:
        try:
            return breakers[number % len(breakers)].call(probe, counts=Down)
        except CircuitOpen:
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        attempts = [pool.submit(attempt, number) for number in range(20)]
        # Nineteen come back while the probe is still out; the twentieth is the probe.
        list(islice(as_completed(attempts, timeout=10), 19))
        release.set()
        assert sorted(one.result(timeout=10) for one in attempts) == ["answer"] + ["refused"] * 19
    assert len(probes) == 1
