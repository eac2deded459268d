"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import WorkState
from bookingapp.operations import health
from bookingapp.webhooks import counters
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import inbox_row
from tests.pages import PageClient, new_client
from tests.servers import free_port
from tests.web.conftest import without_table
from tests.web.test_webhooks import BODIES, send

Numbers = dict[tuple[str, ...], float]
COUNTED = ("deliveries_total", "deliveries_refused_total")


def beat(app: Flask, name: str, *, ago: float = 0) -> None:
    """A worker's heartbeat, ``ago`` seconds old."""
    with app.app_context():
        heartbeat.record_beat(db.session(), name, now=utcnow() - timedelta(seconds=ago))


def numbers(client: PageClient) -> Numbers:
    """Each sample by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("bookingapp_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.any_database
class TestReady:
    """Only a database that does not answer takes a web process out of rotation."""

    def test_workers(self, app: Flask, client: PageClient) -> None:
        """None yet, one that is gone, and two alive."""
        answer = client.get("/readyz")
        usual = {"status": "degraded", "clock": "ok", "database": "ok", "disk": "ok", "redis": "not used"}
        assert answer.status_code == 200
        assert answer.get_json() == {**usual, "workers": {"alive": 0, "last_seen_seconds": None}}
        beat(app, "gone", ago=600)
        said = client.get("/readyz").get_json()
        assert (said["status"], said["workers"]["alive"]) == ("degraded", 0)
        assert 600 <= said["workers"]["last_seen_seconds"] < 630
        beat(app, "one")
        beat(app, "two", ago=5)
        answer = client.get("/readyz")
        said = answer.get_json()
        assert 0 <= said["workers"].pop("last_seen_seconds") < 5
        assert answer.status_code == 200
        assert said == {**usual, "status": "ok", "workers": {"alive": 2}}

    def test_a_database_without_the_table(self, app: Flask, client: PageClient) -> None:
        """A schema that is too old: deliveries could not be stored either."""
        with without_table(app, "worker_beats"):
            answer = client.get("/readyz")
        said = answer.get_json()
        assert (answer.status_code, said) == (503, {"status": "unavailable", "database": "other"})

    def test_a_full_disk(self, app: Flask, client: PageClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """Pages that only read go on, so the process stays in rotation."""
        beat(app, "one")
        monkeypatch.setattr(health, "FULL_BYTES", 10**15)
        answer = client.get("/readyz")
        said = answer.get_json()
        assert (answer.status_code, said["status"], said["disk"]) == (200, "degraded", "full")


@pytest.mark.any_database
def test_ready_with_redis(app_with: Callable[..., Flask], redis_url: str) -> None:
    app = app_with(redis_url=redis_url)
    beat(app, "one")
    said = app.test_client().get("/readyz").get_json()
    assert (said["status"], said["redis"]) == ("ok", "ok")


@pytest.mark.any_database
def test_ready_while_redis_is_away(app_with: Callable[..., Flask]) -> None:
    """Degraded, without a long wait, and the answer shows nothing of its address."""
    app = app_with(redis_url=f"redis://:the-password@127.0.0.1:{free_port()}")
    beat(app, "one")
    client = app.test_client()
    for _ in range(3):
        before = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - before < 10
        said = answer.get_json()
        assert (answer.status_code, said["status"], said["redis"]) == (200, "degraded", "away")
        assert "the-password" not in answer.text


@pytest.mark.any_database
class TestNumbers:
    def test_of_workers(self, app: Flask, client: PageClient) -> None:
        assert numbers(client)["workers_alive",] == 0
        assert ("worker_last_seen_seconds",) not in numbers(client)
        beat(app, "one")
        beat(app, "gone", ago=100)
        said = numbers(client)
        assert said["workers_alive",] == 1
        assert 0 <= said["worker_last_seen_seconds",] < 5

    def test_of_the_inbox(self, app: Flask, client: PageClient) -> None:
        assert ("inbox_lag_mean_seconds",) not in numbers(client)
        now = utcnow()
        with app.app_context(), transaction(db.session()) as session:
            for number in range(103):
                # The oldest three took an hour, and are not among the newest hundred.
                took = 3600 if number < 3 else 2 if number == 102 else 1
                session.add(
                    InboxEvent(
                        **inbox_row(
                            str(number),
                            provider=Provider.STRIPE if number % 2 else Provider.CALENDLY,
                            received_at=now,
                            state=WorkState.DONE,
                            finished_at=now + timedelta(seconds=took),
                        )
                    )
                )
                session.flush()
        assert send(client, "stripe", BODIES["stripe"]).status_code == 200
        said = numbers(client)
        assert said["inbox_lag_mean_seconds",] == pytest.approx(1.01)
        assert said["inbox_lag_max_seconds",] == pytest.approx(2)
        assert said["inbox", "calendly", "done"] == 52
        assert said["inbox", "stripe", "done"] == 51
        assert said["inbox", "stripe", "received"] == 1

    @pytest.mark.parametrize("who", ["calendly", "stripe"])
    def test_of_deliveries(self, client: PageClient, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
        before = numbers(client)
        for _ in range(3):
            assert send(client, who, BODIES[who]).status_code == 200
        assert send(client, who, BODIES[who], key="wrong").status_code == 401
        assert client.post(f"/webhooks/{who}", data=b"{}").status_code == 401
        assert send(client, who, b"x" * 300_000).status_code == 413

        def away(*_: object) -> None:
            raise OperationalError("INSERT", {}, Exception("away"))

        with monkeypatch.context() as patch:
            patch.setattr("bookingapp.webhooks.intake.Intake._insert", away)
            assert send(client, who, b"another").status_code == 503
        after = numbers(client)
        grown = {key[1:]: value - before[key] for key, value in after.items() if key[0] in COUNTED}
        assert {key: by for key, by in grown.items() if by} == {
            (who, "kept"): 1,
            (who, "duplicate"): 2,
            (who, "mismatch"): 1,
            (who, "missing"): 1,
            (who, counters.TOO_LARGE): 1,
            (who, counters.NOT_STORED): 1,
        }


def test_without_a_key_it_is_counted(app_with: Callable[..., Flask]) -> None:
    client = new_client(app_with(stripe_webhook_secrets=""))
    before = numbers(client)
    assert send(client, "stripe", BODIES["stripe"]).status_code == 503
    key = ("deliveries_refused_total", "stripe", counters.NO_KEY)
    assert numbers(client)[key] == before[key] + 1


class TestWhoMaySee:
    """The details are for operators, the status for whatever balances the load."""

    @pytest.mark.parametrize(
        ("environ", "headers", "may"),
        [
            ({"REMOTE_ADDR": "127.0.0.1"}, {}, True),
            ({"REMOTE_ADDR": "::1"}, {}, True),
            ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, {}, True),
            ({"REMOTE_ADDR": "10.0.0.7"}, {}, False),
            ({"REMOTE_ADDR": "203.0.113.7"}, {}, False),
            ({"REMOTE_ADDR": "127.0.0.1"}, {"X-Forwarded-For": "203.0.113.7"}, False),
            ({"REMOTE_ADDR": "203.0.113.7"}, {"Authorization": "Bearer a-long-token"}, True),
            ({"REMOTE_ADDR": "203.0.113.7"}, {"Authorization": "Bearer another"}, False),
            ({"REMOTE_ADDR": "203.0.113.7"}, {"Authorization": "Bearer \xfc"}, False),
            ({"REMOTE_ADDR": "203.0.113.7"}, {"Authorization": "Basic YTph"}, False),
        ],
    )
    def test_by_address_or_token(
        self, app_with: Callable[..., Flask], environ: dict[str, str], headers: dict[str, str], *, may: bool
    ) -> None:
        client = app_with(metrics_token="a-long-token").test_client()
        how: dict[str, Any] = {"environ_base": environ, "headers": headers}
        assert client.get("/metrics", **how).status_code == (200 if may else 404)
        answer = client.get("/readyz", **how)
        assert answer.status_code == 200
        assert ("workers" in answer.get_json()) is may

    def test_without_a_token_no_token_opens_it(self, client: PageClient) -> None:
        environ = {"REMOTE_ADDR": "203.0.113.7"}
        for header in ("Bearer ", "Bearer None"):
            assert (
                client.get("/metrics", environ_base=environ, headers={"Authorization": header}).status_code
                == 404
            )


def test_metrics_without_the_database(app_with: Callable[..., Flask]) -> None:
    """Prometheus would take an error for a process that is gone, and lose what this one has counted."""
    app = app_with(database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert "bookingapp_database_up 0.0" in answer.text
    assert "bookingapp_deliveries_refused_total{" in answer.text
    assert "bookingapp_workers_alive" not in answer.text
