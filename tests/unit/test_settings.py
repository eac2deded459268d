"""Every rule of the settings; an error names the setting and shows no value."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography.fernet import Fernet

from bookingapp.cli.processes import SANDBOX_SECRETS
from bookingapp.core.settings import PROVIDER_ADDRESSES, Settings, SettingsError, load_settings
from bookingapp.factory import create_app
from tests.conftest import make_settings

KEY = "dGhlLWVuY3J5cHRpb24ta2V5LW9mLXRoZS10ZXN0cy4="
GOOD = {
    "APP_ENV": "production",
    "SECRET_KEY": "k" * 40,
    "PUBLIC_URL": "https://hours.example.org",
    "ENCRYPTION_KEYS": KEY,
    "CALENDLY_TOKEN": "eyJraWQiOiIxY2UxZTEzNjE3ZGNm",
    "CALENDLY_WEBHOOK_SIGNING_KEYS": "nQ4gVXq1",
    "STRIPE_SECRET_KEY": "sk_live_51Hq",
    "STRIPE_WEBHOOK_SECRETS": "whsec_9fK2",
    "MAIL_URL": "smtp://relay.example.org:587",
}
REQUIRED = sorted(set(GOOD) - {"APP_ENV", "PUBLIC_URL"})


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Loads the settings of an environment that has these and no others: ``tests/conftest.py`` empties the shell's."""

    def loader(**environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings(instance_dir=tmp_path)

    return loader


def refusal(load: Any, **environment: str) -> str:
    """Why these settings stop the start: one line."""
    with pytest.raises(SettingsError) as error:
        load(**environment)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_good_production_settings(load: Any) -> None:
    settings = load(**GOOD)
    assert settings.public_is_https
    assert settings.logs_as_json
    assert not settings.is_development


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_secret_stops_the_start(load: Any, environment: str, name: str, value: str | None) -> None:
    given = {**GOOD, "APP_ENV": environment}
    if value is None:
        del given[name]
    else:
        given[name] = value
    assert refusal(load, **given).startswith(name)


def test_faults_of_production_are_named_at_once(load: Any) -> None:
    wrong = {"STRIPE_SECRET_KEY": " ", "SECRET_KEY": "short", "PUBLIC_URL": "http://hours.example.org"}
    words = refusal(load, **{**GOOD, **wrong}).split("; ")
    assert sorted(one.split()[0] for one in words) == ["PUBLIC_URL", "SECRET_KEY", "STRIPE_SECRET_KEY"]


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "change-me-" + "x" * 40),
        # The client's id is no secret.
        *(item for item in SANDBOX_SECRETS.items() if item[0] != "CALENDLY_CLIENT_ID"),
        ("CALENDLY_TOKEN_SECONDARY", "sandbox-calendly-token"),
        ("CALENDLY_WEBHOOK_SIGNING_KEYS", "nQ4gVXq1,sandbox-calendly-signing-key"),
        ("STRIPE_WEBHOOK_SECRETS", "secret"),
    ],
)
def test_a_published_secret_stops_the_start(load: Any, environment: str, name: str, value: str) -> None:
    """A value that this repository publishes protects nothing."""
    said = refusal(load, **{**GOOD, "APP_ENV": environment, name: value})
    assert said.startswith(name)
    assert value not in said
    assert "publishes" in said


def test_a_short_cookie_key_stops_the_start(load: Any) -> None:
    assert "SECRET_KEY must have at least 32 characters" in refusal(load, **{**GOOD, "SECRET_KEY": "Zq9" * 8})
    assert "SECRET_KEY" in refusal(load, **{**GOOD, "SECRET_KEY": "k" * 40 + ",Zq9"})


@pytest.mark.parametrize("name", sorted(PROVIDER_ADDRESSES))
def test_only_production_refuses_another_provider_address(load: Any, name: str) -> None:
    """An overridden one would send tokens and money somewhere else."""
    said = refusal(load, **{**GOOD, name.upper(): "https://evil.example"})
    assert said == f"{name.upper()} may not be overridden in production"
    settings = load(**{**GOOD, "APP_ENV": "staging", name.upper(): "http://127.0.0.1:8001/x/"})
    assert getattr(settings, name) == "http://127.0.0.1:8001/x"


def test_production_takes_the_published_addresses(load: Any) -> None:
    written = {name.upper(): f"{url}/" for name, url in PROVIDER_ADDRESSES.items()}
    assert load(**GOOD, **written).stripe_api_url == "https://api.stripe.com"


@pytest.mark.parametrize("url", ["http://hours.example.org", "http://127.0.0.1:8000", "http://localhost"])
def test_production_is_reached_over_https(load: Any, url: str) -> None:
    assert refusal(load, **{**GOOD, "PUBLIC_URL": url}) == "PUBLIC_URL must start with https:// in production"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_staging_may_be_on_loopback(load: Any, url: str) -> None:
    assert load(**{**GOOD, "APP_ENV": "staging", "PUBLIC_URL": url}).public_url == url
    for other in ("http://127.0.0.1.evil.example", "http://10.0.0.1", "http://hours.example.org"):
        assert "PUBLIC_URL" in refusal(load, **{**GOOD, "APP_ENV": "staging", "PUBLIC_URL": other})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_ENV", "prod-XYZZY"),
        ("PUBLIC_URL", "xyzzy"),
        ("PUBLIC_URL", "ftp://xyzzy.example"),
        ("PUBLIC_URL", "http://xyzzy.example/?a=b"),
        ("PUBLIC_URL", "https://xyzzy.example/hours"),
        ("PUBLIC_URL", "https://us:tests@xyzzy.example"),
        ("PUBLIC_URL", "https://xyzzy.example\r\nX: y"),
        ("DATABASE_URL", "mysql://xyzzy.example/hours"),
        ("DATABASE_URL", "postgresql+psycopg2://xyzzy.example/hours"),
        ("DATABASE_URL", "sqlite://xyzzy/hours.sqlite3"),
        ("DATABASE_URL", "postgresql://us:p@tests@xyzzy.example/hours"),
        ("DATABASE_URL", "postgresql://us:p#tests@xyzzy.example/hours"),
        ("DATABASE_URL", "postgresql://us:p/tests@xyzzy.example/hours"),
        ("DATABASE_URL", "postgresql://us:p?tests@xyzzy.example/hours"),
        ("DATABASE_URL", "postgresql://us:tests@xyzzy.example:54x2/hours"),
        ("REDIS_URL", "xyzzy:6379"),
        ("REDIS_URL", "redis://:p@tests@xyzzy.example:6379/0"),
        ("REDIS_URL", "redis://xyzzy.example:6379/cache"),
        ("CALENDLY_TOKEN", '"xyzzy"'),
        ("CALENDLY_TOKEN", "xyz\u200bzy"),
        ("STRIPE_SECRET_KEY", "'xyzzy'"),
        ("SECRET_KEY", "xyzzy-one xyzzy-two"),
        ("STRIPE_API_URL", "//xyzzy"),
        ("ENCRYPTION_KEYS", "xyzzy"),
        ("ENCRYPTION_KEYS", f"{KEY},xyzzy"),
        ("HOLD_MINUTES", "xyzzy"),
        ("HOLD_MINUTES", "0"),
        ("PENDING_MINUTES", "-5"),
        ("SCHEDULING_FIRST", "xyzzy"),
        ("EMBED_CONSENT", "on"),
        ("WEBHOOK_TOLERANCE_SECONDS", "1000000"),
        ("TRUSTED_PROXIES", "xyzzy"),
        ("LOG_FORMAT", "xyzzy"),
        ("MAIL_URL", "xyzzy"),
        ("MAIL_URL", "https://xyzzy.example"),
        ("MAIL_URL", "smtp://"),
        ("MAIL_URL", "smtp://us:xyzzy-tests@host:port"),
        ("MAIL_URL", "smtp://us:xyzzy/tests@host"),
        ("MAIL_URL", "file:"),
        ("MAIL_FROM", "xyzzy"),
        ("MAIL_FROM", "Xyzzy <a@xyzzy.example>"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(load: Any, name: str, value: str) -> None:
    said = refusal(load, **{name: value})
    assert said.startswith(name)
    assert "xyzzy" not in said.lower()


def test_blanks_around_a_value_are_no_part_of_it(load: Any) -> None:
    """Such as those of a file from Windows, of a web page that was copied from, or of several lines."""
    settings = load(
        CALENDLY_TOKEN="the-token\r",
        STRIPE_SECRET_KEY="\u00a0sk_test_1\n",
        PUBLIC_URL="http://127.0.0.1:8000/ ",
        APP_ENV="development\r",
        HOLD_MINUTES=" 20 ",
        MAIL_FROM=" ",
    )
    assert settings.calendly_token.get_secret_value() == "the-token"
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_1"
    assert (settings.public_url, settings.hold_minutes) == ("http://127.0.0.1:8000", 20)
    assert settings.mail_from is None


def test_a_blank_environment_is_none(load: Any) -> None:
    assert "APP_ENV" in refusal(load, APP_ENV=" ", PUBLIC_URL="https://hours.example.org")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///bookingapp",
        "postgresql://u:p%40tests@h:5432/d?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
        "postgresql://u@[::1]:5432/d",
        "postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write",
        "postgresql:///d?host=/var/run/postgresql",
        "sqlite:///file:/tmp/x.sqlite3?mode=ro&uri=true",
    ],
)
def test_what_databases_are_called(load: Any, url: str) -> None:
    assert load(DATABASE_URL=url).database_url == url


def test_what_can_be_read_is_examined_too(load: Any) -> None:
    """A value that cannot be read hides nothing of the others."""
    wrong = {"MAIL_URL": "xyzzy", "STRIPE_SECRET_KEY": "", "SECRET_KEY": "short"}
    words = refusal(load, **{**GOOD, **wrong}).split("; ")
    assert sorted(one.split()[0] for one in words) == ["MAIL_URL:", "SECRET_KEY", "STRIPE_SECRET_KEY"]


def test_a_name_that_is_nearly_right(load: Any) -> None:
    given = {name: value for name, value in GOOD.items() if name != "STRIPE_WEBHOOK_SECRETS"}
    said = refusal(load, **given, STRIPE_WEBHOOK_SECRET="whsec_9fK2")
    assert said.startswith("STRIPE_WEBHOOK_SECRETS is missing")
    assert said.endswith("(STRIPE_WEBHOOK_SECRET is set)")


def test_every_fault_is_named_at_once(load: Any) -> None:
    said = refusal(load, HOLD_MINUTES="x", LOG_FORMAT="y")
    assert "HOLD_MINUTES" in said
    assert "LOG_FORMAT" in said


def test_lists_are_comma_separated(load: Any) -> None:
    settings = load(CALENDLY_WEBHOOK_SIGNING_KEYS=" new , old ,, ", SECRET_KEY="a,b")
    keys = [key.get_secret_value() for key in settings.calendly_webhook_signing_keys]
    assert keys == ["new", "old"]
    assert [key.get_secret_value() for key in settings.secret_key] == ["a", "b"]


def test_settings_show_no_secret(load: Any) -> None:
    settings = load(**GOOD)
    for name in REQUIRED:
        assert GOOD[name] not in repr(settings)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("sqlite:////tmp/x.sqlite3", "sqlite:////tmp/x.sqlite3"),
    ],
)
def test_database_addresses(load: Any, given: str, used: str) -> None:
    assert load(DATABASE_URL=given).sqlalchemy_url == used


def test_the_database_is_a_file_by_default(load: Any, tmp_path: Path) -> None:
    assert load().sqlalchemy_url == f"sqlite:///{tmp_path / 'bookingapp.sqlite3'}"


def test_development_secrets_are_made_once(load: Any, tmp_path: Path) -> None:
    """The second start uses the first one's, and no other user of the machine can read them."""
    first, second = load(), load()
    assert first.secret_key == second.secret_key
    assert first.encryption_keys == second.encryption_keys
    assert len(first.secret_key[0].get_secret_value()) >= 32
    Fernet(first.encryption_keys[0].get_secret_value())
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["encryption_key", "secret_key"]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_secrets_that_are_there_are_read_where_nothing_can_be_written(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, on which ``flask doctor`` has to work."""
    first = load()
    monkeypatch.setattr(
        Path, "touch", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    )
    assert load().secret_key == first.secret_key


def test_an_instance_folder_that_cannot_be_written(load: Any, tmp_path: Path) -> None:
    """One line, in development and elsewhere."""
    (tmp_path / "file").write_text("")
    words = r"INSTANCE_DIR: cannot write to it \(.*Not a directory.*file/instance"
    with pytest.raises(SettingsError, match=words):
        load_settings(instance_dir=tmp_path / "file" / "instance")
    with pytest.raises(SettingsError, match=words):
        create_app(make_settings(tmp_path / "file" / "instance"))


def test_two_processes_that_start_together_agree(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def start(_: int) -> str:
        barrier.wait()
        return load_settings(instance_dir=tmp_path).secret_key[0].get_secret_value()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1


def test_production_makes_no_secret(load: Any, tmp_path: Path) -> None:
    refusal(load, **{**GOOD, "SECRET_KEY": ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "as_json"),
    [({}, False), ({"LOG_FORMAT": "json"}, True), ({"LOG_FORMAT": "text", **GOOD}, False), (GOOD, True)],
)
def test_log_format(load: Any, given: dict[str, str], as_json: bool) -> None:
    assert load(**given).logs_as_json is as_json


@pytest.mark.parametrize(
    "url", ["http://hours.example.org", "https://hours.example.org", "http://192.0.2.7:8000"]
)
def test_what_others_reach_names_its_environment(load: Any, url: str) -> None:
    """Nobody is on the internet with development's settings by mistake."""
    assert "APP_ENV" in refusal(load, PUBLIC_URL=url)
    assert load(PUBLIC_URL=url, APP_ENV="development").public_url == url


def test_this_machine_alone_needs_no_environment(load: Any) -> None:
    assert load(PUBLIC_URL="http://127.0.0.1:9000").is_development
