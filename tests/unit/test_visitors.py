"""By what visitors are told apart, and how often they may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from bookingapp.core import quotas
from bookingapp.core.errors import TooOften
from bookingapp.core.visitors import current_visitor, mailbox, visitor_address
from tests.conftest import close, make_app, make_settings


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("Grace@Example.org", "grace@example.org"),
        ("grace+news@example.org", "grace@example.org"),
        ("g.race@example.org", "g.race@example.org"),
        ("+tag@example.org", "+tag@example.org"),
        ("g.r.a.c.e+1@gmail.com", "grace@gmail.com"),
        ("grace@googlemail.com", "grace@gmail.com"),
        ("info@müller.de", "info@xn--mller-kva.de"),
        ("info@XN--MLLER-KVA.de", "info@xn--mller-kva.de"),
        ('"a@b"@example.org', '"a@b"@example.org'),
        ("no address", "@no address"),
    ],
)
def test_a_mailbox_has_one_spelling(email: str, expected: str) -> None:
    assert mailbox(email) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.7:52114", "192.0.2.7"),
        ("[2001:db8:1:2:aaaa::1]:52114", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:aaaa::1]", "2001:db8:1:2::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_is_the_network_of_a_household(app: Flask, sent: str, expected: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": sent}):
        assert visitor_address() == expected
        assert expected not in current_visitor().address


@pytest.fixture(params=["memory", "redis", "away"])
def counting_app(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[Flask]:
    """The application without a Redis, with one, and with one that is not there."""
    urls = {"memory": None, "away": "redis://127.0.0.1:1/0"}
    url = urls[request.param] if request.param in urls else request.getfixturevalue("redis_url")
    app = make_app(make_settings(tmp_path, database_url=database_url, redis_url=url))
    yield app
    close(app)


def test_no_more_than_the_quota_pass_at_once(counting_app: Flask) -> None:
    """Then the wait is known, other subjects have their own, and what is forgotten is not counted."""
    # A first request tells the limiter whether its Redis is there.
    counting_app.test_client().get("/login")
    subject, all_ready = uuid4().hex, threading.Barrier(25, timeout=30)

    def spend(_: int) -> bool:
        all_ready.wait()
        with counting_app.app_context():
            return quotas.try_spend(quotas.LINKS, subject) == 0

    with ThreadPoolExecutor(25) as pool:
        assert sum(pool.map(spend, range(25))) == 3
    with counting_app.app_context():
        assert 29 * 60 < quotas.seconds_until_left(quotas.LINKS, subject) <= 30 * 60
        with pytest.raises(TooOften, match=r"Please try again in (29|30) minutes\.") as refused:
            quotas.spend(quotas.LINKS, subject)
        assert 29 * 60 < (refused.value.retry_after or 0) <= 30 * 60
        quotas.spend(quotas.LINKS, f"{subject} another")
        quotas.forget(quotas.LINKS, subject)
        assert quotas.seconds_until_left(quotas.LINKS, subject) == 0
