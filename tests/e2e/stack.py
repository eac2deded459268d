"""The real application, its worker and the sandbox as real processes on free ports, with a database of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import requests
import sqlalchemy as sa

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.cli import register
from bookingapp.cli.processes import SANDBOX_SECRETS, sandbox_addresses
from bookingapp.core.queue import Job
from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.factory import create_app
from bookingapp.payments.models import LedgerEntry, Payment
from bookingapp.webhooks.models import InboxEvent
from tests.conftest import close
from tests.nginx import Proxy
from tests.servers import free_port, let_go
from tests.waiting import eventually

APP_MODULE = "wsgi"

START_SECONDS = 150.0

# What never belongs in a log: people, cards, keys, and the traces of a fault.
UNWANTED = ("@example.org", "Zoë", "4242424242424242", "4242 4242", *SANDBOX_SECRETS.values())
FAULTS = ("Traceback", "unexpected_error", "work_failed_unexpectedly", "worker_step_failed")

T = TypeVar("T")


def environment(instance: Path, url: str, sandbox_url: str, database_url: str | None) -> dict[str, str]:
    """The settings of the stack, and no others: ``tests/conftest.py`` has removed those of the shell."""
    chosen = {"INSTANCE_DIR": str(instance), "PUBLIC_URL": url, "LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}
    if database_url:
        chosen["DATABASE_URL"] = database_url
    return {**os.environ, **sandbox_addresses(sandbox_url), **SANDBOX_SECRETS, **chosen}


def _names(kind: str, count: int) -> list[str]:
    return [kind, *(f"{kind}-{number}" for number in range(2, count + 1))]


def flask_command(*arguments: str) -> list[str]:
    """``flask --app wsgi …`` with this interpreter."""
    return [sys.executable, "-m", "flask", "--app", APP_MODULE, *arguments]


def _connect(url: str) -> sa.Engine:
    # Some tests take the database away for a while.
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)


class Stack:
    """One running product. ``url`` is the application, ``sandbox_url`` the stand-in providers.

    ``webs`` and ``workers`` are how many processes of each there are: ``web`` (whose address is ``url``), ``web-2``
    and so on, whose addresses are ``urls``; ``worker``, ``worker-2`` and so on, each with ``worker_options``.
    ``settings`` are further ones of the application. With a ``proxy`` in front, ``url`` is the proxy's.
    """

    def __init__(
        self,
        instance: Path,
        database_url: str | None = None,
        *,
        webs: int = 1,
        workers: int = 1,
        worker_options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        sandbox_port, ports = free_port(), [free_port() for _ in range(webs)]
        self.instance = instance
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.url = proxy.url if proxy else self.urls[0]
        self.certificate = str(proxy.certificate) if proxy else None
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        self._environment = {
            **environment(instance, self.url, self.sandbox_url, database_url),
            **({"REQUESTS_CA_BUNDLE": self.certificate} if self.certificate else {}),
            **(settings or {}),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._read: dict[Path, int] = {}
        self._began: dict[str, int] = {}
        self.webs = _names("web", webs)
        self.workers = _names("worker", workers)
        self._arguments: dict[str, tuple[str, ...]] = {
            "sandbox": ("sandbox", "--port", str(sandbox_port), "--app-url", self.url),
            **{name: ("serve", "--port", str(port)) for name, port in zip(self.webs, ports, strict=True)},
            **dict.fromkeys(self.workers, ("worker", *worker_options)),
        }
        self._http = requests.Session()
        self._http.trust_env = False
        self.engine = _connect(database_url or f"sqlite:///{instance / 'bookingapp.sqlite3'}")

    # Processes

    def start(self) -> None:
        """Everything, as ``make run`` does it: database, demo data, sandbox, application, worker."""
        self.spawn("sandbox")
        self.run("db", "upgrade")
        self.run("demo")
        for name in (*self.webs, *self.workers):
            self.spawn(name)
        self.wait_for(f"{self.sandbox_url}/healthz", "sandbox")
        for name, url in zip(self.webs, self.urls, strict=True):
            self.wait_for(f"{url}/readyz", name)

    def run(self, *arguments: str) -> str:
        """One command to its end; what it printed. It has the settings of the stack, and no process of its own, which
        would need much longer to start than to run; test_make_run.py has those."""
        with mock.patch.dict(os.environ, self._environment, clear=True):
            app = create_app()
            register(app)
            done = app.test_cli_runner().invoke(args=arguments)
            close(app)
        assert done.exit_code == 0, f"{arguments} ended with {done.exit_code}: {done.output[-2000:]}"
        return done.stdout

    def change_settings(self, **settings: str) -> None:
        """For every process that starts from now on; those that run keep theirs."""
        self._environment.update(settings)
        if "DATABASE_URL" in settings:
            let_go(self.engine)
            self.engine = _connect(settings["DATABASE_URL"])

    def setting(self, name: str) -> str:
        """The value that processes start with now."""
        return self._environment[name]

    def spawn(self, name: str) -> None:
        """Start ``sandbox``, or one of :attr:`webs` and :attr:`workers`."""
        with self._log(name).open("ab") as log:
            self._began[name] = log.tell()
            self._running[name] = subprocess.Popen(
                flask_command(*self._arguments[name]),
                env=self._environment,
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL: no handler runs, nothing is finished."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def end(self, name: str, *, meanwhile: Callable[[], None] = lambda: None) -> int:
        """SIGTERM, then what happens ``meanwhile``, and the status with which it ends."""
        process = self._running.pop(name)
        process.terminate()
        try:
            meanwhile()
        finally:
            status = process.wait(timeout=30)
        return status

    def kill_inside(self, name: str) -> None:
        """SIGKILL for the process in which a web server answers, and not for the one that watches it."""
        command = ["pgrep", "-P", str(self._running[name].pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for pid in found.split():
            os.kill(int(pid), signal.SIGKILL)

    def is_running(self, name: str) -> bool:
        """Whether the process has not ended, neither by us nor by itself."""
        return name in self._running and self._running[name].poll() is None

    def wait_for(self, url: str, name: str) -> None:
        def answers() -> bool:
            died = self._running[name].poll()
            assert died is None, f"{name} ended with {died}: {self._log(name).read_text()[-2000:]}"
            try:
                return self._http.get(url, timeout=2).ok
            except requests.RequestException:
                return False

        eventually(answers, what=url, seconds=START_SECONDS)

    def wait_for_worker(self, name: str) -> None:
        def works() -> bool:
            with self._log(name).open("rb") as log:
                log.seek(self._began[name])
                return b'"worker_started"' in log.read()

        eventually(works, what=f"{name} to work", seconds=START_SECONDS)

    def stop(self) -> None:
        """End every process politely, then with force, and let go of everything."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
        self._running.clear()
        self._http.close()
        let_go(self.engine)

    # The providers

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A look at (or, with a body, an order to) the sandbox's control API."""
        address = f"{self.sandbox_url}/control/api/{path}"
        if body is None:
            answer = self._http.get(address, timeout=10)
        else:
            answer = self._http.post(address, json=dict(body), timeout=20)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def fault(self, provider: str, kind: str, **details: Any) -> None:
        """Order a trouble; the end of each test clears them all."""
        self.control("faults", {"provider": provider, "kind": kind, **details})

    def clear_faults(self) -> None:
        self.control("faults/clear", {})

    def deliveries(self, about: str) -> list[dict[str, Any]]:
        """The webhooks whose body speaks of ``about``, oldest first."""
        rows: list[dict[str, Any]] = self.control("deliveries")["deliveries"]
        names = self._names(about)
        return [row for row in reversed(rows) if any(name in row["body"] for name in names)]

    def _names(self, about: str) -> list[str]:
        """A booking's reference and identifier, by its reference; anything else as it is."""
        found = self.query(sa.select(Booking.tracking_id).where(Booking.ref == about))
        return [about, *(row.tracking_id for row in found)]

    def provider_calls(self) -> list[tuple[str, str]]:
        """Method and path of every API call since the log was reset, oldest first."""
        rows = reversed(self.control("requests")["requests"])
        apis = ("/calendly-api/", "/calendly-auth/", "/stripe-api/")
        return [(row["method"], row["path"]) for row in rows if row["path"].startswith(apis)]

    def checkout_sessions(self, ref: str) -> list[dict[str, Any]]:
        """The Checkout Sessions that Stripe has for a booking."""
        sessions: list[dict[str, Any]] = self.control("state")["sessions"]
        name = self.query(sa.select(Booking.tracking_id).where(Booking.ref == ref))[0].tracking_id
        return [session for session in sessions if session["client_reference_id"] == name]

    # The database

    def query(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(statement))

    def change(self, statement: sa.Update | sa.Delete) -> int:
        """Change rows behind the application's back, as passing time would; how many there were."""
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount

    def booking_id(self, ref: str) -> int:
        return int(self.query(sa.select(Booking.id).where(Booking.ref == ref))[0].id)

    def history(self, ref: str) -> list[str]:
        """``from>to`` for each change of a booking, oldest first."""
        query = sa.select(HistoryEntry.from_status, HistoryEntry.to_status)
        query = query.where(HistoryEntry.booking_id == self.booking_id(ref)).order_by(HistoryEntry.id)
        return [f"{row.from_status or ''}>{row.to_status}" for row in self.query(query)]

    def ledger(self, ref: str) -> list[tuple[str, int, str]]:
        """Kind, minor units and currency of everything that moved."""
        query = sa.select(LedgerEntry.kind, LedgerEntry.amount_minor, LedgerEntry.currency)
        query = query.where(LedgerEntry.booking_id == self.booking_id(ref)).order_by(LedgerEntry.id)
        return [(str(row.kind), row.amount_minor, row.currency) for row in self.query(query)]

    def inbox(self, about: str) -> list[Any]:
        """State, type and attempts of the deliveries kept whose body speaks of ``about``."""
        query = sa.select(
            InboxEvent.id, InboxEvent.state, InboxEvent.type, InboxEvent.attempts, InboxEvent.body
        )
        names = [name.encode() for name in self._names(about)]
        rows = self.query(query.order_by(InboxEvent.id))
        return [row for row in rows if any(name in row.body for name in names)]

    def jobs(self, key_prefix: str) -> list[Any]:
        """The outbox rows whose key begins so."""
        query = sa.select(Job.id, Job.key, Job.state, Job.run_at).where(
            Job.key.startswith(key_prefix, autoescape=True)
        )
        return self.query(query.order_by(Job.id))

    def payment_id(self, ref: str) -> int:
        """The newest attempt to pay for a booking."""
        query = sa.select(Payment.id).where(Payment.booking_id == self.booking_id(ref))
        return int(self.query(query.order_by(Payment.id.desc()))[0].id)

    def hurry_jobs(self, key_prefix: str) -> None:
        """Let the time go by until the outbox rows whose key begins so are due."""
        due = Job.key.startswith(key_prefix, autoescape=True)
        past = datetime.now(UTC) - timedelta(seconds=1)
        assert self.change(sa.update(Job).where(due).values(run_at=past)) > 0, f"no job {key_prefix}"

    # The logs

    def log_lines(self, name: str, event: str) -> list[dict[str, Any]]:
        """What a process has logged under that name of an event, oldest first."""
        with self._log(name).open(encoding="utf-8") as log:
            rows = [json.loads(line) for line in log if line.startswith("{")]
        return [row for row in rows if row.get("event") == event]

    def check_logs(self) -> None:
        """Nothing since the last look tells of a fault, and nothing names a person, a card or a key."""
        for log in sorted(self.instance.glob("*.log")):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                text = file.read().decode(errors="replace")
                self._read[log] = file.tell()
            wrong = FAULTS if log.stem == "sandbox" else (*FAULTS, *UNWANTED)
            for word in wrong:
                assert word not in text, f"{log.name} has {word!r}:\n{text[-4000:]}"

    def _log(self, name: str) -> Path:
        return self.instance / f"{name}.log"
