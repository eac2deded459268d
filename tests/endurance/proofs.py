"""Tests for both databases; test_sqlite.py and test_postgresql.py run them on each."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from statistics import median

from bookingapp.core.queue import WorkState
from tests.e2e.stack import Stack
from tests.waiting import eventually

from .crowd import BOOKINGS, FATES, Crowd
from .killer import Killer
from .ledgers import assert_books_agree, until_quiet
from .signed import payment_begun, send_at_once, stranger_canceled

SEED = 20
KILLS = 3
LOST_ANSWERS = 2
AT_ONCE = 20
WAKES = 15
# Without being woken a worker polls every five seconds.
LONGEST_USUAL_WAKE_SECONDS = 1.0


def kills_lose_nothing_and_repeat_nothing(stack: Stack) -> None:
    """Workers and web processes are killed under load; at the end our books are those of the providers.

    The providers are slow, so that many a kill strikes in the middle of a row, and now and then do what they were asked
    for and lose the answer.
    """
    for method, seconds in (("GET", 0.8), ("POST", 0.3)):
        stack.fault("stripe", "latency", seconds=seconds, method=method)
    stack.fault("calendly", "latency", seconds=0.5, method="POST")
    for path in ("/v1/checkout/sessions", "/v1/refunds"):
        stack.fault("stripe", "lost_answer", remaining=LOST_ANSWERS, method="POST", path_prefix=path)
    crowd = Crowd(stack, SEED)
    with Killer(stack, SEED, times=max(KILLS, BOOKINGS // 4)) as killer:
        crowd.walk()
    stack.clear_faults()
    until_quiet(stack)
    assert_books_agree(stack, crowd)
    assert {one.fate for one in crowd.walked} == set(FATES)
    assert set(killer.killed) & set(stack.workers)
    assert set(killer.killed) & set(stack.webs)
    stack.check_logs()


def the_same_delivery_at_once_is_one_row(stack: Stack) -> None:
    """However many arrive at the same moment, at two processes: 2xx for all of them, news for one."""
    for delivery in (stranger_canceled(), payment_begun()):
        answers = send_at_once(delivery, stack.urls, AT_ONCE)
        assert [answer.status_code for answer in answers] == [200] * AT_ONCE
        assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * (AT_ONCE - 1)
        assert len(delivery.kept(stack)) == 1


def an_idle_worker_hears_at_once(stack: Stack) -> None:
    """Measured from the 2xx to the end of the row."""
    until_quiet(stack)
    waits = []
    for number in range(WAKES):
        delivery = stranger_canceled()
        assert delivery.send(stack.urls[number % len(stack.urls)]).status_code == 200
        answered = datetime.now(UTC)
        (row,) = eventually(
            partial(delivery.kept, stack),
            what="the delivery to be ignored",
            good=lambda rows: [row.state for row in rows] == [WorkState.IGNORED],
        )
        waits.append(max(0.0, (row.finished_at - answered).total_seconds()))
    assert median(waits) < LONGEST_USUAL_WAKE_SECONDS, sorted(waits)
