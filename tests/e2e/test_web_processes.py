"""The processes of one ``flask serve``: what they share, and how they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bookingapp.core.settings import PROJECT_ROOT
from tests.servers import free_port
from tests.unit.integrations.stub_server import StubServer, running
from tests.waiting import eventually

from .stack import START_SECONDS, flask_command

COUNTER = "bookingapp_deliveries_refused_total"


@dataclass(frozen=True)
class Site:
    """A running ``flask serve``: the process that watches, and where the others answer."""

    watching: subprocess.Popen[bytes]
    url: str

    def children(self) -> set[int]:
        command = ["pgrep", "-P", str(self.watching.pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return {int(pid) for pid in found.split()}

    def get(self, path: str) -> requests.Response | None:
        """The answer on a new connection, which any of the processes may take; ``None`` where nobody listens."""
        try:
            return requests.get(self.url + path, timeout=5, headers={"Connection": "close"})
        except requests.ConnectionError:
            return None

    def clock(self) -> object:
        """What one of the processes says of the machine's clock."""
        page = self.get("/readyz")
        return page and page.json().get("clock")

    def refused(self) -> float:
        """How many deliveries were refused, by the metrics."""
        page = self.get("/metrics")
        assert page is not None
        return sum(
            sample.value
            for family in text_string_to_metric_families(page.text)
            for sample in family.samples
            if sample.name == COUNTER
        )


@pytest.fixture
def provider() -> Iterator[StubServer]:
    """A server whose clock is two hours behind ours."""
    with running() as stub:
        late = datetime.now(UTC) - timedelta(hours=2)
        stub.answer(b"{}", status=404, Date=format_datetime(late, usegmt=True))
        yield stub


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path, provider: StubServer) -> Iterator[Site]:
    shutil.copy(sqlite_template, tmp_path / "bookingapp.sqlite3")
    port = free_port()
    chosen = {
        "INSTANCE_DIR": str(tmp_path),
        "STRIPE_WEBHOOK_SECRETS": "whsec_of_the_test",
        **dict.fromkeys(("CALENDLY_API_URL", "STRIPE_API_URL"), provider.url),
    }
    watching = subprocess.Popen(
        flask_command("serve", "--port", str(port), "--workers", "2"),
        env={**os.environ, **chosen},
        cwd=PROJECT_ROOT,
        start_new_session=True,
    )
    one = Site(watching, f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: one.get("/healthz"), "the first answer", seconds=START_SECONDS)
        yield one
    finally:
        with suppress(ProcessLookupError):
            os.killpg(watching.pid, signal.SIGKILL)
        watching.wait(timeout=10)


def test_each_process_asks_for_the_time_before_anybody_books(site: Site) -> None:
    """No page of it has asked a provider for anything."""
    eventually(
        lambda: {site.clock() for _ in range(6)} == {"wrong"}, "a process that knows its clock is wrong"
    )


def test_a_second_server_does_not_share_the_port(site: Site) -> None:
    """Half of the requests would be answered by what was to be replaced, with old code and old secrets."""
    port = site.url.rpartition(":")[2]
    second = subprocess.run(
        flask_command("serve", "--port", port),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert (second.returncode, second.stderr.strip()) == (1, f"Error: port {port} is in use")


def test_the_processes_share_their_counts_and_end_with_the_one_that_watches(site: Site) -> None:
    """Also those of a process that was killed, and where the one that watches is killed itself."""
    for _ in range(20):
        assert requests.post(f"{site.url}/webhooks/stripe", data="{}", timeout=5).status_code == 401
    # Any process may answer each of them.
    assert {site.refused() for _ in range(6)} == {20.0}

    before = site.children()
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    eventually(
        lambda: site.children() - before and len(site.children()) == 2,
        "another process to take its place",
        seconds=START_SECONDS,
    )
    assert {site.refused() for _ in range(6)} == {20.0}

    site.watching.kill()
    eventually(lambda: site.get("/healthz") is None, "nobody to listen", seconds=START_SECONDS)
