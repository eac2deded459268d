"""PostgreSQL and Redis for tests: the one that a variable names, the usual local one, or one of our own."""

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

LOCAL_POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
LOCAL_REDIS = "redis://127.0.0.1:6379"
START_SECONDS = 30


def is_ci() -> bool:
    """Whether a service that is missing has to be a failure."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def missing(what: str) -> None:
    """Skip with a word; fail with it where CI is set."""
    if is_ci():
        pytest.fail(f"{what}, and CI is set", pytrace=False)
    pytest.skip(what)


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server on which databases can be made."""
    named = os.environ.get("TEST_DATABASE_URL")
    for url in (named or LOCAL_POSTGRESQL,):
        if _answers(url):
            yield url
            return
    binaries = None if named else _binaries()
    if binaries is None:
        missing("no PostgreSQL at TEST_DATABASE_URL" if named else "no PostgreSQL on this machine")
        return
    with _running_postgresql(binaries) as own:
        yield own.url


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis; callers use key prefixes of their own."""
    named = os.environ.get("TEST_REDIS_URL")
    url = named or LOCAL_REDIS
    if _pongs(url):
        yield url
        return
    if named:
        missing("no Redis at TEST_REDIS_URL")
        return
    with own_redis() as own:
        yield own.url


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    """A server of our own on a free port, with its data in a temporary folder, that can be stopped and started."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="bookingapp-postgresql-"))
        self._how: dict[str, Any] = {"cwd": self._folder, "stdout": subprocess.DEVNULL}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, so then it runs as nobody.
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._how |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._data, self._port = str(self._folder / "data"), free_port()
        self._is_up = False
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def make(self) -> None:
        """An empty cluster."""
        how = ["-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8"]
        self._run("initdb", *how, "-D", self._data)

    def start(self) -> None:
        """Until it answers."""
        options = (
            f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
            " -c fsync=off -c full_page_writes=off"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")
        self._is_up = True

    def stop(self, mode: str = "immediate") -> None:
        """``fast`` ends every connection in order; ``immediate`` is a crash, and the next start recovers from it."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "stop")
        self._is_up = False

    def remove(self) -> None:
        """End it where it runs, and its data."""
        if self._is_up:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self._binaries / program), *arguments], check=True, **self._how)


class OwnRedis:
    """A Redis of our own on a free port that keeps nothing, and can be stopped and started."""

    def __init__(self, program: str) -> None:
        self._port = free_port()
        self._command = [program, "--port", str(self._port), "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--appendonly", "no"]
        self._running: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Until it answers."""
        self._running = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        patience = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), START_SECONDS * 20)
        with redis.Redis.from_url(self.url, retry=patience) as one:
            one.ping()

    def stop(self) -> None:
        """As a crash does it."""
        if self._running is not None:
            self._running.kill()
            self._running.wait(timeout=10)
            self._running = None


@contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    """A server that a test may stop; never one that others use."""
    binaries = _binaries()
    if binaries is None:
        missing("no PostgreSQL programs on this machine")
        return
    with _running_postgresql(binaries) as own:
        yield own


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    """A Redis that a test may stop; never one that others use."""
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


@contextmanager
def _running_postgresql(binaries: Path) -> Iterator[OwnPostgresql]:
    own = OwnPostgresql(binaries)
    try:
        own.make()
        own.start()
        yield own
    finally:
        own.remove()
