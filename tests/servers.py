"""PostgreSQL and Redis for tests: the server that a variable names, the usual local one, or one that is started."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import sqlalchemy as sa

from tests.waiting import eventually

LOCAL_POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
LOCAL_REDIS = "redis://127.0.0.1:6379"
START_SECONDS = 30


def is_ci() -> bool:
    """Whether a missing server fails the tests that need it."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def missing(what: str) -> None:
    """Skip this test because of ``what``; fail it where CI is set."""
    if is_ci():
        pytest.fail(f"{what}, and CI is set", pytrace=False)
    pytest.skip(what)


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server where databases can be created."""
    named = os.environ.get("TEST_DATABASE_URL")
    url = named or LOCAL_POSTGRESQL
    if _answers(url):
        yield url
    elif named:
        missing("no PostgreSQL at TEST_DATABASE_URL")
    else:
        with own_postgresql() as own:
            yield own.url


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis; callers use key prefixes of their own."""
    named = os.environ.get("TEST_REDIS_URL")
    url = named or LOCAL_REDIS
    if _pongs(url):
        yield url
    elif named:
        missing("no Redis at TEST_REDIS_URL")
    else:
        with own_redis() as own:
            yield own.url


def free_port() -> int:
    """A TCP port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def let_go(engine: sa.Engine) -> None:
    """Close the engine's connections, those of threads too. What comes back to a pool that is gone would be closed by
    nobody, and Python would blame the test in which it is found.
    """
    pool = engine.pool
    assert isinstance(pool, sa.QueuePool)
    engine.dispose()
    eventually(lambda: pool.checkedout() == 0, "connections that are still in use")
    pool.dispose()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _pongs(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=None) as one:
            return bool(one.ping())
    except redis.RedisError:
        return False


def _binaries() -> Path | None:
    """The folder of PostgreSQL's programs: on the path, or where Debian puts them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version) or [
        Path(program) for program in [shutil.which("initdb")] if program
    ]
    return found[-1].parent if found else None


def _version(program: Path) -> int:
    name = program.parent.parent.name
    return int(name) if name.isdigit() else 0


class OwnPostgresql:
    """A server on a free port, with its data in a temporary folder, that a test may stop and start."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="bookingapp-postgresql-"))
        self._options: dict[str, Any] = {"cwd": self._folder, "stdout": subprocess.DEVNULL}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, so then it runs as the user nobody.
            user = pwd.getpwnam("nobody")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._data, self._port = str(self._folder / "data"), free_port()
        self._is_up = False
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def create(self) -> None:
        """Create the data folder."""
        options = ["-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8"]
        self._run("initdb", *options, "-D", self._data)

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = (
            f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
            " -c fsync=off -c full_page_writes=off"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")
        self._is_up = True

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast`` closes every connection in order, ``immediate`` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "stop")
        self._is_up = False

    def remove(self) -> None:
        """Stop it if it runs, and delete its data."""
        if self._is_up:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self._binaries / program), *arguments], check=True, **self._options)


class OwnRedis:
    """A Redis on a free port that saves nothing to disk, and that a test may stop and start."""

    def __init__(self, program: str) -> None:
        self._port = free_port()
        self._command = [program, "--port", str(self._port), "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--appendonly", "no"]
        self._running: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        self._running = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        patience = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), START_SECONDS * 20)
        with redis.Redis.from_url(self.url, retry=patience) as one:
            one.ping()

    def stop(self) -> None:
        """Kill it."""
        if self._running is not None:
            self._running.kill()
            self._running.wait(timeout=10)
            self._running = None


@contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    """A server of this test's own."""
    binaries = _binaries()
    if binaries is None:
        missing("no PostgreSQL programs on this machine")
        return
    own = OwnPostgresql(binaries)
    try:
        own.create()
        own.start()
        yield own
    finally:
        own.remove()


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    """A Redis of this test's own."""
    program = shutil.which("redis-server")
    if program is None:
        missing("no redis-server on this machine")
        return
    own = OwnRedis(program)
    try:
        own.start()
        yield own
    finally:
        own.stop()
