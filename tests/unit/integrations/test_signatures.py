"""The verifier that both webhook endpoints rely on. The digests were computed with openssl, not with our code:

printf '%s' '1795600000.{"a":"é"}' | openssl dgst -sha256 -hmac whsec_first
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.integrations.signatures import NoKeys, SignatureError, Verified, verify
from tests.factories import signature

BODY = '{"a":"é"}'.encode()
SIGNED = 1_795_600_000
FIRST_KEY, FIRST = "whsec_first", "5afc401e7c5fdb87ab3979a676522b242721b3ae93cde6b2639cf8d5034428be"
SECOND_KEY, SECOND = "key-two", "525d4c5c55ef011c9a1b82527813ca829790795b60d11a2b024b0c386763ac03"
SECOND_OF_EMPTY_BODY = "b3d08e38ae1fda3a8760e8a62f9539b669c7086aa0e38408510ce5b9aaade260"
NOW = datetime(2026, 11, 25, 9, 46, 40, tzinfo=UTC)
TOLERANCE = timedelta(seconds=300)
GENUINE = f"t={SIGNED},v1={FIRST}"


def check(
    header: str | None, *, body: bytes = BODY, keys: tuple[str, ...] = (FIRST_KEY,), age: int = 0
) -> Verified:
    return verify(header=header, body=body, keys=keys, now=NOW + timedelta(seconds=age), tolerance=TOLERANCE)


@pytest.mark.parametrize(
    ("header", "body", "keys", "index"),
    [
        (GENUINE, BODY, (FIRST_KEY,), 0),
        (f"t={SIGNED},v1={SECOND}", BODY, (FIRST_KEY, SECOND_KEY), 1),
        (f"t={SIGNED},v1={SECOND},v1={FIRST}", BODY, (FIRST_KEY,), 0),
        (f"t={SIGNED},v1={'0' * 64},v1={FIRST},v0={'f' * 64}", BODY, (SECOND_KEY, FIRST_KEY), 1),
        (f"v1={FIRST}, t={SIGNED}", BODY, (FIRST_KEY,), 0),
        (f"t={SIGNED},v1={FIRST.upper()}", BODY, (FIRST_KEY,), 0),
        (f"t={SIGNED},v0=not-hex,v1={FIRST}", BODY, (FIRST_KEY,), 0),
        (f"t={SIGNED},v1={SECOND_OF_EMPTY_BODY}", b"", (SECOND_KEY,), 0),
    ],
)
def test_a_genuine_delivery_has_its_key(header: str, body: bytes, keys: tuple[str, ...], index: int) -> None:
    assert check(header, body=body, keys=keys) == Verified(key_index=index, signed_at=NOW)


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 300])
def test_the_tolerance_itself_is_within_it(age: int) -> None:
    assert check(GENUINE, age=age).signed_at == NOW


# No guess is made about half a header, a doubled time or a digest of the wrong length.
MALFORMED = [
    "nonsense",
    ",",
    f"v1={FIRST}",
    f"t={SIGNED}",
    f"t={SIGNED},v0={FIRST}",
    f"t=,v1={FIRST}",
    f"t={SIGNED},v1=",
    f"t={SIGNED},v1={FIRST[:-2]}",
    f"t={SIGNED},v1={FIRST}00",
    f"t={SIGNED},v1={'g' * 64}",
    f"t={SIGNED},v1={'é' * 64}",
    f"t={SIGNED},t={SIGNED},v1={FIRST}",
    f"t=-1,v1={FIRST}",
    f"t=1e9,v1={FIRST}",
    f"t=٣٤٥,v1={FIRST}",
    f"t=999999999999,v1={FIRST}",
    f"t={'9' * 400},v1={FIRST}",
    f"t={SIGNED},v1={FIRST}," + ",".join([f"v1={'0' * 64}"] * 16),
    f"t={SIGNED},v1={FIRST},x=" + "y" * 5000,
]


@pytest.mark.parametrize(
    ("reason", "header", "how"),
    [
        *(("missing", header, {}) for header in (None, "", "   ")),
        *(("malformed", header, {}) for header in MALFORMED),
        # The digest covers the time as written and every byte of the body.
        ("mismatch", GENUINE, {"keys": (SECOND_KEY,)}),
        ("mismatch", GENUINE, {"body": BODY + b"\n"}),
        ("mismatch", f"t={SIGNED + 1},v1={FIRST}", {}),
        ("mismatch", f"t=0{SIGNED},v1={FIRST}", {}),
        ("mismatch", GENUINE, {"keys": (FIRST_KEY + " ",)}),
        # Only a genuine delivery is refused for its age.
        ("mismatch", f"t={SIGNED},v1={SECOND}", {"age": 100_000}),
        # Stripe's own SDK accepts any future time; we do not.
        ("too_old", GENUINE, {"age": 301}),
        ("from_the_future", GENUINE, {"age": -301}),
    ],
)
def test_each_refusal_has_its_reason(reason: str, header: str | None, how: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as refused:
        check(header, **how)
    # The text can be logged: it is the reason, and no secret.
    assert str(refused.value) == refused.value.reason == reason


@pytest.mark.parametrize("keys", [(), ("",), ("  ",), (FIRST_KEY, "")])
def test_without_keys_nothing_is_verified(keys: tuple[str, ...]) -> None:
    """An empty key would verify what a stranger signed with an empty key."""
    with pytest.raises(NoKeys):
        check(signature(BODY, "", at=NOW), keys=keys)


PART = st.one_of(
    st.text(max_size=30),
    st.builds("t={}".format, st.one_of(st.integers(), st.text(max_size=15))),
    st.builds("v1={}".format, st.one_of(st.text(alphabet="0123456789abcdefABCDEFg", max_size=70), st.text())),
    st.just(f"t={SIGNED}"),
    st.just(f"v1={FIRST}"),
)


@given(
    header=st.one_of(st.none(), st.text(), st.lists(PART, max_size=6).map(",".join)),
    body=st.binary(max_size=100),
    keys=st.lists(st.text(max_size=20), max_size=3),
)
def test_no_other_error_is_raised(header: str | None, body: bytes, keys: list[str]) -> None:
    with pytest.raises((SignatureError, NoKeys)):
        verify(header=header, body=body, keys=keys, now=NOW, tolerance=TOLERANCE)


@given(
    body=st.binary(max_size=300),
    key=st.text(min_size=1, max_size=40).filter(lambda text: text.strip() != ""),
    offset=st.integers(min_value=-300, max_value=300),
    noise=st.lists(st.sampled_from(["v0=abc", "v2=def", f"v1={'0' * 64}", "x="]), max_size=3),
)
def test_every_genuine_signature_is_accepted(body: bytes, key: str, offset: int, noise: list[str]) -> None:
    stamp, digest = signature(body, key, at=NOW + timedelta(seconds=offset)).split(",")
    header = ",".join([stamp, *noise, digest])
    verified = verify(header=header, body=body, keys=["other", key], now=NOW, tolerance=TOLERANCE)
    assert verified.signed_at == NOW + timedelta(seconds=offset)
    assert verified.key_index == (0 if key == "other" else 1)
