"""What is kept, for how long, for whom; and what is shown when Calendly fails."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import responses
from requests_cache.backends.base import BaseCache, DictStorage
from requests_cache.backends.sqlite import SQLiteCache
from requests_cache.models.response import CachedResponse
from time_machine import Traveller

from bookingapp.integrations.calendly import (
    CalendlyBadReply,
    CalendlyClient,
    CalendlyError,
    CalendlyNotFound,
    CalendlyRateLimited,
    CalendlyUnavailable,
    Fetched,
)
from bookingapp.integrations.calendly.cache import AnswerCache
from tests.unit.integrations import clients
from tests.unit.integrations.clients import (
    API,
    EVENT,
    EVENT_TYPE,
    INVITEE,
    ONE_PAGE,
    START,
    TOKEN,
    USER,
    OneToken,
    Wire,
    never_opens,
    sample,
)

LIST = f"{API}/event_types"
# What a backend is asked for.
BROKEN = ("get", "pop", "keys", "__getitem__", "__setitem__")


def make_client(**how: Any) -> CalendlyClient:
    """With a breaker that never opens: these tests are about the cache."""
    return clients.make_client(**{"breaker": never_opens(), **how})


def test_a_fresh_answer_is_not_asked_for_again(wire: Wire, clock: Traveller) -> None:
    wire.get(LIST, body=sample("calendly/event_types.page1.json"))
    wire.get(LIST, body=ONE_PAGE)
    client = make_client()
    first = client.list_event_types("platform", USER)
    clock.move_to(START + timedelta(seconds=299))
    assert client.list_event_types("platform", USER) == first
    assert first.as_of == START
    assert not first.stale
    assert len(wire.calls) == 2
    clock.move_to(START + timedelta(seconds=300))
    wire.upsert(responses.GET, LIST, body=ONE_PAGE)
    assert client.list_event_types("platform", USER) == first
    assert client.settle()
    again = client.list_event_types("platform", USER)
    assert again.as_of == START + timedelta(seconds=300)
    assert len(again.value) < len(first.value)
    assert len(wire.calls) == 4


def test_a_list_is_as_old_as_its_oldest_page(wire: Wire, clock: Traveller) -> None:
    wire.get(LIST, body=sample("calendly/event_types.page1.json"))
    wire.get(LIST, status=404)
    client = make_client()
    with pytest.raises(CalendlyNotFound):
        client.list_event_types("platform", USER)
    clock.move_to(START + timedelta(minutes=2))
    wire.upsert(responses.GET, LIST, body=ONE_PAGE)
    fetched = client.list_event_types("platform", USER)
    assert len(fetched.value) == 6
    assert fetched.as_of == START


def test_a_reader_that_comes_just_after_the_answer_does_not_ask_again(wire: Wire) -> None:
    """It found nothing in the cache before the other's answer was there, and begins after it."""

    class Late(BaseCache):
        """A backend in whose first miss another reader brings the answer."""

        another_reader: Callable[[], object] | None = None

        def get_response(self, key: str, default: Any = None) -> CachedResponse | None:
            another_reader, self.another_reader = self.another_reader, None
            if another_reader is not None:
                another_reader()
                return None
            return super().get_response(key, default)

    backend = Late("late")
    wire.get(LIST, body=ONE_PAGE)
    client = make_client(cache_backend=backend)
    backend.another_reader = lambda: client.list_event_types("platform", USER)
    assert client.list_event_types("platform", USER).value
    assert len(wire.calls) == 1


def test_free_times_are_kept_for_one_minute(wire: Wire, clock: Traveller) -> None:
    """Readers of one minute ask for the same window, so they share an answer; then it is renewed in the background,
    and after five minutes before it is shown. Times that are over by then are not shown.
    """
    wire.get(f"{API}/event_type_available_times", body=sample("calendly/available_times.json"))
    client = make_client()
    begin = datetime.fromisoformat("2026-11-26T08:00:00Z")
    clock.move_to(begin)
    # Seconds after the first question; how many calls there were by then; how old the answer is.
    for seconds, calls, age in ((0, 1, 0), (59, 1, 59), (61, 2, 61), (120, 2, 59), (121, 3, 60), (500, 4, 0)):
        clock.move_to(begin + timedelta(seconds=seconds))
        now = datetime.now(UTC)
        fetched = client.available_times("platform", EVENT_TYPE, now, now + timedelta(days=7))
        assert client.settle()
        assert len(wire.calls) == calls, seconds
        assert all(time.start_time > now for time in fetched.value)
        assert fetched.as_of == now - timedelta(seconds=age)


def test_windows_of_other_lengths_and_beginnings_share_nothing(wire: Wire, clock: Traveller) -> None:
    wire.get(f"{API}/event_type_available_times", body=sample("calendly/available_times.json"))
    client = make_client()
    day = timedelta(days=1)
    for start, length in ((START, day), (START, 7 * day), (START + 7 * day, day), (START + 8 * day, day)):
        client.available_times("platform", EVENT_TYPE, start, start + length)
    assert len(wire.calls) == 4


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ({"status": 500}, CalendlyUnavailable),
        ({"status": 429}, CalendlyRateLimited),
        ({"body": TimeoutError("slow")}, CalendlyUnavailable),
        ({"body": "<html>maintenance</html>"}, CalendlyBadReply),
    ],
)
def test_when_calendly_fails_the_last_good_answer_is_shown(
    wire: Wire,
    clock: Traveller,
    caplog: pytest.LogCaptureFixture,
    failure: dict[str, Any],
    error: type[CalendlyError],
) -> None:
    """With its time, up to a day old; after that the failure is raised, until an answer is good again. The log says so
    without an address.
    """
    wire.get(LIST, body=ONE_PAGE)
    client = make_client()
    good = client.list_event_types("builder:1", USER)
    wire.upsert(responses.GET, LIST, **failure)
    clock.move_to(START + timedelta(hours=24))
    caplog.set_level(logging.INFO)
    shown = client.list_event_types("builder:1", USER)
    assert shown == Fetched(good.value, as_of=START, stale=True)
    assert "showing the answer of 2026-11-25 10:42" in caplog.text
    assert USER not in caplog.text
    assert "4c1f0a9e" not in caplog.text
    assert TOKEN not in caplog.text
    clock.move_to(START + timedelta(hours=24, seconds=1))
    with pytest.raises(error):
        client.list_event_types("builder:1", USER)
    wire.upsert(responses.GET, LIST, body=ONE_PAGE)
    clock.move_to(START + timedelta(hours=25))
    assert client.list_event_types("builder:1", USER) == Fetched(good.value, datetime.now(UTC), stale=False)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_never_hidden_behind_an_old_answer(wire: Wire, clock: Traveller, status: int) -> None:
    """It is raised at once, and the old answer is gone for good; the reader whose refresh found it saw it last."""
    wire.get(LIST, body=ONE_PAGE)
    client = make_client(tokens=OneToken())
    client.list_event_types("platform", USER)
    wire.upsert(responses.GET, LIST, status=status)
    clock.move_to(START + timedelta(minutes=10))
    assert not client.list_event_types("platform", USER).stale
    assert client.settle()
    with pytest.raises(CalendlyError) as refused:
        client.list_event_types("platform", USER)
    assert refused.value.status == status
    wire.upsert(responses.GET, LIST, status=500)
    with pytest.raises(CalendlyUnavailable):
        client.list_event_types("platform", USER)


def test_tenants_never_share_an_answer(wire: Wire) -> None:
    wire.get(LIST, body=ONE_PAGE)
    client = make_client()
    for tenant in ("platform", "builder:1", "builder:12"):
        client.list_event_types(tenant, USER)
    assert len(wire.calls) == 3
    client.invalidate("builder:1")
    for tenant in ("platform", "builder:1", "builder:12"):
        client.list_event_types(tenant, USER)
    assert len(wire.calls) == 4


def test_a_rotated_token_finds_the_answers_of_the_old_one(wire: Wire) -> None:
    wire.get(LIST, body=ONE_PAGE)
    tokens = OneToken()
    client = make_client(tokens=tokens)
    client.list_event_types("builder:1", USER)
    tokens.token = "second"
    client.list_event_types("builder:1", USER)
    assert len(wire.calls) == 1


def test_json_in_another_shape_is_not_kept(wire: Wire) -> None:
    client = make_client()
    strange_answers: list[Any] = [{"resources": []}, {"collection": [{"uri": 1}]}, {"collection": None}]
    for strange in strange_answers:
        wire.upsert(responses.GET, LIST, json=strange)
        with pytest.raises(CalendlyBadReply):
            client.list_event_types("platform", USER)
    wire.upsert(responses.GET, LIST, body=ONE_PAGE)
    assert client.list_event_types("platform", USER).value


def test_what_arrives_after_an_invalidation_is_not_kept(wire: Wire) -> None:
    client = make_client()

    def invalidated_meanwhile(request: Any) -> tuple[int, dict[str, str], bytes]:
        client.invalidate("platform")
        return 200, {}, ONE_PAGE

    wire.add_callback(responses.GET, LIST, callback=invalidated_meanwhile)
    client.list_event_types("platform", USER)
    client.list_event_types("platform", USER)
    assert len(wire.calls) == 2


def test_on_disk_there_is_no_token_no_cookie_and_no_invitee(wire: Wire, tmp_path: Path) -> None:
    """Only public answers are stored, through a backend that runs no code when it is read."""
    wire.get(LIST, body=ONE_PAGE, headers={"Set-Cookie": "cookie-of-the-front-door=1"})
    wire.get(INVITEE, body=sample("calendly/invitee.json"))
    wire.get(EVENT, body=sample("calendly/scheduled_event.json"))
    wire.get(f"{API}/users/me", body=sample("calendly/user.json"))
    path = tmp_path / "calendly.sqlite"
    client = make_client(cache_backend=SQLiteCache(path, serializer="json"))
    kept = client.list_event_types("platform", USER)
    client.invitee("platform", INVITEE)
    client.scheduled_event("platform", EVENT)
    client.current_user("platform")
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with closing(sqlite3.connect(path)) as database:
        (row,) = database.execute("SELECT value FROM responses").fetchall()
    stored = files + base64.b64decode(json.loads(row[0])["_content"])
    assert b"Office Hours" in stored
    for secret in (TOKEN, "cookie-of-the-front-door", "grace@example.com", "ada@example.com", "Bearer"):
        assert secret.encode() not in stored
    other_process = make_client(cache_backend=SQLiteCache(path, serializer="json"))
    assert other_process.list_event_types("platform", USER) == kept
    assert len(wire.calls) == 4


def test_a_backend_that_fails_costs_only_speed(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """As when Redis is down: every read is a miss, and the log names the fault without its text."""
    fail = Mock(side_effect=ConnectionError("redis://:password@cache.internal:6379"))
    backend = BaseCache("broken")
    backend.responses = type("Broken", (DictStorage,), dict.fromkeys(BROKEN, fail))()
    wire.get(LIST, body=ONE_PAGE)
    client = make_client(cache_backend=backend)
    for _ in range(2):
        assert client.list_event_types("platform", USER).value
    client.invalidate("platform")
    assert len(wire.calls) == 2
    assert "failed to read: builtins.ConnectionError" in caplog.text
    assert "password" not in caplog.text


def test_expired_answers_are_deleted(clock: Traveller) -> None:
    """requests-cache's memory backend never does that by itself."""
    backend = BaseCache("kept")
    cache = AnswerCache(backend)
    for number in range(100):
        cache.put(f"platform|{number}", "https://api.calendly.com/x", b"{}")
    clock.move_to(START + timedelta(hours=25))
    cache.put("platform|new", "https://api.calendly.com/x", b"{}")
    assert list(backend.responses) == ["platform|new"]
    assert cache.get("platform|1") is None
    assert cache.get("platform|new") is not None


def test_keys_begin_with_the_tenant_and_hold_no_address() -> None:
    """So that a tenant's answers can be dropped, and a key can be logged."""
    key = AnswerCache.key("builder:1", LIST, {"user": USER})
    assert key.startswith("builder:1|")
    assert "4c1f0a9e" not in key
    assert key == AnswerCache.key("builder:1", LIST, {"user": USER})
    assert key != AnswerCache.key("builder:1", LIST, {"user": USER + "x"})
