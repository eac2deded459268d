"""From foreign URIs to ids, and never to a foreign address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.integrations.calendly import CalendlyRejected
from bookingapp.integrations.calendly.addresses import Addresses

REAL = Addresses("https://api.calendly.com")
PREFIXED = Addresses("http://127.0.0.1:8001/calendly-api/")
EVENT = "/scheduled_events/b7a3c1d2-9e8f-4a6b-8c5d-1f2e3d4c5b6a"
INVITEE = f"{EVENT}/invitees/AAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("addresses", "uri"),
    [
        (REAL, f"https://api.calendly.com{EVENT}"),
        (REAL, f"https://calendly.com{EVENT}"),
        (REAL, f"https://calendly.com/api/v2{EVENT}"),
        (PREFIXED, f"http://127.0.0.1:8001/calendly-api{EVENT}"),
        (PREFIXED, f"https://api.calendly.com{EVENT}"),
        (PREFIXED, f"http://127.0.0.1:8001{EVENT}"),
    ],
)
def test_every_known_spelling_leads_to_the_configured_api(addresses: Addresses, uri: str) -> None:
    assert addresses.uri(uri, "scheduled_event") == addresses.api_url + EVENT
    assert addresses.path(uri, "scheduled_event") == EVENT.removeprefix("/")
    assert addresses.ids(uri, "scheduled_event") == ("b7a3c1d2-9e8f-4a6b-8c5d-1f2e3d4c5b6a",)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        EVENT,
        f"//api.calendly.com{EVENT}",
        f"ftp://api.calendly.com{EVENT}",
        f"javascript://api.calendly.com{EVENT}",
        f"http://api.calendly.com{EVENT}",
        f"https://api.calendly.com:8443{EVENT}",
        f"https://api.calendly.com.evil.example{EVENT}",
        f"https://evil.example{EVENT}",
        f"https://api.calendly.com@evil.example{EVENT}",
        f"https://user:password@api.calendly.com{EVENT}",
        f"https://api.calendly.com\\@evil.example{EVENT}",
        f"https://169.254.169.254{EVENT}",
        f"https://api.calendly.com{EVENT}?x=1",
        f"https://api.calendly.com{EVENT}#x",
        f"https://api.calendly.com{EVENT}/",
        f"https://api.calendly.com{EVENT}/cancellation",
        f"https://api.calendly.com/v1{EVENT}",
        f"https://calendly.com/v1{EVENT}",
        f"https://api.calendly.com{INVITEE}",
        "https://api.calendly.com/scheduled_events/",
        "https://api.calendly.com/scheduled_events/..",
        "https://api.calendly.com/scheduled_events/a%2F..%2Fusers",
        "https://api.calendly.com/scheduled_events/a_b",
        "https://api.calendly.com/scheduled_events/" + "a" * 65,
        "https://api.calendly.com/users/me",
        f"https://api.calendly.com{EVENT}\n",
        f" https://api.calendly.com{EVENT}",
        f"https://[::1{EVENT}",
        "https://api.calendly.com/scheduled_events/\uff21\uff22",
    ],
)
def test_foreign_addresses_are_rejected(uri: str) -> None:
    with pytest.raises(CalendlyRejected) as rejected:
        REAL.path(uri, "scheduled_event")
    assert rejected.value.code == "foreign_address"
    assert uri == "" or uri not in str(rejected.value)


def test_an_invitees_address_has_both_ids() -> None:
    both = ("b7a3c1d2-9e8f-4a6b-8c5d-1f2e3d4c5b6a", "AAAAAAAAAAAAAAAA")
    assert REAL.ids(f"https://api.calendly.com{INVITEE}", "invitee") == both
    assert REAL.path(f"https://calendly.com{INVITEE}", "invitee") == INVITEE.removeprefix("/")
    with pytest.raises(CalendlyRejected):
        REAL.ids(f"https://api.calendly.com{EVENT}", "invitee")


def test_as_a_parameter_a_uri_keeps_the_providers_spelling() -> None:
    """A stand-in may know its resources by another address than ours; documentation hosts are rebuilt."""
    api = "https://api.calendly.com/users/ABC"
    assert PREFIXED.parameter(api, "user") == api
    assert REAL.parameter("https://calendly.com/users/ABC", "user") == api
    with pytest.raises(CalendlyRejected):
        REAL.parameter("https://evil.example/users/ABC", "user")


@given(
    st.one_of(st.text(), st.from_regex(r"https?://[a-z.:@\[\]%/\\]{0,30}/scheduled_events/[A-Za-z0-9-]{1,9}"))
)
def test_whatever_comes_the_result_is_on_our_api_or_a_rejection(uri: str) -> None:
    try:
        canonical = PREFIXED.uri(uri, "scheduled_event")
    except CalendlyRejected:
        return
    assert canonical.startswith("http://127.0.0.1:8001/calendly-api/scheduled_events/")
