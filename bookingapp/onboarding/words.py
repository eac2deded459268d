"""What a new builder reads about each step of the checklist."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for

from bookingapp.builders.models import Builder
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.money import format_money
from bookingapp.onboarding.checklist import Checklist, Step

_TITLES = {
    Step.PROFILE: N_("Write your profile"),
    Step.CONNECTION: N_("Connect Calendly"),
    Step.PRICE: N_("Set your first price"),
    Step.PUBLISH: N_("Publish your page"),
    Step.TEST: N_("Book yourself once"),
}
_SENTENCES = {
    Step.PROFILE: N_("A headline and a few sentences about you: clients read them before they book."),
    Step.CONNECTION: N_(
        "Calendly knows your calendar and your session types. Clients book the times that it has."
    ),
    Step.PRICE: N_("Give at least one session type a price, 0 for a free one, and leave “Published” ticked."),
    Step.PUBLISH: N_(
        "From now on clients find you in the directory. You can hide your page again in your profile."
    ),
}


@dataclass(frozen=True)
class StepLine:
    """One step as the checklist shows it. ``action`` are a label and an address; for ``Step.PUBLISH`` it is posted."""

    step: Step
    title: str
    is_done: bool
    is_next: bool
    sentence: str = ""
    action: tuple[str, str] | None = None


def describe_checklist(checklist: Checklist, builder: Builder) -> list[StepLine]:
    """Each step in its order; the next one with what to do."""
    return [
        describe_next(checklist, builder)
        if step is checklist.next
        else StepLine(step, gettext(_TITLES[step]), is_done=step in checklist.done, is_next=False)
        for step in Step
    ]


def describe_next(checklist: Checklist, builder: Builder) -> StepLine:
    """The next step, with what to do. There has to be one."""
    step = checklist.next or Step.TEST
    title = gettext(_TITLES[step])
    sentence = _describe_test(checklist) if step is Step.TEST else gettext(_SENTENCES[step])
    return StepLine(
        step, title, is_done=False, is_next=True, sentence=sentence, action=_action(checklist, builder, step)
    )


def _action(checklist: Checklist, builder: Builder, step: Step) -> tuple[str, str]:
    if step is Step.PROFILE:
        return gettext("Go to your profile"), url_for("dashboard.profile")
    if step is Step.CONNECTION:
        return gettext("Go to the connection"), url_for("dashboard.connection")
    if step is Step.PRICE:
        return gettext("Go to your session types"), url_for("dashboard.prices")
    if step is Step.PUBLISH:
        return gettext("Publish my page"), url_for("onboarding.publish")
    if checklist.test_id is not None:
        return gettext("See your test booking"), url_for("dashboard.booking", tracking_id=checklist.test_id)
    return gettext("Open your page as clients see it"), url_for("builders.profile", slug=builder.slug)


def _describe_test(checklist: Checklist) -> str:
    if checklist.test_id is not None:
        return gettext(
            "Your test booking is confirmed: everything works. Now cancel it on its page. Your time becomes free "
            "again, and what you paid goes back to your card in full."
        )
    minor, currency = checklist.price or (0, "")
    if minor == 0:
        return gettext(
            "Book one of your free sessions as a client would, with your own address, %(email)s. It is a real booking "
            "in your calendar and costs nothing. Cancel it afterwards.",
            email=checklist.email,
        )
    return gettext(
        "Book one of your sessions as a client would, with your own address, %(email)s. It is a real booking: your "
        "card is charged, %(price)s for your cheapest session. Cancel it afterwards on its page here, and all of it "
        "goes back to your card.",
        email=checklist.email,
        price=format_money(minor, currency),
    )
