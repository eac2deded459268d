"""The settings: read once from the environment and checked at the start; docs/settings.md explains each.

An error stops the start with one line that names the setting and shows no value, since most values are secrets.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bookingapp.core import setting_values
from bookingapp.core.kept_secrets import read_or_keep

PROJECT_ROOT = Path(__file__).resolve().parents[2]

PROVIDER_ADDRESSES = {
    "calendly_api_url": "https://api.calendly.com",
    "calendly_auth_url": "https://auth.calendly.com",
    "calendly_assets_url": "https://assets.calendly.com",
    "calendly_booking_url": "https://calendly.com",
    "stripe_api_url": "https://api.stripe.com",
    "stripe_checkout_url": "https://checkout.stripe.com",
}

# Values that this repository publishes (for the demo, in the example file) and that therefore protect nothing.
_PUBLISHED = ("sandbox", "change-me", "changeme", "example", "secret", "dev", "test", "password")
_SHORTEST_SECRET_KEY = 32
# Outside of development.
_REQUIRED = (
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "CALENDLY_TOKEN",
    "CALENDLY_WEBHOOK_SIGNING_KEYS",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
    "MAIL_URL",
)
_LISTS = ("secret_key", "calendly_webhook_signing_keys", "stripe_webhook_secrets", "encryption_keys")
_OPTIONAL = ("CALENDLY_TOKEN_SECONDARY", "CALENDLY_CLIENT_SECRET", "METRICS_TOKEN")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+", re.ASCII)


class Environment(StrEnum):
    """Where the application runs. Staging is production, but provider addresses may be overridden."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class SettingsError(Exception):
    """A setting is missing or invalid. The message names it and shows no value."""


Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


class Settings(BaseSettings):
    """The settings, named as in the environment but in lower case. A duration's unit is part of its name."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
    )

    app_env: Environment = Environment.DEVELOPMENT
    secret_key: Secrets = ()
    public_url: str = "http://127.0.0.1:8000"
    database_url: str = ""
    redis_url: str | None = None

    calendly_token: SecretStr | None = None
    calendly_token_secondary: SecretStr | None = None
    calendly_client_id: str | None = None
    calendly_client_secret: SecretStr | None = None
    calendly_webhook_signing_keys: Secrets = ()
    calendly_api_url: str = PROVIDER_ADDRESSES["calendly_api_url"]
    calendly_auth_url: str = PROVIDER_ADDRESSES["calendly_auth_url"]
    calendly_assets_url: str = PROVIDER_ADDRESSES["calendly_assets_url"]
    calendly_booking_url: str = PROVIDER_ADDRESSES["calendly_booking_url"]

    stripe_secret_key: SecretStr | None = None
    stripe_webhook_secrets: Secrets = ()
    stripe_api_url: str = PROVIDER_ADDRESSES["stripe_api_url"]
    stripe_checkout_url: str = PROVIDER_ADDRESSES["stripe_checkout_url"]
    stripe_checkout_domain: str | None = None

    encryption_keys: Secrets = ()
    mail_url: SecretStr | None = None
    mail_from: str | None = None
    support_email: str | None = None
    terms_url: str | None = None
    privacy_url: str | None = None
    hold_minutes: int = Field(default=30, ge=1, le=1440)
    pending_minutes: int = Field(default=120, ge=1, le=10080)
    scheduling_first: Literal["widget", "times"] = "widget"
    embed_consent: Literal["off", "ask"] = "off"
    htmx_source: Literal["cdn", "self"] = "cdn"
    builder_signup: Literal["invite", "apply"] = "invite"
    builder_two_step: Literal["optional", "required"] = "optional"
    webhook_tolerance_seconds: int = Field(default=300, ge=1, le=86400)
    metrics_token: SecretStr | None = None
    retention_bookings_days: int = Field(default=365, ge=1, le=36500)
    retention_payments_days: int = Field(default=2555, ge=1, le=36500)
    retention_security_days: int = Field(default=365, ge=30, le=36500)
    retention_deliveries_days: int = Field(default=90, ge=1, le=36500)
    retention_jobs_days: int = Field(default=90, ge=1, le=36500)
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    log_format: str = ""
    instance_dir: Path = PROJECT_ROOT / "instance"

    @field_validator("*", mode="before")
    @classmethod
    def _values_are_bare(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        if info.field_name in _LISTS:
            return setting_values.split_list(value)
        bare = setting_values.strip_value(value)
        # A blank value is as good as none, but names no environment.
        return (
            bare if bare or info.field_name == "app_env" else cls.model_fields[str(info.field_name)].default
        )

    _addresses_are_absolute = field_validator(*PROVIDER_ADDRESSES)(setting_values.check_address)
    _site_is_a_host = field_validator("public_url")(setting_values.check_public_url)
    _database_is_known = field_validator("database_url")(setting_values.check_database_url)
    _redis_is_known = field_validator("redis_url")(setting_values.check_redis_url)

    @field_validator("stripe_checkout_domain")
    @classmethod
    def _checkout_domain_is_a_host(cls, value: str | None) -> str | None:
        # It becomes a part of the Content-Security-Policy.
        if value is not None and not _DOMAIN.fullmatch(value):
            raise ValueError("must be a host name, such as pay.example.org")
        return value.lower() if value else None

    @field_validator("log_format")
    @classmethod
    def _log_format_is_known(cls, value: str) -> str:
        if value not in ("", "text", "json"):
            raise ValueError("must be text or json")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _keys_are_fernet_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in reveal_all(value):
            try:
                Fernet(key)
            except ValueError:
                raise ValueError("every key must be a Fernet key (32 bytes in URL-safe base64)") from None
        return value

    @field_validator("mail_url")
    @classmethod
    def _mail_url_is_smtp_or_file(cls, value: SecretStr | None) -> SecretStr | None:
        if _given(value) and not setting_values.is_mail_url(reveal(value) or ""):
            raise ValueError(
                "must be smtp://user:password@host:587, smtps://… or file:DIR (a folder to write to)"
            )
        return value

    @field_validator("terms_url", "privacy_url")
    @classmethod
    def _links_are_absolute(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("must be an absolute http or https address")
        return value

    @field_validator("mail_from", "support_email")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("must be a plain e-mail address")
        return value

    @model_validator(mode="after")
    def _payments_outlive_persons(self) -> Self:
        if self.retention_payments_days < self.retention_bookings_days:
            raise SettingsError("RETENTION_PAYMENTS_DAYS may not be shorter than RETENTION_BOOKINGS_DAYS")
        return self

    @model_validator(mode="after")
    def _fits_its_environment(self) -> Self:
        # All of them, because whoever sets up a server would meet them one by one.
        if self.app_env is not Environment.DEVELOPMENT and (faults := list(_list_faults(self))):
            raise SettingsError("; ".join(map(str, faults)))
        return self

    @property
    def is_development(self) -> bool:
        """Whether APP_ENV is development: secrets are generated, mail goes to files."""
        return self.app_env is Environment.DEVELOPMENT

    @property
    def names_environment(self) -> bool:
        """Whether APP_ENV was given. Development that nobody chose is for this machine alone."""
        return "app_env" in self.model_fields_set

    @property
    def public_is_https(self) -> bool:
        """Whether browsers use https, so that cookies can be Secure."""
        return self.public_url.startswith("https://")

    @property
    def cookie_prefix(self) -> str:
        """What the names of cookies begin with: over https a browser takes them from this very host alone, so that no
        other site below the same domain can plant one (RFC 6265bis, section 4.1.3.2).
        """
        return "__Host-" if self.public_is_https else ""

    @property
    def logs_as_json(self) -> bool:
        """Whether log lines are JSON: by LOG_FORMAT, else everywhere but in development."""
        return (self.log_format or ("text" if self.is_development else "json")) == "json"

    @property
    def mail_target(self) -> str:
        """MAIL_URL, else the folder ``outbox`` in the instance folder: ``smtp://…`` or ``file:DIR``."""
        given = reveal_all(_given(self.mail_url))
        return given[0] if given else f"file:{self.instance_dir / 'outbox'}"

    @property
    def sqlalchemy_url(self) -> str:
        """DATABASE_URL with our driver, else a SQLite file in the instance folder."""
        url = self.database_url or f"sqlite:///{self.instance_dir / 'bookingapp.sqlite3'}"
        # Hosting platforms still use postgres://, which SQLAlchemy does not know.
        for prefix in ("postgres://", "postgresql://"):
            if url.startswith(prefix):
                return "postgresql+psycopg://" + url.removeprefix(prefix)
        return url


def _list_faults(settings: Settings) -> Iterator[SettingsError]:
    """What keeps the application from starting outside development."""
    yield from _list_secret_faults(settings)
    yield from _list_url_faults(settings)
    yield from _list_sender_faults(settings)
    if settings.app_env is Environment.PRODUCTION:
        for name, published in PROVIDER_ADDRESSES.items():
            if getattr(settings, name) != published:
                yield SettingsError(f"{name.upper()} may not be overridden in production")


def _list_secret_faults(settings: Settings) -> Iterator[SettingsError]:
    misspelled = list(setting_values.find_misspelled([name.upper() for name in Settings.model_fields]))
    for name in (*_REQUIRED, *_OPTIONAL):
        value = getattr(settings, name.lower())
        values = reveal_all(value if isinstance(value, tuple) else _given(value))
        if not values and name in _REQUIRED:
            there = "".join(f" ({wrong} is set)" for wrong, meant in misspelled if meant == name)
            yield SettingsError(f"{name} is missing and has no default outside development{there}")
        if any(map(_is_published, values)):
            yield SettingsError(f"{name} is a value that this project publishes: set one of your own")
    for key in reveal_all(settings.secret_key):
        if len(key) < _SHORTEST_SECRET_KEY:
            yield SettingsError(f"SECRET_KEY must have at least {_SHORTEST_SECRET_KEY} characters")


def _given(secret: SecretStr | None) -> tuple[SecretStr, ...]:
    """The secret alone, or nothing where it is missing or blank."""
    return (secret,) if secret and secret.get_secret_value().strip() else ()


def _is_published(value: str) -> bool:
    bare = value.lower().removeprefix("sk_test_").removeprefix("sk_live_").removeprefix("whsec_")
    return any(bare == word or bare.startswith((f"{word}-", f"{word}_")) for word in _PUBLISHED)


def _list_url_faults(settings: Settings) -> Iterator[SettingsError]:
    loopback = urlsplit(settings.public_url).hostname in _LOOPBACK
    if not settings.public_is_https and not (settings.app_env is Environment.STAGING and loopback):
        yield SettingsError(f"PUBLIC_URL must start with https:// in {settings.app_env.value}")


def _list_sender_faults(settings: Settings) -> Iterator[SettingsError]:
    """No server accepts mail from an address without a domain, such as ``no-reply@10.0.0.7``."""
    server, host = urlsplit(settings.mail_target), urlsplit(settings.public_url).hostname or ""
    stays_here = server.scheme == "file" or server.hostname in _LOOPBACK or host in _LOOPBACK
    if settings.mail_from:
        if not stays_here and not _DOMAIN.fullmatch(settings.mail_from.rpartition("@")[2]):
            yield SettingsError("MAIL_FROM must be an address at a domain, such as no-reply@example.org")
    elif not stays_here and not _DOMAIN.fullmatch(host.encode("idna").decode("ascii")):
        yield SettingsError("MAIL_FROM is missing, and no mail can come from the host of PUBLIC_URL")


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret."""
    return secret.get_secret_value() if secret else None


def reveal_all(values: Sequence[SecretStr]) -> list[str]:
    """The texts of a list of secrets."""
    return [secret.get_secret_value() for secret in values]


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment and, in development, of ``.env`` at the project's root. ``overrides`` win.

    Raises :class:`SettingsError` with one line that names every invalid setting.
    """
    environment = os.environ.get("APP_ENV", "").strip() or overrides.get("app_env") or Environment.DEVELOPMENT
    env_file = PROJECT_ROOT / ".env" if str(environment) == Environment.DEVELOPMENT.value else None
    try:
        settings = Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        raise SettingsError("; ".join(_describe_faults(error, overrides))) from None
    if not settings.is_development:
        return settings
    if not settings.names_environment and urlsplit(settings.public_url).hostname not in _LOOPBACK:
        raise SettingsError(
            "APP_ENV is missing: name development, staging or production to be reached from outside"
        )
    return _with_development_secrets(settings)


def _describe_faults(error: ValidationError, overrides: dict[str, Any]) -> Iterator[str]:
    """Each setting that cannot be read; then what is wrong with the others, which was not examined because of them."""
    faults = {
        str(fault["loc"][0]): str(fault["ctx"]["error"]) if fault["type"] == "value_error" else fault["msg"]
        for fault in error.errors(include_input=False, include_url=False)
    }
    for name, words in faults.items():
        yield f"{name.upper()}: {words}"
    defaults = {name: Settings.model_fields[name].default for name in faults if name != "app_env"}
    if defaults.keys() == faults.keys():
        try:
            Settings(_env_file=None, **{**overrides, **defaults})
        except SettingsError as others:
            named = tuple(name.upper() for name in faults)
            yield from (one for one in str(others).split("; ") if not one.startswith(named))


def _with_development_secrets(settings: Settings) -> Settings:
    filled: dict[str, Any] = {}
    with naming_instance_dir():
        if not settings.secret_key:
            key = read_or_keep(settings.instance_dir / "secret_key", secrets.token_urlsafe(48))
            filled["secret_key"] = (SecretStr(key),)
        if not settings.encryption_keys:
            key = read_or_keep(settings.instance_dir / "encryption_key", Fernet.generate_key().decode())
            filled["encryption_keys"] = (SecretStr(key),)
    return settings.model_copy(update=filled)


@contextmanager
def naming_instance_dir() -> Iterator[None]:
    """A block that writes to the instance folder. Raises :class:`SettingsError` where that is not possible."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"INSTANCE_DIR: cannot write to it ({error})") from None
