"""Requests that arrive slowly, on purpose or over a bad line, at a real ``flask serve``."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import requests

from bookingapp.core.bodies import LONGEST_SECONDS, PLACES_OF_ONE
from tests.e2e.stack import Stack
from tests.factories import signature
from tests.waiting import eventually

from .signed import SECRETS, Delivery, payment_begun
from .trickle import CHUNKED, FORM, HEAD, LONG, WEBHOOK, trickling

PAGE = b"GET /healthz HTTP/1.1\r\nHost: a.example\r\n\r\n"
BODIES = [
    (FORM + LONG, b"x"),
    (FORM + CHUNKED, b"1\r\nx\r\n"),
    (WEBHOOK + LONG, b"x"),
    (WEBHOOK + CHUNKED, b"1\r\nx\r\n"),
]
MANY = 40
# What a visitor puts up with. Usual are some milliseconds; a machine that does other things needs more.
PROMPT_SECONDS = 5.0
# Between the end of a body's time and that of its connection, on a busy machine.
LATE_SECONDS = 10.0
# Of heads the server's own clock, granian's, is thirty seconds.
HEAD_SECONDS = 30.0


def test_bodies_that_trickle_in_are_cut_off_and_hold_nobody_up(sqlite_stack: Stack) -> None:
    """More of them than requests are worked on at a time."""
    with trickling(sqlite_stack.url, BODIES, MANY) as senders:
        until = time.monotonic() + LONGEST_SECONDS / 2
        while time.monotonic() < until:
            assert _seconds_of_a_page(sqlite_stack.url) < PROMPT_SECONDS
            assert _seconds_of_a_webhook(sqlite_stack, payment_begun()) < PROMPT_SECONDS
            # All of them are still there.
            assert not [one for one in senders if one.ended_after is not None]
        eventually(lambda: all(one.ended_after for one in senders), what="the end of all")
        for one in senders:
            assert one.ended_after is not None
            assert LONGEST_SECONDS - 1 < one.ended_after < LONGEST_SECONDS + LATE_SECONDS
            assert one.answer == b"" or one.answer.startswith(b"HTTP/1.1 408 "), one.answer[:200]
        assert any(b"did not arrive in time" in one.answer for one in senders)
    assert _seconds_of_a_page(sqlite_stack.url) < PROMPT_SECONDS


def test_bodies_that_stop_are_cut_off_and_a_slow_honest_one_beside_them_is_not(sqlite_stack: Stack) -> None:
    """Its connection was in use before, for a page, and comes from the same address."""
    stack, delivery = sqlite_stack, payment_begun()
    parts = urlsplit(stack.url)
    silent = [(before + first + again, b"") for first, again in BODIES for before in (b"", PAGE)]
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection,
        trickling(stack.url, silent, MANY) as senders,
    ):
        answers = connection.makefile("rb")
        connection.sendall(PAGE)
        assert answers.readline().startswith(b"HTTP/1.1 200 ")
        headers = dict(line.split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
        answers.read(int(headers[b"content-length"]))
        # Begun when the others have spent half of their time, it is still under way when they are cut off.
        until = time.monotonic() + LONGEST_SECONDS / 2
        while time.monotonic() < until:
            _seconds_of_a_page(stack.url)
        signed = signature(delivery.body, SECRETS["stripe"]).encode()
        length = str(len(delivery.body)).encode()
        head = (
            WEBHOOK + b"Stripe-Signature: " + signed + b"\r\nContent-Length: " + length + b"\r\n"
            b"Connection: close\r\n\r\n"
        )
        connection.sendall(head + delivery.body[:10])
        eventually(lambda: all(one.ended_after for one in senders), what="the end of all")
        connection.sendall(delivery.body[10:])
        assert answers.readline().startswith(b"HTTP/1.1 200 ")
    assert len(delivery.kept(stack)) == 1


def test_more_bodies_of_one_address_than_it_has_places_are_refused_at_once(sqlite_stack: Stack) -> None:
    with trickling(sqlite_stack.url, BODIES, PLACES_OF_ONE + MANY) as senders:
        eventually(lambda: sum(one.ended_after is not None for one in senders) >= MANY, what="refusals")
        ended = [
            one for one in senders if one.ended_after is not None and one.ended_after < LONGEST_SECONDS - 1
        ]
        assert len(ended) == MANY
        for one in ended:
            assert one.answer == b"" or one.answer.startswith(b"HTTP/1.1 503 "), one.answer[:200]
        assert any(b"\r\nretry-after: " in one.answer.lower() for one in ended)
        assert _seconds_of_a_page(sqlite_stack.url) < PROMPT_SECONDS
    # All places are free again when the server has noticed that the senders have left, long before their time is over.
    free = payment_begun()
    eventually(
        lambda: free.send(sqlite_stack.url).status_code == 200, what="a place", seconds=LONGEST_SECONDS / 2
    )
    assert len(free.kept(sqlite_stack)) == 1


def test_heads_that_trickle_in_are_cut_off(sqlite_stack: Stack) -> None:
    with trickling(sqlite_stack.url, [(HEAD, b"x")], MANY) as senders:
        assert _seconds_of_a_page(sqlite_stack.url) < PROMPT_SECONDS
        eventually(
            lambda: all(one.ended_after for one in senders),
            what="the end of all",
            seconds=HEAD_SECONDS + 2 * LATE_SECONDS,
        )


def _seconds_of_a_page(url: str) -> float:
    began = time.monotonic()
    with requests.Session() as http:
        http.trust_env = False
        assert http.get(f"{url}/login", timeout=60).status_code == 200
    return time.monotonic() - began


def _seconds_of_a_webhook(stack: Stack, delivery: Delivery) -> float:
    began = time.monotonic()
    assert delivery.send(stack.url).status_code == 200
    took = time.monotonic() - began
    assert len(delivery.kept(stack)) == 1
    return took
