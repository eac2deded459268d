"""The webhooks' page names exactly the metrics that there are."""

from __future__ import annotations

import re
from datetime import timedelta

from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.webhooks import counters
from bookingapp.webhooks.models import InboxEvent
from tests.factories import inbox_row, make_booking
from tests.pages import PageClient

PAGE = PROJECT_ROOT / "docs" / "CALENDLY_WEBHOOK_IMPLEMENTATION.md"
ROW = re.compile(r"^\| (?P<names>(?:`[a-z_]+(?:\{[a-z,]+\})?`(?:, )?)+) \|", re.MULTILINE)
NAME = re.compile(r"`(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z,]+)\})?`")


def documented() -> dict[str, set[str]]:
    """Each metric of the table, with its labels."""
    text = PAGE.read_text().partition("`GET /metrics`")[2]
    return {
        one["name"]: set(filter(None, (one["labels"] or "").split(",")))
        for row in ROW.finditer(text)
        for one in NAME.finditer(row["names"])
    }


def test_the_page_names_the_metrics_that_there_are(app: Flask, client: PageClient) -> None:
    now = utcnow()
    with app.app_context():
        make_booking(db.session(), now=now)
        heartbeat.record_beat(db.session(), "one", now=now)
        with transaction(db.session()) as session:
            session.add(
                InboxEvent(
                    **inbox_row(
                        "one",
                        received_at=now,
                        state=WorkState.DONE,
                        finished_at=now + timedelta(seconds=1),
                    )
                )
            )
            assert session.query(Job).count() > 0
    found = {
        sample.name.removeprefix("bookingapp_"): set(sample.labels)
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert documented() == found


def test_every_reason_of_a_refusal_is_explained() -> None:
    for reason in counters.REASONS:
        assert f"`{reason}`" in PAGE.read_text()
