"""Fixtures for every test: settings, a migrated database, the application, its client and its commands."""

from __future__ import annotations

import gc

# What is imported stays. To search it for garbage takes a fifth of the time to import it.
gc.disable()

import ipaddress
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
import responses
import sqlalchemy as sa
import stripe
from flask import Flask
from flask.testing import FlaskCliRunner
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, expect, sync_playwright
from pydantic_settings import PydanticBaseSettingsSource
from sqlalchemy.orm import Session

from bookingapp.accounts import passwords
from bookingapp.cli import register
from bookingapp.core import migrations, services
from bookingapp.core.clock import TIME_SOURCES
from bookingapp.core.db import Base, db
from bookingapp.core.settings import Settings
from bookingapp.factory import create_app
from bookingapp.integrations.calendly import CalendlyClient
from tests import canaries, fakes
from tests.browsers import ARGUMENTS, CHROMIUM
from tests.compiled import share_routes, share_statements, share_templates
from tests.factories import QUICK_HASHER
from tests.pages import PageClient, new_client
from tests.servers import let_go, missing, postgresql, redis_server
from tests.spread import ByUnit, rank

# Secrets of this suite alone.
SIGNING_KEY = "calendly-key-of-the-tests"
STRIPE_HOOK_SECRET = "whsec_of_the_tests"
SECRET_KEY = "the-cookie-key-of-the-tests-0123456789"
ENCRYPTION_KEY = "dGhlLWVuY3J5cHRpb24ta2V5LW9mLXRoZS10ZXN0cy4="
ENGINES = ("sqlite", "postgresql")


def pytest_configure(config: pytest.Config) -> None:
    """Register our marker; compile each route once."""
    config.addinivalue_line("markers", "any_database: runs on SQLite and on PostgreSQL")
    config.addinivalue_line("markers", "once_on_postgresql: its variants differ in Python alone")
    share_routes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit:
    """Whatever ``--dist`` says: other ways to spread the tests start an installation more often."""
    config.option.loadscopereorder = False
    return ByUnit(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring what takes longest to the front of the shuffled files, so that none is left to one process at the end."""
    once: dict[str, pytest.Function] = {}
    for item in items:
        if isinstance(item, pytest.Function) and _is_once(item):
            name = item.nodeid.partition("[")[0]
            once[name] = min(item, once.get(name, item), key=lambda one: sum(one.callspec.indices.values()))
    wanted = [one for one in items if not _is_once(one) or one in once.values()]
    items[:] = sorted(wanted, key=lambda item: rank(item.nodeid))


def _is_once(item: pytest.Item) -> bool:
    """Whether it is a variant of which PostgreSQL runs the first alone."""
    marker = item.get_closest_marker("once_on_postgresql")
    return marker is not None and item.callspec.params["database_url"] == "postgresql"  # type: ignore[attr-defined]


def pytest_collection_finish() -> None:
    search_for_garbage()


def search_for_garbage() -> None:
    """From now on Python may search for garbage, in what is made from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked ``any_database`` on SQLite and on PostgreSQL."""
    if metafunc.definition.get_closest_marker("any_database"):
        metafunc.parametrize("database_url", ENGINES, indirect=True)


# How long an example takes says how busy the machine is.
hypothesis_settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_the_shell() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_slow_on_purpose() -> Iterator[None]:
    """Stripe's SDK repeats without its pauses, and passwords are hashed quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
        patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.001)
        patch.setattr(passwords, "_hasher", QUICK_HASHER)
        yield


@pytest.fixture(scope="session")
def _unwanted_lines() -> Iterator[list[str]]:
    with canaries.watched() as seen:
        yield seen


@pytest.fixture(autouse=True)
def _no_secret_in_a_log(_unwanted_lines: list[str]) -> Iterator[None]:
    """No line of the application's log names a person, a reference or a secret."""
    yield
    found = list(_unwanted_lines)
    _unwanted_lines.clear()
    assert found == []


@pytest.fixture(autouse=True)
def _no_provider_has_said_the_time() -> None:
    """Each test is a process that has just started. One that travels has no provider that stayed behind."""
    TIME_SOURCES._read.clear()
    TIME_SOURCES._was_wrong = False


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """Refuse connections to other machines, except to the servers of TEST_*_URL."""
    named = [os.environ.get(name) or "" for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL")]
    allowed = {urlsplit(url).hostname for url in named} - {None}
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def check(host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if name in (None, "", "localhost") or name in allowed or _is_loopback(str(name)):
            return
        raise OSError(f"a test tried to reach {name}; tests reach this machine only")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_settings(instance_dir: Path, **overrides: Any) -> Settings:
    """Settings of a development machine with keys for both providers."""
    values: dict[str, Any] = {
        "app_env": "development",
        "instance_dir": instance_dir,
        "secret_key": SECRET_KEY,
        "encryption_keys": ENCRYPTION_KEY,
        "calendly_token": "token-of-the-tests",
        "calendly_webhook_signing_keys": SIGNING_KEY,
        "stripe_secret_key": "sk_test_of_the_tests",
        "stripe_webhook_secrets": STRIPE_HOOK_SECRET,
        **overrides,
    }
    # To search the shell and files, where nothing is to be found, takes as long as to make the application.
    with mock.patch.object(Settings, "settings_customise_sources", _given_alone):
        return Settings(_env_file=None, **values)


def _given_alone(
    *_: object, init_settings: PydanticBaseSettingsSource, **_others: object
) -> tuple[PydanticBaseSettingsSource, ...]:
    return (init_settings,)


def make_app(settings: Settings) -> Flask:
    """The application with its commands and our test client."""
    app = make_bare_app(settings)
    share_templates(app)
    share_statements(app)
    register(app)
    app.test_client_class = PageClient
    return app


def make_bare_app(settings: Settings) -> Flask:
    """The application, which can be migrated."""
    app = create_app(settings)
    forget_power_cuts(app)
    migrations.init_app(app)
    return app


def forget_power_cuts(app: Flask) -> None:
    """Do not wait for the disk at each commit: nothing in a test's database has to survive a power cut."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            # After the application's own listener, which asks for the opposite.
            sa.event.listen(
                db.engine, "connect", lambda connection, _: connection.execute("pragma synchronous=off")
            )


def close(app: Flask) -> None:
    """Close the application's connections, after its background refreshes: one that outlived its test would call the
    next test's providers.
    """
    with app.app_context():
        services.get(CalendlyClient).settle(60)
        db.session.remove()
        let_go(db.engine)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, migrated once for each process of the tests."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    app = make_bare_app(make_settings(folder))
    with app.app_context():
        flask_migrate.upgrade()
    close(app)
    path = folder / "bookingapp.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a PostgreSQL server where databases can be created."""
    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def empty_postgresql(postgresql_server: str) -> Iterator[str]:
    """A database without a schema, for this test alone."""
    with new_database(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the schema, migrated once for each process of the tests."""
    with new_database(postgresql_server) as url:
        app = make_bare_app(make_settings(tmp_path_factory.mktemp("migrating"), database_url=url))
        with app.app_context():
            flask_migrate.upgrade()
        close(app)
        yield url


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """A new database on the server, dropped at the end."""
    name = f"bookingapp_test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        # Nothing here has to survive a power cut.
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=ENGINES)
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The application on a database without a schema."""
    url = (
        f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        if request.param == "sqlite"
        else str(request.getfixturevalue("empty_postgresql"))
    )
    app = make_app(make_settings(tmp_path, database_url=url))
    yield app
    close(app)


@pytest.fixture
def empty_app(unmigrated: Flask) -> Iterator[Flask]:
    """The same, in its context."""
    with unmigrated.app_context():
        yield unmigrated


@pytest.fixture
def chromium(one_chromium: Browser) -> Iterator[Browser]:
    """Chromium, whose windows end with the test."""
    yield one_chromium
    for context in one_chromium.contexts:
        context.close()


@pytest.fixture(scope="session")
def one_chromium() -> Iterator[Browser]:
    """Chromium, started once for each process of the tests, which can have only one of Playwright's loops."""
    if not Path(CHROMIUM).exists():
        missing("no Chromium on this machine")
    # Milliseconds: a bound for what hangs, not for a busy machine.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database with the whole schema: SQLite, unless the test is marked ``any_database``."""
    if getattr(request, "param", "sqlite") == "sqlite":
        path = tmp_path / "bookingapp.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url = str(request.getfixturevalue("postgresql_url"))
    with psycopg.connect(url, autocommit=True) as connection:
        # In one statement, since each round trip costs hundreds of tests something.
        connection.execute(
            "; ".join(f'DELETE FROM "{one.name}"' for one in reversed(Base.metadata.sorted_tables))
        )
    return url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(tmp_path, database_url=database_url)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on an empty database."""
    app = make_app(settings)
    yield app
    close(app)


@pytest.fixture
def app_with(tmp_path: Path, database_url: str) -> Iterator[Callable[..., Flask]]:
    """Makes further applications, with other settings, on the test's database."""
    made: list[Flask] = []

    def make(**overrides: Any) -> Flask:
        made.append(make_app(make_settings(tmp_path, **{"database_url": database_url, **overrides})))
        return made[-1]

    yield make
    for one in made:
        close(one)


@pytest.fixture
def client(app: Flask) -> PageClient:
    return new_client(app)


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """The application's session, in an application context."""
    with app.app_context():
        yield db.session()


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """Every SQL statement of the application but the beginnings of transactions."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Answers the application's HTTP requests; one without an answer is an error."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def stripe_wire(wire: responses.RequestsMock) -> fakes.Stripe:
    """Stripe's answers within this process."""
    fake = fakes.Stripe()
    fake.install(wire)
    return fake


@pytest.fixture
def calendly_wire(wire: responses.RequestsMock) -> fakes.Calendly:
    """Calendly's answers within this process."""
    fake = fakes.Calendly()
    fake.install(wire)
    return fake
