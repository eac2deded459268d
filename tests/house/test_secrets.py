"""The scan for secrets finds planted ones, and none in this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import secrets

# Put together here, so that the scan does not find this file.
PLANTED = {
    "private key": "-----BEGIN RSA PRIVATE" + " KEY-----",
    "another private key": "-----BEGIN PRIVATE" + " KEY-----",
    "Stripe live key": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Stripe test key": "rk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc4eC3",
    "Stripe webhook secret": "whsec" + "_" + "Mt5kq0WZcV3hX7bP2nR8sY4u",
    "Calendly token": ".".join(
        ["eyJ" + "raWQiOiIxY2UxZTEzNjE3ZGNmNz", "eyJ" + "pc3MiOiJodHRwczovL2F1dGgu", "Kq8" * 9]
    ),
    "GitHub token": "ghp_" + "a1B2" * 9,
    "AWS key": "AKIA" + "IOSFODNN7EXAMPL3",
    "database password": "DATABASE_URL=postgresql://app:" + "hunter22" + "@db/app",
    "cookie key": "SECRET_KEY" + "=" + "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRW",
    "YAML": "  CALENDLY_TOKEN: " + "'q83vEjRWeJCrze8SNFZ4kKvN7xI0'",
}
HARMLESS = [
    "STRIPE_SECRET_KEY=sk_test_sandbox",
    "MAIL_URL smtp://user:password@host:587",
    "postgresql://postgres@127.0.0.1:5432/postgres",
    "SECRET_KEY = settings.secret_key",
    'SECRET_KEY = "the-cookie-key-of-the-tests-0123456789"',
    "-----BEGIN CERTIFICATE-----",
    "postgresql://app:${PASSWORD}@db/app",
]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(tmp_path: Path, kind: str) -> None:
    """With its file and line, and without being repeated."""
    path = tmp_path / "notes.txt"
    path.write_text(f"first line\n{PLANTED[kind]}\n")
    found = list(secrets.scan([path], tmp_path))
    assert [(finding.path, finding.line) for finding in found] == [("notes.txt", 2)]
    assert PLANTED[kind] not in str(found[0])


@pytest.mark.parametrize(
    "name", [".env", "deploy/.env.production", "keys/server.pem", "dump.sqlite3", "id_rsa"]
)
def test_a_file_that_does_not_belong_is_found(tmp_path: Path, name: str) -> None:
    """By its name alone."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert [finding.path for finding in secrets.scan([path], tmp_path)] == [name]


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_no_secret_passes(tmp_path: Path, line: str) -> None:
    """Examples, the sandbox's values, and code."""
    path = tmp_path / ".env.example"
    path.write_text(line)
    assert list(secrets.scan([path], tmp_path)) == []


def test_this_repository_has_none() -> None:
    """As `make lint` asks it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.secrets"],
        cwd=secrets.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(secrets.tracked()) > 100
