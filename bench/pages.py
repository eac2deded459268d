"""Processor time of whole pages, inside a copy of the application: no server, client or other process in between.

A machine that is busy lengthens every time that passes; the processor time of one thread, hardly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest import mock
from wsgiref.util import setup_testing_defaults

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bench.stack import Stack
from bookingapp.core import migrations
from bookingapp.core.db import db
from bookingapp.core.settings import load_settings
from bookingapp.factory import create_app

Call = Callable[[], object]


@contextmanager
def copy_of_application(stack: Stack, database_url: str | None = None) -> Iterator[Flask]:
    """The application on the same database, or on an empty one. Its lines of the log are made and thrown away."""
    environment = {**stack.environment, "DATABASE_URL": database_url or stack.database_url}
    with mock.patch.dict("os.environ", environment, clear=True):
        app = create_app(load_settings())
    if database_url:
        migrations.init_app(app)
        with app.app_context():
            flask_migrate.upgrade()
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        handler = logging.getLogger().handlers[0]
        was = handler.setStream(nowhere)  # type: ignore[attr-defined]
        try:
            yield app
        finally:
            handler.setStream(was)  # type: ignore[attr-defined]
            with app.app_context():
                db.engine.dispose()


def get(app: Flask, path: str, cookie: str = "") -> bytes:
    """One page, asked for as a server asks. Raises ``RuntimeError`` for any other answer than 200."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_COOKIE": cookie,
        "wsgi.input": BytesIO(),
    }
    setup_testing_defaults(environ)
    answered: list[str] = []
    chunks = app(environ, lambda status, _headers, _error=None: answered.append(status))  # type: ignore[arg-type, return-value]
    body = b"".join(chunks)
    if close := getattr(chunks, "close", None):
        close()
    if not answered[0].startswith("200"):
        raise RuntimeError(f"{path}: {answered[0]}")
    return body


def processor_time(calls: Sequence[Call], engines: Sequence[sa.Engine], rounds: int = 60) -> list[float]:
    """Milliseconds of one call of each: the lower quartile of ``rounds``, made in turns. With PostgreSQL on this
    machine, that of its processes is in it.
    """
    spent: list[list[float]] = [[] for _ in calls]
    for call in calls:
        # Statements are compiled, and prepared by PostgreSQL, at some of the first executions.
        for _ in range(12):
            call()
    clock = _Clock(engines)
    for _ in range(rounds):
        for times, call in zip(spent, calls, strict=True):
            began = clock.read()
            call()
            times.append((clock.read() - began) * 1000)
    return [quantiles(times)[0] for times in spent]


class _Clock:
    """Seconds of processor time of this thread and of the servers behind its connections."""

    def __init__(self, engines: Sequence[sa.Engine]) -> None:
        self._files = []
        for engine in engines:
            if engine.dialect.name == "postgresql":
                with engine.connect() as connection:
                    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
                file = Path(f"/proc/{pid}/schedstat")
                self._files += [file] if file.exists() else []

    def read(self) -> float:
        """The sum."""
        return time.thread_time() + sum(int(file.read_text().split()[0]) for file in self._files) / 1e9
