"""Secrets at rest: sealed, opened by the right key alone, and moved to a new one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from bookingapp.connections.models import AuditEntry, AuditKind, CalendlyConnection, ConnectionState
from bookingapp.connections.tokens import Tokens
from bookingapp.core import services
from bookingapp.core.encryption import EncryptionError, Keyring
from bookingapp.integrations.calendly import CalendlyUnauthorized
from tests.conftest import ENCRYPTION_KEY
from tests.connections.conftest import Connected, Town, connect, restarted

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_secret_comes_back_under_its_key_alone() -> None:
    """What is stored names its key and shows nothing of the secret or the key."""
    sealed = Keyring([OLD]).seal("a token")
    assert "a token" not in sealed
    assert OLD not in sealed
    assert sealed.startswith(f"{Keyring([OLD]).newest_id}:")
    assert Keyring([OLD]).open(sealed) == "a token"
    assert Keyring([NEW, OLD]).open(sealed) == "a token"
    assert Keyring([OLD]).seal("a token") != sealed
    assert OLD not in repr(Keyring([OLD, NEW]))


@pytest.mark.parametrize("given", [[], [NEW]])
def test_a_missing_key_refuses(given: list[str]) -> None:
    """It says which key it needs, and nothing is skipped."""
    sealed = Keyring([OLD]).seal("a token")
    with pytest.raises(EncryptionError) as refused:
        Keyring(given).open(sealed)
    assert OLD not in str(refused.value)
    with pytest.raises(EncryptionError):
        Keyring(given).reseal(sealed)
    with pytest.raises(EncryptionError):
        Keyring([]).seal("a token")


@pytest.mark.parametrize("change", ["", "x", ":", "nobody:gAAAA"])
def test_what_was_changed_is_not_opened(change: str) -> None:
    sealed = Keyring([OLD]).seal("a token")
    changed = change or sealed[:-6] + ("AAAAA=" if sealed[-6:] != "AAAAA=" else "BBBBB=")
    with pytest.raises(EncryptionError):
        Keyring([OLD]).open(changed)


def test_sealing_anew_moves_to_the_newest_key() -> None:
    """Both ways; what is under it already stays as it is."""
    sealed = Keyring([OLD]).seal("a token")
    moved = Keyring([NEW, OLD]).reseal(sealed)
    assert Keyring([NEW]).open(moved) == "a token"
    assert Keyring([NEW, OLD]).reseal(moved) == moved
    assert Keyring([OLD]).open(Keyring([OLD, NEW]).reseal(moved)) == "a token"


def keys(*given: str) -> dict[str, object]:
    """ENCRYPTION_KEYS, newest first."""
    return {"encryption_keys": tuple(SecretStr(key) for key in given)}


def ids(town: Town) -> set[str]:
    """The keys that the stored tokens are sealed with."""
    names = (CalendlyConnection.access_token, CalendlyConnection.refresh_token)
    found = [town.all(sa.select(sa.type_coerce(column, sa.Text))) for column in names]
    return {str(sealed).partition(":")[0] for column in found for sealed in column}


@pytest.mark.any_database
def test_keys_are_rotated(town: Town, connected: Connected) -> None:
    """A new key in front, `rotate-keys`, the old key away; and the same way back."""
    ada, _ = connected()
    before = town.connection(ada)
    for newest, older in ((NEW, ENCRYPTION_KEY), (ENCRYPTION_KEY, NEW)):
        with restarted(town, **keys(newest, older)) as between:
            assert between.connection(ada).access_token == before.access_token
            answer = between.app.test_cli_runner().invoke(args=["connections", "rotate-keys"])
            assert answer.exit_code == 0, answer.output
            assert "2 secrets encrypted again" in answer.output
            assert ids(between) == {Keyring([newest]).newest_id}
            again = between.app.test_cli_runner().invoke(args=["connections", "rotate-keys"])
            assert "0 secrets encrypted again" in again.output
        with restarted(town, **keys(newest)) as after:
            row = after.connection(ada)
            assert (row.access_token, row.refresh_token) == (before.access_token, before.refresh_token)
            assert after.user_name(after.reread(ada).tenant) == "Ada Okonkwo"
    entries = town.all(sa.select(AuditEntry.facts).where(AuditEntry.kind == AuditKind.KEYS_ROTATED))
    there = {"secrets": 2, "key": Keyring([NEW]).newest_id}
    back = {"secrets": 2, "key": Keyring([ENCRYPTION_KEY]).newest_id}
    assert entries == [there, {**there, "secrets": 0}, back, {**back, "secrets": 0}]


def test_rotation_is_all_or_nothing(town: Town, connected: Connected) -> None:
    """With the old key gone too early, the command names it and changes nothing."""
    connected()
    with restarted(town, **keys(NEW)) as too_early:
        answer = too_early.app.test_cli_runner().invoke(args=["connections", "rotate-keys"])
    assert answer.exit_code == 1
    assert Keyring([ENCRYPTION_KEY]).newest_id in answer.stderr
    assert "nothing was changed" in answer.stderr
    assert ids(town) == {Keyring([ENCRYPTION_KEY]).newest_id}
    assert town.all(sa.select(AuditEntry.id).where(AuditEntry.kind == AuditKind.KEYS_ROTATED)) == []


def test_a_key_that_is_gone_stops_calls_and_not_the_site(town: Town, connected: Connected) -> None:
    """The platform's token does not step in; pages say so; with the key back all is as before; and a builder can
    connect anew in any case.
    """
    ada, _ = connected()
    with restarted(town, **keys(NEW)) as without:
        with without.app.app_context(), pytest.raises(CalendlyUnauthorized, match="cannot be read"):
            services.get(Tokens).token_for(ada.tenant)
        page = without.browser().page("/builders/ada/session-types")
        assert "Booking is paused" in page.words
        assert without.browser("ada").page("/dashboard/connection").one("[data-connection]")
        assert town.requests() == []
    assert town.connection(ada).state is ConnectionState.CONNECTED
    assert town.user_name(town.reread(ada).tenant) == "Ada Okonkwo"


def test_connecting_anew_heals_a_lost_key(town: Town, connected: Connected) -> None:
    """The old pair cannot be opened, so it cannot be revoked; the new one works."""
    ada, _ = connected()
    with restarted(town, **keys(NEW)) as without:
        browser = without.browser("ada")
        with without.database() as session:
            row = session.scalars(sa.select(CalendlyConnection)).one()
            row.state = ConnectionState.DEAD
            session.commit()
        assert connect(without, browser).status_code == 303
        assert without.user_name(without.reread(ada).tenant) == "Ada Okonkwo"
