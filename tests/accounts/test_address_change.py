"""A change of the e-mail address, confirmed at both."""

from __future__ import annotations

import pytest
from flask import Flask

from bookingapp.accounts import links
from bookingapp.accounts.addresses import PURPOSES, VALID_FOR, find_change
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.accounts.conftest import OLU, LogIn, Post, submit
from tests.factories import PASSWORD, make_account
from tests.pages import PageClient, parse

NEW = "olu.new@example.org"
HERE = "/account/address"


def ask(browser: PageClient, email: str = NEW) -> None:
    assert submit(browser, HERE, {"email": email, "present": PASSWORD}).location == HERE


@pytest.mark.any_database
@pytest.mark.parametrize("new_first", [True, False])
def test_both_confirm(
    browser: PageClient, other: PageClient, log_in: LogIn, post: Post, new_first: bool
) -> None:
    """In either order, in any browser; then the new address logs in, and both get a mail."""
    ask(browser)
    links = [post.link(NEW), post.link(OLU)]
    first, second = links if new_first else links[::-1]
    for link in links:
        other.page(link)
    assert "The other address has to confirm too" in parse(submit(other, first, {})).words
    assert browser.page(HERE).words.count("Not confirmed yet") == 1
    assert log_in(other, email=NEW).status_code == 422
    assert NEW in parse(submit(other, second, {})).words
    assert log_in(other, email=NEW).status_code == 303
    assert NEW in browser.page("/account").words
    for address in (NEW, OLU):
        assert "Your e-mail address was changed" in post.subjects(address)
    assert other.get(first).status_code == 410


def test_the_old_address_can_stop_it(browser: PageClient, other: PageClient, post: Post) -> None:
    """Also after the new one has confirmed."""
    ask(browser)
    new, old = post.link(NEW), post.link(OLU)
    submit(other, new, {})
    answer = submit(other, old, {}, f"{old}/stop")
    assert "The change is stopped" in parse(answer).words
    assert {other.get(new).status_code, other.get(old).status_code} == {410}
    assert OLU in browser.page("/account").words


def test_links_of_two_changes_are_no_change(app: Flask) -> None:
    """Two that were asked for in the same moment: nobody confirms an address that their mail did not name."""
    with app.app_context(), transaction(db.session()) as session:
        account_id, now = make_account(session, email="pat@example.org").id, utcnow()
        for purpose, change in zip(PURPOSES, ("one", "two"), strict=True):
            links.create_link(
                session,
                purpose,
                email=f"{change}@example.org",
                account_id=account_id,
                valid_for=VALID_FOR,
                facts={"change": change, "new_email": f"{change}@example.org"},
                now=now,
            )
        assert find_change(session, account_id, now=now) is None


def test_a_newer_change_or_a_button_ends_it(browser: PageClient, other: PageClient, post: Post) -> None:
    ask(browser)
    first = post.link(NEW)
    ask(browser, "third@example.org")
    assert other.get(first).status_code == 410
    second = post.link("third@example.org")
    assert submit(browser, HERE, {}, f"{HERE}/stop").location == HERE
    assert other.get(second).status_code == 410


def test_an_address_that_has_an_account(
    app: Flask, browser: PageClient, other: PageClient, post: Post
) -> None:
    """Asking does not say so; only who reads its mail learns it."""
    with app.app_context():
        make_account(db.session(), email="eve@example.com")
    ask(browser, "eve@example.com")
    submit(other, post.link(OLU), {})
    answer = submit(other, post.link("eve@example.com"), {})
    assert "Another account has it already" in parse(answer).words
    assert OLU in browser.page("/account").words


@pytest.mark.parametrize(
    ("email", "present", "error"),
    [
        (NEW, "not-my-password", "This is not your present password."),
        (OLU.upper(), PASSWORD, "This is your address already."),
        ("nonsense", PASSWORD, "Please enter a valid e-mail address."),
    ],
)
def test_what_is_refused(browser: PageClient, post: Post, email: str, present: str, error: str) -> None:
    answer = submit(browser, HERE, {"email": email, "present": present})
    assert (answer.status_code, error in parse(answer).words) == (422, True)
    assert post.subjects() == []


def test_a_change_of_the_password_ends_it(browser: PageClient, other: PageClient, post: Post) -> None:
    """Whoever asked for it may have been somebody else."""
    ask(browser)
    link = post.link(NEW)
    submit(browser, "/account/password", {"present": PASSWORD, "password": "violet-kettle-harbor"})
    assert other.get(link).status_code == 410


def test_it_is_asked_for_three_times_an_hour(browser: PageClient) -> None:
    for _ in range(3):
        ask(browser)
        submit(browser, HERE, {}, f"{HERE}/stop")
    answer = submit(browser, HERE, {"email": NEW, "present": PASSWORD})
    assert "That was too often." in parse(answer).words
