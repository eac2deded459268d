"""Names and addresses as people write and paste them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.core.db import db
from tests.factories import PASSWORD
from tests.pages import PageClient, parse
from tests.web.conftest import Offer

PERSIAN = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"  # Alireza.
SINHALA = "\u0dc1\u0dca\u200d\u0dbb\u0dd3"  # Sri.


def booked(app: Flask) -> list[tuple[str, str]]:
    """Name and address of each booking."""
    with app.app_context():
        found = db.session().execute(sa.select(Booking.client_name, Booking.client_email))
        return [(name, email) for name, email in found]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (PERSIAN, PERSIAN),
        (SINHALA, SINHALA),
        (f"\ufeff {PERSIAN}\u200f\u200c ", PERSIAN),
        ("\u200eZoë\u2060\u200b  \u00a0Wong\n", "Zoë Wong"),
        ("👩\u200d🚀 Sally", "👩\u200d🚀 Sally"),
        ("Dr.Li", "Dr. Li"),
        ("Joh.de Vries", "Joh. de Vries"),
        ("J.P.de Boer", "J.P. de Boer"),
        ("Ma.de los Ángeles Ruiz", "Ma. de los Ángeles Ruiz"),
        ("Chas.de Gaulle", "Chas. de Gaulle"),
        ("Prof.Li", "Prof. Li"),
        ("Dipl.-Ing.Li", "Dipl.-Ing. Li"),
        ("A.Ng", "A. Ng"),
        ("J.LI", "J. LI"),
        (f"{PERSIAN} Amiri, M.Sc.", f"{PERSIAN} Amiri, M. Sc."),
        ("Dr.Li.Ng", "Dr. Li. Ng"),
        ("Priya Rao, B.Com., M.Tech.", "Priya Rao, B. Com., M. Tech."),
        ("И.Бел", "И. Бел"),
        ("J.R.van.de.Berg", "J.R.van.de.Berg"),
        ("D.J.van Dijk", "D.J.van Dijk"),
        ("Wei.Zhang", "Wei.Zhang"),
        ("John Smith.jr", "John Smith.jr"),
        ("Ann Lee, Ph.D., M.D.", "Ann Lee, Ph.D., M.D."),
        ("maria.garcia", "maria.garcia"),
        ("Xi, No.1", "Xi, No.1"),
        ("St.John O'Neill-Smith, Ph.D.", "St.John O'Neill-Smith, Ph.D."),
        ("J.R.R. Tolkien", "J.R.R. Tolkien"),
    ],
)
def test_names_of_all_people(app: Flask, client: PageClient, ada: Offer, typed: str, kept: str) -> None:
    """Kept where it belongs to the word, cleaned where it is only paste."""
    answer = client.submit(f"{ada.detail('PAID')}/book", {"name": typed, "email": "zoe@example.org"})
    assert answer.status_code == 303, answer.text
    assert booked(app) == [(kept, "zoe@example.org")]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("\u200c\u200b", "Please enter your name."),
        ("Zoë\nBcc: all@example.org", "Please write your name on one line."),
        ("Zoë\u2028Wong", "Please write your name on one line."),
        ("Win at https://evil.example", "Please enter your name without a web address."),
        ("www.evil", "Please enter your name without a web address."),
        ("EVIL.COM wants you", "Please enter your name without a web address."),
        ("t.me/win", "Please enter your name without a web address."),
        ("t.co", "Please enter your name without a web address."),
        ("x.com", "Please enter your name without a web address."),
        ("see bit.ly", "Please enter your name without a web address."),
        ("Win: is.gd", "Please enter your name without a web address."),
        ("T.co", "Please enter your name without a web address."),
        ("evil.de Vries", "Please enter your name without a web address."),
        ("Joh.de", "Please enter your name without a web address."),
        ("Casino.De Vries", "Please enter your name without a web address."),
        ("casino.Com.De Vries", "Please enter your name without a web address."),
        ("casino.Bet.Li.Ng", "Please enter your name without a web address."),
        ("my.evil.co.uk", "Please enter your name without a web address."),
        ("Joh.de Vries of evil.ru", "Please enter your name without a web address."),
        ("win.bet", "Please enter your name without a web address."),
        ("free-porn.xxx", "Please enter your name without a web address."),
        ("evil-.work", "Please enter your name without a web address."),
        ("bob@evil.ru:8080", "Please enter your name without a web address."),
        ("नमस्ते.com", "Please enter your name without a web address."),
        ("Evil.com", "Please enter your name without a web address."),
        ("EVIL.RU", "Please enter your name without a web address."),
        ("\uff45vil\uff0ecom", "Please enter your name without a web address."),
        ("1.2.3.4/win", "Please enter your name without a web address."),
        ("see evil.ru/now", "Please enter your name without a web address."),
        ("evil\u200c.ru", "Please enter your name without a web address."),
        ("evil.c\u200dom", "Please enter your name without a web address."),
        ("пример.онлайн", "Please enter your name without a web address."),
        ("see 博彩网站.中国", "Please enter your name without a web address."),
        ("Dr.Li " * 20, "This name is too long."),
        ("\u3164 \u2800", "Please enter your name."),
        ("see ev\u200bil.ru", "Please enter your name without a web address."),
    ],
)
def test_what_is_no_name(
    client: PageClient, ada: Offer, log_in: Callable[[Offer], PageClient], typed: str, sentence: str
) -> None:
    """Said at the field, to clients and to builders."""
    answer = client.submit(f"{ada.detail('PAID')}/book", {"name": typed, "email": "zoe@example.org"})
    assert answer.status_code == 422
    assert sentence in parse(answer).one("#name-error").text
    form = {"display_name": typed, "timezone": "UTC", "availability": "available"}
    token = str(log_in(ada).page("/dashboard").select("input[name=csrf_token]")[0]["value"])
    answer = client.post("/dashboard/profile", data={**form, "csrf_token": token})
    assert answer.status_code == 422
    assert sentence in parse(answer).words


@pytest.mark.any_database
@pytest.mark.parametrize(
    "typed",
    [
        "\u200ezoe@example.org\u200f",
        "\ufeffzoe@example.org\u200b\u00a0",
        "zoe\u200b@exa\u00admple\u2060.org",
        "\u2068Zoe@Example.org\u2069\t",
        "zoe@\nexample.org",
    ],
)
def test_pasted_addresses(app: Flask, client: PageClient, ada: Offer, typed: str) -> None:
    """For a booking, for a link to one's bookings and for a log-in."""
    answer = client.submit(f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": typed})
    assert answer.status_code == 303, answer.text
    assert booked(app) == [("Zoë", "zoe@example.org")]
    assert client.submit("/my-bookings", {"email": typed}).status_code == 303
    assert "zoe@example.org" in client.page("/my-bookings/sent").words


def test_a_pasted_address_logs_in(client: PageClient, ada: Offer) -> None:
    form = {"email": "\u200eAda-Okonkwo@example.com\u200b", "password": PASSWORD}
    assert client.submit("/login", form).status_code == 303


@pytest.mark.any_database
def test_an_address_that_grows_in_lower_case(client: PageClient, ada: Offer) -> None:
    """It is measured as it is kept."""
    typed = "İ" * 31 + "@" + ".".join(["a" * 60] * 3) + ".example.org"
    answer = client.submit("/my-bookings", {"email": typed})
    assert answer.status_code == 422
    assert parse(answer).one("#email-error").text
