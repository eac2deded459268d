"""How bodies are read on the server's event loop: for how long, how many at a time, and how much of them."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from granian.rsgi import Headers, HTTPProtocol

from bookingapp.core import bodies
from bookingapp.core.bodies import LARGEST_BODY, Bodies, Body

from .gates import FakeHeaders, FakeProtocol, beside

CHUNKED = FakeHeaders(("Transfer-Encoding", "chunked"))


def declared(length: int) -> FakeHeaders:
    return FakeHeaders(("Content-Length", str(length)))


async def read(reader: Bodies, headers: FakeHeaders, protocol: FakeProtocol, address: str = "a") -> Body:
    return await reader.read(address, cast("Headers", headers), cast("HTTPProtocol", protocol))


def alone(headers: FakeHeaders, protocol: FakeProtocol) -> Body:
    return beside(lambda: asyncio.run(read(Bodies(), headers, protocol)))


def code(body: Body) -> int | None:
    return body.failure.code if body.failure else None


@pytest.mark.parametrize("headers", [declared(6), CHUNKED, FakeHeaders()], ids=["length", "chunked", "http2"])
def test_a_body_is_read_whole(headers: FakeHeaders) -> None:
    assert alone(headers, FakeProtocol(b"abc", b"def")) == (b"abcdef", 6, None)


@pytest.mark.parametrize("headers", [declared(6), CHUNKED, FakeHeaders()], ids=["length", "chunked", "http2"])
def test_a_body_that_does_not_arrive_in_time(headers: FakeHeaders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_SECONDS", 0.01)
    assert code(alone(headers, FakeProtocol(b"abc", never_ends=True))) == 408


@pytest.mark.parametrize("headers", [declared(6), CHUNKED], ids=["length", "chunked"])
def test_a_body_that_breaks_off(headers: FakeHeaders) -> None:
    body = alone(headers, FakeProtocol(b"abc", breaks_off=True))
    assert code(body) == 400
    assert not body.content


def test_the_largest_body_is_taken_and_a_larger_one_is_not_waited_for() -> None:
    largest = b"x" * LARGEST_BODY
    for headers in (declared(LARGEST_BODY), CHUNKED):
        assert alone(headers, FakeProtocol(largest)) == (largest, LARGEST_BODY, None)
    protocol = FakeProtocol(never_ends=True)
    assert alone(declared(LARGEST_BODY + 1), protocol) == (b"", LARGEST_BODY + 1, None)
    assert not protocol.taken
    protocol = FakeProtocol(largest, b"y", b"z", never_ends=True)
    assert alone(CHUNKED, protocol) == (b"", LARGEST_BODY + 1, None)
    assert protocol.taken == 2


def test_only_a_path_of_uploads_takes_more_and_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "UPLOADS", 1)
    length = LARGEST_BODY + 1
    headers = cast("Headers", declared(length))

    async def send(reader: Bodies, path: str, *, never_ends: bool = False) -> Body:
        protocol = FakeProtocol(b"x" * length, never_ends=never_ends)
        return await reader.read("a", headers, cast("HTTPProtocol", protocol), path)

    async def crowd() -> None:
        reader = Bodies()
        assert (await send(reader, "/elsewhere")).content == b""
        assert len((await send(reader, "/uploads-of-this-test")).content) == length
        slow = asyncio.create_task(send(reader, "/uploads-of-this-test", never_ends=True))
        await asyncio.sleep(0)  # A fixed pause: none, but the task begins.
        assert code(await send(reader, "/uploads-of-this-test")) == 503
        slow.cancel()

    bodies.accept_uploads("/uploads-of-this-test", 5 * 1024 * 1024)
    beside(lambda: asyncio.run(crowd()))


def test_a_chunked_body_is_read_whatever_length_it_declares() -> None:
    """Where both are sent, the transfer encoding holds (RFC 9112)."""
    headers = FakeHeaders(("Content-Length", "999999"), ("Transfer-Encoding", "chunked"))
    assert alone(headers, FakeProtocol(b"abc")) == (b"abc", 3, None)


def test_so_many_bodies_may_be_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PLACES", 3)
    monkeypatch.setattr(bodies, "PLACES_OF_ONE", 2)

    async def crowd() -> None:
        reader = Bodies()
        slow = [
            asyncio.create_task(read(reader, declared(9), FakeProtocol(never_ends=True))) for _ in range(2)
        ]
        await asyncio.sleep(0)  # A fixed pause: none, but the tasks begin.
        assert code(await read(reader, declared(3), FakeProtocol(b"abc"))) == 503
        # No place is needed for what is not waited for.
        assert await read(reader, declared(0), FakeProtocol()) == (b"", 0, None)
        assert (await read(reader, declared(3), FakeProtocol(b"abc"), "b")).content == b"abc"
        slow.append(asyncio.create_task(read(reader, declared(9), FakeProtocol(never_ends=True), "b")))
        await asyncio.sleep(0)  # A fixed pause: none, but the tasks begin.
        refused = await read(reader, declared(3), FakeProtocol(b"abc"), "c")
        assert code(refused) == 503
        assert refused.failure is not None
        assert ("Retry-After", "5") in refused.failure.get_headers()
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        # However a body ends, its place is free then.
        ends = (FakeProtocol(b"abc"), FakeProtocol(breaks_off=True), FakeProtocol(b"x" * (LARGEST_BODY + 1)))
        for protocol in ends * 3:
            assert code(await read(reader, CHUNKED, protocol)) != 503

    beside(lambda: asyncio.run(crowd()))
