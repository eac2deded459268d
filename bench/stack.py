"""The product, the stand-in providers and the bare reference as processes, on free ports, in a temporary folder."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import requests

from bench.bare import DATABASE, SECRET
from bookingapp.cli.processes import SANDBOX_SECRETS, sandbox_addresses
from bookingapp.core.settings import PROJECT_ROOT, Settings

START_SECONDS = 40.0
LOCAL_POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
STRIPE_SECRET = SANDBOX_SECRETS["STRIPE_WEBHOOK_SECRETS"]


class Stack:
    """Everything that is measured. Ends all of it at the end of the ``with`` block."""

    def __init__(self, folder: Path, database_url: str | None = None, processes: int = 1) -> None:
        web, sandbox, bare = (_free_port() for _ in range(3))
        self.database_url = database_url or f"sqlite:///{folder / 'bookingapp.sqlite3'}"
        self.url, self.sandbox_url, self.bare_url = (
            f"http://127.0.0.1:{port}" for port in (web, sandbox, bare)
        )
        self._folder = folder
        inherited = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
        self.environment = {
            **inherited,
            **sandbox_addresses(self.sandbox_url),
            **SANDBOX_SECRETS,
            "INSTANCE_DIR": str(folder),
            "PUBLIC_URL": self.url,
            "LOG_FORMAT": "json",
            "DATABASE_URL": self.database_url,
            DATABASE: database_url or f"sqlite:///{folder / 'bare.sqlite3'}",
            SECRET: STRIPE_SECRET,
        }
        flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
        self._commands = {
            "sandbox": [*flask, "sandbox", "--port", str(sandbox), "--app-url", self.url],
            "web": [*flask, "serve", "--port", str(web), "--workers", str(processes)],
            "bare": [sys.executable, "-m", "bench.bare", str(bare)],
        }
        self._flask = flask
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._http = requests.Session()
        self._http.trust_env = False

    def __enter__(self) -> Self:
        try:
            self._spawn("sandbox")
            self._run("db", "upgrade")
            self._run("demo")
            self._spawn("bare")
            self._spawn("web")
            self._await(f"{self.sandbox_url}/healthz")
            self._await(f"{self.bare_url}/page")
            self._await(f"{self.url}/readyz")
        except BaseException:
            self._end_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_all()

    @contextmanager
    def workers(self, count: int = 1) -> Iterator[list[int]]:
        """So many workers for as long as the block lasts; their process ids."""
        names = [f"worker-{number}" for number in range(count)]
        for name in names:
            self._commands[name] = [*self._flask, "worker"]
            self._spawn(name)
        try:
            yield [self._running[name].pid for name in names]
        finally:
            for name in names:
                self._end(name)

    def pid(self, name: str) -> int:
        """The process id of one of ``web``, ``sandbox`` and ``bare``."""
        return self._running[name].pid

    def restart_web(self) -> None:
        """A web process that knows nothing yet."""
        self._end("web")
        self._spawn("web")
        self._await(f"{self.url}/readyz")

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The sandbox's control API: a look, or with a body an order."""
        address = f"{self.sandbox_url}/control/api/{path}"
        answer = (
            self._http.get(address, timeout=10)
            if body is None
            else self._http.post(address, json=body, timeout=10)
        )
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str, **headers: str) -> requests.Response:
        """One page of the product."""
        return self._http.get(f"{self.url}{path}", headers=headers, timeout=40)

    def post(self, path: str, fields: dict[str, str]) -> requests.Response:
        """One form of the product."""
        return self._http.post(f"{self.url}{path}", data=fields, headers={"Origin": self.url}, timeout=40)

    def event_type_calls(self) -> int:
        """How often Calendly was asked for a list of event types since the request log was reset."""
        return int(self.control("requests?path=/calendly-api/event_types")["total"])

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._flask, *arguments],
            env=self.environment,
            cwd=PROJECT_ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _spawn(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._commands[name],
                env=self.environment,
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._http.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{url} did not come up")

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)

    def _end_all(self) -> None:
        for name in list(self._running):
            self._end(name)
        self._http.close()


def database_name(url: str) -> str:
    """How the database behind an address is called in the table."""
    return "PostgreSQL" if url.startswith("postgresql") else "SQLite"


@contextmanager
def postgresql_database() -> Iterator[str | None]:
    """The address of a fresh database on the server of TEST_DATABASE_URL, dropped at the end; None without a server."""
    server = os.environ.get("TEST_DATABASE_URL") or LOCAL_POSTGRESQL
    name = f"bookingapp_bench_{secrets.token_hex(6)}"
    try:
        connection = psycopg.connect(server, autocommit=True)
    except psycopg.OperationalError:
        yield None
        return
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
