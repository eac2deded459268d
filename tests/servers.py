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
    with _own_postgresql(binaries) as url:
        yield url


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis; callers use key prefixes of their own."""
    named = os.environ.get("TEST_REDIS_URL")
    url = named or LOCAL_REDIS
    if _pongs(url):
        yield url
        return
    program = None if named else shutil.which("redis-server")
    if program is None:
        missing("no Redis at TEST_REDIS_URL" if named else "no Redis on this machine")
        return
    port = free_port()
    arguments = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    own = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}"
        with redis.Redis.from_url(
            url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), START_SECONDS * 20)
        ) as one:
            one.ping()
        yield url
    finally:
        own.terminate()
        own.wait(timeout=10)


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


@contextmanager
def _own_postgresql(binaries: Path) -> Iterator[str]:
    """A server of our own in a temporary folder. PostgreSQL refuses to run as root, so then it runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="bookingapp-postgresql-"))
    how: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        how |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    port, data = free_port(), folder / "data"
    try:
        init = ["-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8", "-D", str(data)]
        subprocess.run([str(binaries / "initdb"), *init], check=True, **how)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
        start = ["-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run([str(binaries / "pg_ctl"), *start], check=True, **how)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run(
                [str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"], check=True, **how
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
