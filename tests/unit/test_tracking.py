"""The reference that travels through Calendly."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.bookings.tracking import TrackingSigner, scheduling_link

OLD, NEW = "old-key-" + "0" * 32, "new-key-" + "0" * 32
ID = "aB3-_xyzQ12"


def test_a_signed_reference_reads_back() -> None:
    value = TrackingSigner([NEW]).sign(ID)
    assert value != ID
    assert TrackingSigner([NEW]).read(value) == ID


def test_rotation() -> None:
    """A reference that the old key signed is valid while that key is listed; the first key signs new ones."""
    value = TrackingSigner([OLD]).sign(ID)
    assert TrackingSigner([NEW, OLD]).read(value) == ID
    assert TrackingSigner([NEW]).read(value) is None
    assert TrackingSigner([NEW]).read(TrackingSigner([NEW, OLD]).sign(ID)) == ID


def test_another_bookings_signature_does_not_fit() -> None:
    signer = TrackingSigner([NEW])
    mine, _ = signer.sign("mine").rsplit(".", 1)
    _, theirs = signer.sign("theirs").rsplit(".", 1)
    assert signer.read(f"{mine}.{theirs}") is None


@pytest.mark.parametrize("value", [None, "", ID, f"{ID}.", f".{ID}", "é.è", "\ud800.x", "x" * 1000, "a.b.c"])
def test_what_we_did_not_sign_is_nothing(value: str | None) -> None:
    assert TrackingSigner([NEW]).read(value) is None


@given(position=st.integers(0, 50), letter=st.sampled_from("abcXYZ019-_."))
def test_one_changed_letter_breaks_it(position: int, letter: str) -> None:
    """Anywhere in it; the one exception is a letter that stands for the same bits at the signature's end."""
    signer = TrackingSigner([NEW])
    value = signer.sign(ID)
    position %= len(value) - 1
    changed = value[:position] + letter + value[position + 1 :]
    assert signer.read(changed) == (ID if changed == value else None)


def test_the_link_to_calendly_adds_to_the_address_and_replaces_a_reference_in_it() -> None:
    link = scheduling_link(
        "https://calendly.com/ada/60min?month=2026-12&utm_content=theirs",
        tracking="t.s",
        name="Zoë & Co",
        email="z+1@example.org",
    )
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "calendly.com", "/ada/60min")
    assert parse_qs(parts.query) == {
        "month": ["2026-12"],
        "name": ["Zoë & Co"],
        "email": ["z+1@example.org"],
        "utm_source": ["bookingapp"],
        "utm_content": ["t.s"],
    }
