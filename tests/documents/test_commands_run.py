"""Every command of every document is run, in one installation with the sandbox; what cannot be is listed, with why."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import click
import psycopg
import pytest
import sqlalchemy as sa

from bookingapp.core import heartbeat
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import PROJECT_ROOT, Settings, reveal
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.routing import STRIPE_EVENTS
from tests.house.commands import CALL, CODE, FENCE, all_commands, words
from tests.house.test_documents import PAGES
from tests.live import ADA, HOUR, KENJI, Live
from tests.servers import missing

# Where they are performed instead, or why they cannot be.
ELSEWHERE = {
    "make": "they are the tests and tools themselves; e2e/test_make_run.py performs `make run`",
    ".venv/bin/python": "of another tree, installed from a package index; and the tests themselves",
    "/usr/bin/python3": "makes that tree",
    "apt-get": "changes the machine",
    "useradd": "changes the machine",
    "install": "to folders that are root's",
    "cd": "to folders of deploy.md",
    "umask": "for the files of deploy.md",
    "ln": "to folders of deploy.md",
    "mkdir": "in folders of deploy.md; money/test_restored_backup.py restores a copy",
    "mv": "like mkdir",
    "rm": "of nginx's own site",
    "diff": "of two releases",
    "systemctl": "needs systemd; house/test_deploy.py has its units checked",
    "certbot": "needs a public name; house/test_deploy.py compares its folder with the site's",
    "sed": "e2e/test_behind_nginx.py starts nginx with the site",
    "nginx": "e2e/test_behind_nginx.py starts nginx with the site",
    "docker": "needs its daemon; house/test_deploy.py reads the files",
    "runuser": "roles and copies: e2e/test_rotations.py, money/test_restored_backup.py; what only reads is below",
    "redis-cli": "e2e/test_rotations.py",
}
PROCESSES = {"serve", "worker", "sandbox", "shell"}
"""Commands that do not end: every test of e2e/ starts them."""
SKIPPED = re.compile(r"\s*(#.*)?")


@dataclass(frozen=True)
class Line:
    """One command of a document, as it would be typed."""

    page: str
    text: str
    is_block: bool


COMMANDS = all_commands()


def lines() -> Iterator[Line]:
    """Those of shell blocks, and what stands in backticks."""
    for path in PAGES:
        page, text = path.relative_to(PROJECT_ROOT).as_posix(), path.read_text()
        for kind, block in FENCE.findall(text):
            if kind in ("sh", "shell", "bash"):
                found = block.replace("\\\n", " ").splitlines()
                yield from (
                    Line(page, one.strip(), is_block=True) for one in found if not SKIPPED.fullmatch(one)
                )
        yield from (Line(page, one, is_block=False) for one in CODE.findall(FENCE.sub("", text)))


def ours(line: Line) -> list[str] | None:
    """What follows the program's name in a command of ours."""
    bare = re.sub(r"\s#\s.*|\s#$", "", line.text).strip()
    if found := CALL.search(bare):
        return words(bare[found.end() :])
    first = bare.split()[0]
    group = COMMANDS.commands.get(first)
    return words(bare) if not line.is_block and isinstance(group, click.Group) and bare != first else None


def is_whole(given: list[str]) -> bool:
    """Whether it is a command with all that it needs; a text may also name one without."""
    command: click.Command = COMMANDS
    rest = list(given)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    needed = [one for one in command.params if one.required]
    options = [one.opts[0] for one in needed if isinstance(one, click.Option)]
    return len(rest) >= len(needed) and set(options) <= set(rest) and "…" not in given


@dataclass(frozen=True)
class Installation:
    """One with a builder, a booking, a dead delivery and a dead job, all of which commands may change."""

    live: Live
    ref: str

    def fill_in(self, given: list[str]) -> list[str]:
        """The command with this installation's values for what it leaves open."""
        with self.live.database() as session:
            event = session.scalars(sa.select(InboxEvent.id).order_by(InboxEvent.id)).first()
            job = session.scalars(sa.select(Job.id).where(Job.name == MAIL)).first()
        hands, number = self.live.hands, str(job if given[0] == "outbox" else event)
        values = {
            "EMAIL": "olu@example.com" if "--name" in given else "kenji@example.com",
            "NEW_EMAIL": "kenji@example.org",
            "NAME": "Olu Adeyemi",
            "N": "Mei Tanaka",
            "E": "mei@example.com",
            "REF": self.ref,
            "BOOKING": self.ref,
            "ANYTHING": "grace@example.org",
            "SLUG": "kenji",
            "REVISION": "0031",
            "TIME": "2026-01-01T00:00:00Z",
            "ID": number,
            "17": number,
            "https://api.calendly.com/users/…": hands.user(ADA),
            "https://api.calendly.com/event_types/…": hands.event_type(HOUR),
        }
        return [values.get(word, word) for word in given]

    def prepare(self) -> None:
        """Everything dead again, whatever the command before has done with it, and a worker that is alive."""
        now = utcnow()
        with self.live.database() as session:
            with transaction(session):
                session.execute(sa.update(InboxEvent).values(state=WorkState.DEAD))
                session.execute(sa.update(Job).where(Job.name == MAIL).values(state=WorkState.DEAD))
            heartbeat.record_beat(session, heartbeat.new_name(), now=now)


@pytest.fixture
def installation(live: Live) -> Installation:
    """A worker that is alive, an endpoint in Stripe with our events, a builder, and a booking that is scheduled."""
    live.builder("kenji", KENJI, {KENJIS: {"currency": "JPY", "price_minor": 9000}})
    browser, ref = live.book(KENJIS, "kenji")
    live.choose(browser, ref, KENJIS)
    live.work()
    store = live.hands.server.sandbox.store
    (row,) = store.all("webhook_endpoint")
    store.put("webhook_endpoint", row["id"], {**row, "enabled_events": list(STRIPE_EVENTS)})
    return Installation(live, ref)


MAIL = "mail.booking"
KENJIS = "ETKENJICONSUL060"
LINES = list(lines())


def to_run(line: Line) -> list[str] | None:
    given = ours(line)
    is_named_alone = given is not None and not line.is_block and not is_whole(given)
    return None if given is None or given[0] in PROCESSES or is_named_alone else given


@pytest.mark.parametrize("page", sorted({one.page for one in LINES if to_run(one)}))
def test_commands_of_ours(installation: Installation, page: str) -> None:
    run = installation.live.runner().invoke
    wanted = {tuple(given): line for line in LINES if line.page == page and (given := to_run(line))}
    failed = []
    for command, line in wanted.items():
        installation.prepare()
        with mock.patch.dict(os.environ, BUILDER_PASSWORD="a long enough password"):
            result = run(args=installation.fill_in(list(command)))
        if result.exit_code:
            failed.append((line.text, result.exit_code, result.output, result.exception))
        if command[:2] == ("db", "downgrade"):
            assert run(args=["db", "upgrade"]).exit_code == 0
    assert failed == []


def test_curl(installation: Installation, settings: Settings) -> None:
    """Each ``curl``, with the sandbox for Calendly and the application for what is asked from outside."""
    if shutil.which("curl") is None:
        missing("no curl on this machine")
    hands = installation.live.hands
    (subscription,) = hands.subscriptions()
    for line in [one for one in LINES if re.match(r"curl .", one.text)]:
        text = re.sub(
            r"(127\.0\.0\.1:8000|https://(YOUR\.NAME|book\.example\.com))", settings.public_url, line.text
        )
        text = re.sub(r"https://api\.calendly\.com/organizations/…", hands.organization, text)
        text = re.sub(r"https://api\.calendly\.com/webhook_subscriptions/…", subscription["uri"], text)
        text = text.replace("https://api.calendly.com", settings.calendly_api_url)
        environment = {**os.environ, "CALENDLY_TOKEN": reveal(settings.calendly_token) or "", "NO_PROXY": "*"}
        command = text.replace("curl", "curl --write-out '\\n%{http_code}'", 1)
        done = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, check=False
        )
        status = done.stdout.rpartition("\n")[2]
        wanted = "401" if "/webhooks/" in text else "204" if "DELETE" in text else "200"
        assert (done.returncode, status) == (0, wanted), (line, done.stdout, done.stderr)


def test_keys_are_made() -> None:
    """The commands of settings.md: each prints another key each time."""
    found = [one.text for one in LINES if one.is_block and one.text.startswith("python -c ")]
    assert len(found) == 2
    for text in found:
        command = ["sh", "-c", text.replace("python", shlex.quote(sys.executable), 1)]
        keys = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
        assert len(keys) == 2
        assert min(map(len, keys)) >= 32


def test_queries_on_postgresql(postgresql_url: str) -> None:
    """What the runbooks ask PostgreSQL."""
    found = [query for one in LINES if (query := re.search(r'psql bookingapp -c "(SELECT [^"]+)"', one.text))]
    assert found
    with psycopg.connect(postgresql_url) as connection:
        for query in found:
            connection.execute(query[1].encode())


def test_everything_else_is_on_the_list() -> None:
    """And the list has nothing that no document names."""
    others = {
        re.sub(r"^([A-Z_]+=\S+ )+", "", one.text).split()[0]
        for one in LINES
        if one.is_block and not ours(one) and not one.text.startswith(("curl ", "python -c "))
    }
    assert others == set(ELSEWHERE)
