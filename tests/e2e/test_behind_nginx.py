"""The deployment of docs/deploy.md: nginx with TLS before two web processes and a worker, on PostgreSQL and Redis."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bookingapp.core.security import HTMX_FALLBACK
from bookingapp.core.settings import PROJECT_ROOT
from tests.conftest import new_database
from tests.nginx import Proxy, plan_proxy, running
from tests.servers import own_redis
from tests.waiting import eventually

from .road import PAID_ROAD
from .stack import Stack
from .visitor import Visitor

MOST_LOG_INS = 30  # A minute, from one address.


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    return plan_proxy(tmp_path_factory.mktemp("nginx"))


@pytest.fixture(scope="module")
def stack(postgresql_server: str, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("instance-nginx")
    with new_database(postgresql_server) as url, own_redis() as redis:
        settings = {"REDIS_URL": redis.url, "TRUSTED_PROXIES": "1"}
        stack = Stack(folder, url, webs=2, settings=settings, proxy=proxy)
        with running(proxy, stack.urls):
            try:
                stack.start()
                yield stack
            finally:
                stack.stop()


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Visitor]:
    one = Visitor(stack)
    yield one
    one.http.close()
    stack.check_logs()


def test_a_client_books_and_pays_and_the_doctor_finds_nothing(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.schedule()
    page = booking.pay_on_page(booking.open_checkout())
    assert page.response.url.startswith(f"{stack.url}/bookings/{booking.ref}")
    booking.wait("confirmed", "paid")
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]
    assert all(cookie.secure for cookie in visitor.http.cookies)

    webhooks = stack.deliveries(booking.ref)
    assert {row["event"] for row in webhooks} >= {"invitee.created", "checkout.session.completed"}
    assert {(row["url"].rpartition("/webhooks/")[0], row["state"]) for row in webhooks} == {
        (stack.url, "delivered")
    }

    stack.run("stripe", "subscribe")
    assert "bad" not in stack.run("doctor")


def test_what_is_not_public(stack: Stack, proxy: Proxy, visitor: Visitor) -> None:
    """The application itself answers a scraper; through the proxy there is nothing."""
    for path in ("/metrics", "/readyz"):
        assert visitor.get(path).status == 404
        # The second, because another test stops the first.
        assert requests.get(stack.urls[1] + path, timeout=10).status_code == 200
    assert visitor.get("/healthz").response.json() == {"status": "ok"}
    booking = visitor.book()
    eventually(lambda: " POST " in proxy.access_log, what="the access log")
    assert booking.ref not in proxy.access_log
    host, port = urlsplit(stack.url).hostname, urlsplit(stack.url).port
    context = ssl.create_default_context(cafile=stack.certificate)
    context.check_hostname = False
    with socket.create_connection((host, port)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="another.example")


def test_webhooks_meet_no_redirect(stack: Stack, proxy: Proxy, visitor: Visitor) -> None:
    """Every page by http leads to https; a webhook is refused there, and answered by the application here."""
    plain = visitor.http.get(f"{proxy.plain_url}/builders/x?y=1", allow_redirects=False, timeout=10)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/builders/x?y=1")
    for provider in ("calendly", "stripe"):
        path = f"/webhooks/{provider}"
        assert visitor.http.post(proxy.plain_url + path, timeout=10).status_code == 403
        for address in (path, f"{path}/"):
            answer = visitor.http.post(stack.url + address, allow_redirects=False, timeout=10)
            assert (answer.status_code, answer.headers["X-Answered-By"]) == (401, "bookingapp")
        large = visitor.http.post(stack.url + path, data=bytes(257 * 1024), timeout=10)
        assert large.status_code == 413


def test_static_files_come_from_the_tree_and_stay_in_caches(visitor: Visitor) -> None:
    sheet = visitor.get("/").one("link[rel=stylesheet][href^='/static/']")["href"]
    answer = visitor.get(str(sheet)).response
    assert "X-Answered-By" not in answer.headers
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    file = PROJECT_ROOT / "bookingapp" / urlsplit(str(sheet)).path.lstrip("/")
    assert answer.content == Path(file).read_bytes()
    plain = visitor.get(urlsplit(str(sheet)).path).response
    assert plain.headers["Cache-Control"] == "public, max-age=3600"


def test_limits_count_the_clients_own_address(stack: Stack, visitor: Visitor) -> None:
    """What a client writes about its address is not believed."""

    def try_log_in(client: Visitor, invented: str) -> int:
        client.token = str(client.get("/login").one("[name=csrf_token]")["value"])
        form, headers = {"csrf_token": client.token}, {"Origin": stack.url, "X-Forwarded-For": invented}
        return client.http.post(f"{stack.url}/login", data=form, headers=headers, timeout=10).status_code

    tries = [try_log_in(visitor, f"203.0.113.{number}") for number in range(MOST_LOG_INS + 1)]
    assert tries == [*[422] * MOST_LOG_INS, 429]
    other = Visitor(stack)
    assert try_log_in(other, "203.0.113.99") == 422
    other.http.close()


def test_one_process_answers_while_the_other_restarts(stack: Stack, visitor: Visitor) -> None:
    """As at an upgrade: no page fails, and a booking goes on."""
    booking = visitor.book()

    def read_pages() -> None:
        for _ in range(20):
            assert visitor.get(f"/bookings/{booking.ref}/schedule").status == 200

    assert stack.end("web", meanwhile=read_pages) == 0
    read_pages()
    booking.confirm()


def test_what_every_page_needs_is_compressed(stack: Stack) -> None:
    """Sheets and scripts, as nginx sends them: four fifths of the 60 KB that a first view may have."""
    files = ("app.css", "app.js", HTMX_FALLBACK, "vendor/pico-2.1.1.layer.min.css")
    sent = 0
    for name in files:
        headers = {"Accept-Encoding": "gzip"}
        with requests.get(
            f"{stack.url}/static/{name}", headers=headers, verify=stack.certificate, stream=True, timeout=10
        ) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            sent += len(answer.raw.read(decode_content=False))
    assert sent <= 48_000
