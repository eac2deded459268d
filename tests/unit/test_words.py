"""Every code has words for each of its readers, and the facts are filled in."""

from __future__ import annotations

import pytest

from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import Mail
from bookingapp.checkout.stripe_check import MoneyFinding
from bookingapp.core.queue import Restart
from bookingapp.dashboard.words.bookings import CAUSES, FLAGS
from bookingapp.dashboard.words.deliveries import describe_change
from bookingapp.dashboard.words.mails import mail_label
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.integrations.errors import ProviderError
from bookingapp.operations.words import describe
from bookingapp.outcomes import Awaited, Done, Failure
from bookingapp.sync.models import Missing, NotFetched
from bookingapp.webhooks.models import DeliveryOutcome
from bookingapp.webhooks.rehearsal import Change

OUTCOMES = [*Failure, *Done, *Awaited, *Restart, *DeliveryOutcome]
FINDINGS = [*MoneyFinding, *Missing, *NotFetched]
# One fact of each name that any words need.
FACTS = {
    "status": "complete",
    "payment_status": "paid",
    "type": "charge.updated",
    "account": "acct1Other",
    "payment_intent": "pi1Other",
    "at": "2026-11-24T09:05:00Z",
    "booking_id": 7,
    "builder_id": 3,
    "kind": "charge",
    "amount_minor": 6000,
    "currency": "GBP",
    "before": "open",
    "after": "paid",
    "category": "unavailable",
    "most": 100,
    "found": 123,
}


def test_every_code_is_another() -> None:
    """Several enums share one column, of 64 characters."""
    codes = [*OUTCOMES, *FINDINGS]
    assert len({str(code) for code in codes}) == len(codes)
    assert max(map(len, codes)) <= 64


@pytest.mark.parametrize("code", [*OUTCOMES, *FINDINGS])
def test_operators_read_words(code: str) -> None:
    words = describe(code, FACTS)
    assert words != code or code == Restart.REPLAYED
    assert "_" not in words


@pytest.mark.parametrize("code", OUTCOMES)
def test_builders_read_words(code: str) -> None:
    """Of a delivery, or of a job of their booking."""
    words = describe_outcome(code, FACTS)
    assert words[0].isupper()
    assert "_" not in words


def test_every_flag_cause_and_mail_has_words_for_builders() -> None:
    by_facts = {CauseCode.WEBHOOK, CauseCode.FLAG_RESOLVED, CauseCode.REFUSED_BY_STRIPE, CauseCode.OTHER}
    by_facts |= {CauseCode.REFUND_DECIDED, CauseCode.MAIL_REPEATED}
    assert set(FlagCode) - set(FLAGS) == {FlagCode.OTHER}
    assert set(CauseCode) - set(CAUSES) == by_facts
    assert all(mail_label(mail) for mail in Mail)


def test_builders_read_which_flags_a_replay_would_raise() -> None:
    flags = (FlagCode.DISPUTE_OPEN, FlagCode.WRONG_AMOUNT)
    name, before, after = describe_change(Change("attention", None, flags), "UTC")
    assert (name, before) == ("Needs attention", "nothing")
    assert after == f"{FLAGS[FlagCode.DISPUTE_OPEN]} {FLAGS[FlagCode.WRONG_AMOUNT]}"


def test_every_category_of_a_providers_error_is_a_failure() -> None:
    kinds = [kind for base in ProviderError.__subclasses__() for kind in (base, *base.__subclasses__())]
    categories = {kind.category for kind in kinds if hasattr(kind, "category")}
    assert categories <= set(Failure)
    assert len(categories) == 10


def test_what_operators_read_names_the_error() -> None:
    facts = {"error": "StripeUnavailable"}
    assert describe(Failure.UNAVAILABLE, facts) == "no answer (StripeUnavailable)"
    assert describe(Failure.UNAVAILABLE, {**facts, "try": 3}) == "no answer (StripeUnavailable at try 3)"
    assert describe_outcome(Failure.UNAVAILABLE, {**facts, "try": 3}) == "No answer"
    fetched = describe(DeliveryOutcome.DISPUTE_RECORDED, {"status": "lost", "fetched": True})
    assert fetched == "dispute is lost; fetched, because it was not delivered"


def test_what_is_no_code_is_shown_as_it_is() -> None:
    """Nothing has happened yet; a text from before there were codes; a code of another version."""
    for words in (describe, describe_outcome):
        assert words(None, {}) == ""
        assert words("other", {"text": "100 % odd"}) == "100 % odd"
        assert words("of_tomorrow", {}) == "of_tomorrow"
