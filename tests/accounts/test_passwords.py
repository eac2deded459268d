"""Which passwords are accepted, and changing one."""

from __future__ import annotations

import pytest
from flask import Flask

from bookingapp.accounts.passwords import check_password
from bookingapp.core.errors import Invalid
from tests.accounts.conftest import LogIn, Post, submit
from tests.factories import PASSWORD
from tests.pages import PageClient, parse

ADA = {"name": "Ada Okonkwo", "email": "ada.lovelace@example.com"}
ANOTHER = "violet-kettle-harbor"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("k3#Vq9!zT", "at least 10 characters"),
        ("k" * 201, "at most 200 characters"),
        ("password1234", "easy to guess"),
        ("iloveyou2024", "easy to guess"),
        ("qwertyuiop123", "easy to guess"),
        ("aaaaaaaaaaaaaaaa", "easy to guess"),
        ("P@ssw0rd123!", "easy to guess"),
        ("a" * 72 + "b" * 100, "easy to guess"),
        ("BookingApp2026", "easy to guess"),
        ("calendlycalendly", "easy to guess"),
        ("Okonkwo-1990", "Your name or e-mail address"),
        ("lovelace-lovelace", "Your name or e-mail address"),
    ],
)
def test_a_weak_password(password: str, reason: str) -> None:
    """Is refused with what to do instead."""
    with pytest.raises(Invalid, match=reason):
        check_password(password, **ADA)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, ANOTHER, "hK3n2pQz81", "build-with-me", "okonkwo violet kettle harbor", "ж" * 3 + "kP2vN8qLx"],
)
def test_a_good_password(password: str) -> None:
    check_password(password, **ADA)


def test_changing_it(app: Flask, browser: PageClient, other: PageClient, log_in: LogIn, post: Post) -> None:
    """Ends every other log-in, keeps this one, and mails the owner; the old password works no more."""
    log_in(other)
    answer = submit(browser, "/account/password", {"present": PASSWORD, "password": ANOTHER})
    assert answer.location == "/account"
    assert "logged out everywhere else" in browser.page("/account").words
    assert other.get("/account").location.startswith("/login")
    assert log_in(other).status_code == 422
    assert log_in(other, ANOTHER).status_code == 303
    assert "Your password was changed" in post.subjects()


@pytest.mark.parametrize(
    ("present", "new", "errors"),
    [
        ("not-my-password", ANOTHER, ["This is not your present password."]),
        (PASSWORD, "password1234", ["This password is easy to guess."]),
        ("not-my-password", "password1234", ["This is not your present password.", "This password is easy"]),
        ("not-my-password", "", ["This is not your present password.", "Please choose a password."]),
        ("", "password1234", ["Please enter your password.", "This password is easy to guess."]),
        ("", "", ["Please enter your password.", "Please choose a password."]),
    ],
)
def test_a_change_that_is_refused(
    browser: PageClient, log_in: LogIn, other: PageClient, present: str, new: str, errors: list[str]
) -> None:
    """Every mistake is named at once."""
    answer = submit(browser, "/account/password", {"present": present, "password": new})
    assert answer.status_code == 422
    shown = [one.get_text(" ", strip=True) for one in parse(answer).select("main .field__error")]
    assert len(shown) == len(errors)
    assert all(error in words for error, words in zip(errors, shown, strict=True))
    assert log_in(other).status_code == 303


def test_trying_the_present_password_is_limited(browser: PageClient) -> None:
    """Five in a minute, whatever else was wrong; then not even the right one."""
    right = {"present": PASSWORD, "password": ANOTHER}
    for new in (ANOTHER, "", "weak", ANOTHER, ""):
        submit(browser, "/account/password", {"present": "not-my-password", "password": new})
    assert "That was too often." in parse(submit(browser, "/account/password", right)).words
