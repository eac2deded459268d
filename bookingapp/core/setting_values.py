"""How the values of settings have to be written. Each fault is one sentence, which shows no value.

Which settings there are, and which an environment needs, is in :mod:`bookingapp.core.settings`.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

_DATABASES = ("sqlite:", "postgres:", "postgresql:", "postgresql+psycopg:")
_ENCODE = "special characters of the password must be percent-encoded (@ is %40, / is %2F, # is %23)"
# So like the name of a setting that nothing else is meant: STRIPE_WEBHOOK_SECRET, TRUSTED_PROXY.
_ALIKE = 0.85
# Each begins with one of these words, as variables of other programs rarely do.
_OURS = re.compile(
    r"(?:APP|CALENDLY|STRIPE|ENCRYPTION|TRUSTED|SUPPORT|RETENTION|WEBHOOK|BUILDER|PUBLIC|SECRET|MAIL)_"
)


def strip_value(value: str) -> str:
    """The value without blanks around it. Raises ``ValueError`` for what an editor or a web page added to it."""
    bare = value.strip()
    if bare and bare[0] in "\"'" and bare[-1] == bare[0]:
        raise ValueError("is in quotes: write the value alone")
    if any(unicodedata.category(char) in ("Cc", "Cf") for char in bare):
        raise ValueError("has a character that cannot be seen: type it, or copy it again")
    return bare


def split_list(value: str) -> tuple[str, ...]:
    """The values of a comma-separated list. Raises ``ValueError`` where something else is between them."""
    parts = tuple(strip_value(part) for part in value.split(",") if part.strip())
    if any(re.search(r"\s", part) for part in parts):
        raise ValueError("must be separated by commas")
    return parts


def check_address(value: str) -> str:
    """An absolute http or https address, without the slash at its end. Raises ``ValueError`` for anything else."""
    parts = urlsplit(value)
    is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    # The host has to have a name in ASCII, which is what browsers compare and send.
    if not is_absolute or parts.query or parts.fragment or not (parts.hostname or "").encode("idna"):
        raise ValueError("must be an absolute http or https address")
    return value.rstrip("/")


def check_public_url(value: str) -> str:
    """An address that is a host and a port alone. Raises ``ValueError`` for anything else."""
    address = check_address(value)
    parts = urlsplit(address)
    if parts.path or "@" in parts.netloc:
        raise ValueError("must be https:// and a host, without a path or a user")
    return address


def check_database_url(value: str) -> str:
    """A database that we know. Raises ``ValueError`` where SQLAlchemy would read something else than was meant."""
    if value and not value.startswith(_DATABASES):
        raise ValueError("must be a sqlite:/// or postgresql:// address")
    if value.startswith("sqlite:"):
        if not value.startswith("sqlite:///"):
            raise ValueError("must be sqlite:///, then the path of the file, which begins with another /")
    elif value:
        _check_server(value)
    return value


def check_redis_url(value: str | None) -> str | None:
    """A Redis and the number of its database. Raises ``ValueError`` for anything else."""
    if value:
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError("must be redis://HOST:6379/0, or rediss:// for TLS")
        _check_server(value)
        if not re.fullmatch(r"/?\d*", urlsplit(value).path):
            raise ValueError("must end with the number of the database, such as /0")
    return value


def _check_server(url: str) -> None:
    """Raises ``ValueError`` where the password ends the host too early, or the port is no number."""
    place = url.partition("://")[2].partition("?")[0]
    log_in, _, host = place.rpartition("@")
    if re.search(r"[@/#?]", log_in) or "#" in host:
        raise ValueError(_ENCODE)
    # PostgreSQL takes several hosts, each with a port of its own.
    for one in host.partition("/")[0].split(","):
        if not re.fullmatch(r"(?:\[[^\]]*\]|[^:]*)(?::\d{1,5})?", one):
            raise ValueError(f"has a port that is no number; {_ENCODE}")


def is_mail_url(value: str) -> bool:
    """Whether mail can be sent by it: an SMTP server, or a folder that can be written to."""
    scheme, _, rest = value.partition(":")
    if scheme == "file":
        return bool(rest.strip()) and _can_be_written(Path(rest.removeprefix("//")))
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").encode("idna").decode()
        is_server = scheme in ("smtp", "smtps") and bool(host) and " " not in host and parts.port != 0
    except ValueError:
        return False
    # A log-in takes both; a special character that is not percent-encoded ends the address too early.
    is_log_in = bool(parts.username) is bool(parts.password)
    # The standard library sends no other characters.
    is_sendable = unquote(f"{parts.username}{parts.password}").isascii() and " " not in host
    return (
        is_server
        and is_sendable
        and is_log_in
        and parts.path in ("", "/")
        and not parts.query
        and not parts.fragment
    )


def _can_be_written(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, can be written to."""
    try:
        nearest = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    except PermissionError:
        return False  # One above it may not even be searched.
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def find_misspelled(known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each variable of the environment that is nearly the name of a setting, and that name."""
    for name in sorted(os.environ):
        if name not in known and _OURS.match(name):
            for meant in difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE):
                yield name, meant
