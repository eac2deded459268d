"""The profile page: texts, links and their preview, the picture, the cancellation policy."""

from __future__ import annotations

import threading
from io import BytesIO

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder, BuilderPicture
from bookingapp.console.acts import Decision
from bookingapp.console.builder_acts import perform_builder_act
from bookingapp.console.models import ActCode
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.factories import list_bookings
from tests.live import press
from tests.pages import HTMX, Page, PageClient, new_client, parse
from tests.waiting import LOCK_AWAITED, eventually
from tests.web.conftest import Book, LogInAs, Offer, change
from tests.web.test_dashboard import PROFILE

LINKS = {
    "link_rows-0-label": "Blog",
    "link_rows-0-address": "https://ada.example.org/a?b=c",
    "link_rows-1-label": " My   code ",
    "link_rows-1-address": "code.example.org",
}
NO_STEPS = {f"steps-{row}-{name}": "" for row in range(3) for name in ("hours_before", "percent")}


def stored(app: Flask, slug: str = "ada-okonkwo") -> Builder:
    with app.app_context():
        return db.session().scalars(sa.select(Builder).where(Builder.slug == slug)).one()


def photo(color: tuple[int, int, int] = (200, 30, 30), kind: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.new("RGB", (700, 500), color).save(file, kind)
    return file.getvalue()


def upload(
    browser: PageClient, content: bytes, name: str = "me.jpg", alt: str = "Ada at her desk"
) -> TestResponse:
    fields = {
        "csrf_token": browser.token("/my-bookings"),
        "picture": FileStorage(BytesIO(content), name),
        "alt": alt,
    }
    boundary, body = encode_multipart(fields)
    kind = f"multipart/form-data; boundary={boundary}"
    return browser.post("/dashboard/profile/picture", data=body, content_type=kind)


def steps(*pairs: tuple[object, object]) -> dict[str, str]:
    sent = dict(NO_STEPS)
    for row, (hours, percent) in enumerate(pairs):
        sent |= {f"steps-{row}-hours_before": str(hours), f"steps-{row}-percent": str(percent)}
    return sent


class TestTexts:
    def test_markdown_on_the_public_page(self, browser: PageClient, ada: Offer) -> None:
        bio = "I build **shops**.\r\n\r\n# How\r\n\r\n[See one](https://shop.example.org)"
        assert press(browser, "/dashboard/profile", {**PROFILE, "bio": bio}).status_code == 303
        about = browser.page(ada.path).one(".profile__about .prose")
        assert about.select("strong")[0].text == "shops"
        assert about.select("h3")[0].text == "How"
        assert about.select("a[href='https://shop.example.org'][rel='noopener nofollow ugc']")
        typed = browser.page("/dashboard/profile").one("[name=bio]").text
        assert typed.split() == bio.split()

    @pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
    @pytest.mark.parametrize("is_listed", [True, False])
    def test_saved_while_an_operator_suspends(
        self, app: Flask, browser: PageClient, ada: Offer, postgresql_url: str, is_listed: bool
    ) -> None:
        """The directory lists them no more, whatever they saw when they pressed Save."""
        change(app, ada.builder, listed=is_listed)
        token, answers = browser.token("/my-bookings"), list[TestResponse]()
        form = {**PROFILE, "listed": "y", "csrf_token": token}
        saving = threading.Thread(
            target=lambda: answers.append(browser.post("/dashboard/profile", data=form))
        )
        with app.app_context(), psycopg.connect(postgresql_url, autocommit=True) as other:
            with transaction(db.session()) as session:
                decision = Decision(ada.builder.account_id, "Two clients complain.", utcnow())
                perform_builder_act(session, ada.builder.id, ActCode.BUILDER_SUSPENDED, {}, decision)
                session.flush()
                saving.start()
                eventually(lambda: other.execute(LOCK_AWAITED).fetchone(), "a save that waits")
            saving.join()
        assert [answer.status_code for answer in answers] == [303]
        assert stored(app).headline == "New"
        assert "Ada O." not in new_client(app).page("/").words

    def test_links(self, app: Flask, browser: PageClient, ada: Offer) -> None:
        assert press(browser, "/dashboard/profile", {**PROFILE, **LINKS}).status_code == 303
        shown = browser.page(ada.path).select(".profile__about .links a")
        assert [(link.text.strip(), link["href"], link["rel"]) for link in shown] == [
            ("Blog", "https://ada.example.org/a?b=c", ["noopener", "nofollow", "ugc"]),
            ("My code", "https://code.example.org", ["noopener", "nofollow", "ugc"]),
        ]
        page = browser.page("/dashboard/profile")
        assert page.one("[name=link_rows-1-label]")["value"] == "My code"
        assert len(page.select(".link-row")) == 3  # The last one is for another link.
        press(browser, "/dashboard/profile", PROFILE)
        assert stored(app).links == {}

    @pytest.mark.parametrize(
        ("label", "address", "words"),
        [
            ("Blog", "", "Please enter an address, or clear the label."),
            ("", "https://ada.example.org", "Please enter what clients read for this address."),
            *[
                ("Blog", address, "begins with https://.")
                for address in (
                    "http://ada.example.org",
                    "javascript://ada.example.org/%0aalert(1)",
                    "https://",
                    "https://localhost",
                    "https://a b.example.org",
                    "https://user:pass@ada.example.org",
                    "https://[::1",
                    'https://ada.example.org/"><script>',
                )
            ],
            ("x" * 41, "https://ada.example.org", "Field cannot be longer than 40 characters."),
        ],
    )
    def test_what_is_no_link(
        self, app: Flask, browser: PageClient, label: str, address: str, words: str
    ) -> None:
        sent = {"link_rows-0-label": label, "link_rows-0-address": address}
        answer = press(browser, "/dashboard/profile", {**PROFILE, **sent})
        assert answer.status_code == 422
        page = parse(answer)
        assert words in page.words
        assert page.select("[name^=link_rows-0-][aria-invalid=true]")
        assert stored(app).display_name == "Ada Okonkwo"

    def test_two_links_with_one_label(self, browser: PageClient) -> None:
        sent = {**LINKS, "link_rows-1-label": "Blog"}
        answer = press(browser, "/dashboard/profile", {**PROFILE, **sent})
        assert answer.status_code == 422
        assert "Two links have the same label." in parse(answer).words

    def test_the_preview_is_the_public_page_and_stores_nothing(
        self, app: Flask, browser: PageClient, ada: Offer
    ) -> None:
        sent = {**PROFILE, **LINKS, "bio": "**New** text"}
        page = parse(press(browser, "/dashboard/profile/preview", sent))
        assert page.one("h1").text == "Ada O."
        assert page.one(".profile__about strong").text == "New"
        assert page.select(".profile__about .links a[href='https://code.example.org']")
        assert [skill.text for skill in page.select(".builder-card .chips li")] == [
            "Python",
            "AI",
            "Prompt design",
        ]
        shown = browser.page("/").one(f"a[href='{ada.path}']").find_parent(class_="builder-card")
        assert shown is not None
        (tier,) = shown.select(".tier")
        assert [one.text for one in page.select(".tier")] == [tier.text] * 2
        assert stored(app).display_name == "Ada Okonkwo"
        assert browser.page(ada.path).one("h1").text == "Ada Okonkwo"

        # Back to the form with what was typed, or saved at once.
        hidden = {str(one["name"]): str(one["value"]) for one in page.select("main form [type=hidden]")}
        again = parse(press(browser, "/dashboard/profile", {**hidden, "edit": "1"}))
        assert again.one("[name=bio]").text.strip() == "**New** text"
        assert again.one("[name=link_rows-1-address]")["value"] == "code.example.org"
        assert stored(app).display_name == "Ada Okonkwo"
        assert press(browser, "/dashboard/profile", hidden).status_code == 303
        assert (stored(app).display_name, stored(app).links["My code"]) == (
            "Ada O.",
            "https://code.example.org",
        )

    def test_a_preview_of_what_cannot_be_saved(self, browser: PageClient) -> None:
        answer = press(browser, "/dashboard/profile/preview", {**PROFILE, "display_name": ""})
        assert answer.status_code == 422
        assert parse(answer).select("[name=display_name][aria-invalid=true]")


class TestPicture:
    def test_from_upload_to_initials_again(self, app: Flask, browser: PageClient, ada: Offer) -> None:
        answer = upload(browser, photo())
        assert (answer.status_code, answer.location) == (303, "/dashboard/profile#main")
        seen = {}
        for path in ("/", ada.path, "/dashboard/profile", ada.detail("PAID")):
            (shown,) = browser.page(path).select("main img.avatar")
            assert shown["alt"] == "Ada at her desk"
            seen[path] = str(shown["src"])
        assert "/card/" in seen["/"] and "/page/" in seen[ada.path]
        for address in seen.values():
            got = app.test_client().get(address)
            assert (got.status_code, got.content_type) == (200, "image/webp")
            assert got.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert got.headers["X-Content-Type-Options"] == "nosniff"
            assert "Set-Cookie" not in got.headers
            assert Image.open(BytesIO(got.data)).format == "WEBP"
            etag = {"If-None-Match": got.headers["ETag"]}
            assert app.test_client().get(address, headers=etag).status_code == 304

        press(browser, "/dashboard/profile/picture/description", {"alt": "Ada, laughing"})
        assert browser.page(ada.path).one("img.avatar")["alt"] == "Ada, laughing"
        upload(browser, photo((0, 0, 200), "PNG"), "x.png", "")
        (new,) = browser.page(ada.path).select("img.avatar")
        assert (new["src"] != seen[ada.path], new["alt"]) == (True, "")
        assert browser.get(seen[ada.path]).status_code == 404

        press(browser, "/dashboard/profile/picture/remove")
        assert not browser.page(ada.path).select("img.avatar")
        assert browser.page(ada.path).one("span.avatar").text == "AO"
        assert browser.get(str(new["src"])).status_code == 404
        with app.app_context():
            assert db.session().scalar(sa.select(sa.func.count()).select_from(BuilderPicture)) == 0

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "An SVG cannot be used."),
            (photo() + b"<script>x()</script>", "not only a picture"),
            (photo()[:300], "cannot read this file"),
            (b"", "cannot read this file"),
            (photo().ljust(5 * 1024 * 1024 + 1, b"x"), "This file is too large."),
        ],
        ids=["svg", "polyglot", "truncated", "empty", "large"],
    )
    def test_what_is_refused(self, app: Flask, browser: PageClient, content: bytes, words: str) -> None:
        answer = upload(browser, content)
        assert answer.status_code == 422
        page = parse(answer)
        assert words in page.one("#main").text
        assert page.one("[autofocus]") == page.one("[name=picture][aria-invalid=true]")
        assert stored(app).picture is None

    def test_no_file(self, browser: PageClient) -> None:
        answer = press(browser, "/dashboard/profile/picture", {"alt": "x"})
        assert answer.status_code == 422
        assert "Please choose a file." in parse(answer).words

    def test_five_megabytes_are_for_this_route_alone(self, browser: PageClient) -> None:
        """A file of 5 MB arrives there; a larger one is refused, as is a much smaller one anywhere else."""
        assert upload(browser, photo().ljust(5 * 1024 * 1024, b"x")).status_code == 303
        assert upload(browser, photo().ljust(6 * 1024 * 1024, b"x")).status_code == 413
        large = {"bio": "x" * 70_000}
        for path in ("/dashboard/profile", "/dashboard/profile/picture/remove", "/dashboard/profile/policy"):
            assert press(browser, path, large).status_code == 413

    @pytest.mark.parametrize(
        "path", ["card/" + "0" * 32, "page/" + "f" * 32, "large/" + "0" * 32, "card/abc"]
    )
    def test_there_is_no_such_picture(self, client: PageClient, path: str) -> None:
        assert client.get(f"/pictures/{path}.webp").status_code == 404


class TestPolicy:
    def sentences(self, page: Page) -> list[str]:
        return [line.text for line in page.select("#policy-sentences li")]

    def test_new_bookings_get_it_and_older_ones_keep_theirs(
        self, app: Flask, browser: PageClient, ada: Offer, book: Book
    ) -> None:
        """What clients read on cards, before they book and on the booking's page is one policy."""
        before = book(Status.SCHEDULED)
        answer = press(browser, "/dashboard/profile/policy", steps((6, 25), (72, 80)))
        assert (answer.status_code, answer.location) == (303, "/dashboard/profile#main")
        press(browser, f"{ada.detail('PAID')}/book", {"name": "Zoë", "email": "zoe@example.org"})
        after = next(one for one in list_bookings(app) if one.ref != before.ref)
        rules = [{"hours_before": 72, "percent": 80}, {"hours_before": 6, "percent": 25}]
        assert after.policy["client_cancels"] == rules
        first = "Cancel at least 72 hours before the start: you get 80% of the price back."
        pages = (
            "/dashboard/profile",
            f"{ada.path}/session-types",
            ada.detail("PAID"),
            f"/bookings/{after.ref}",
        )
        for path in pages:
            lines = [line.text for line in browser.page(path).select("ul.policy li")]
            assert lines[:3] == [
                first,
                "Cancel 6 to 72 hours before the start: you get 25% of the price back.",
                "Cancel less than 6 hours before the start: there is no refund.",
            ]
        assert first not in browser.page(f"/bookings/{before.ref}").words

    def test_no_refund_at_all(self, app: Flask, browser: PageClient, ada: Offer, book: Book) -> None:
        """One tick: clients read it before they book, and before they cancel."""
        ticked = {**steps((72, 80)), "none": "y"}
        said = press(browser, "/dashboard/profile/policy/sentences", ticked, headers=HTMX)
        none = ["If you cancel, you get no refund.", "If your builder cancels, you get everything back."]
        assert [line.text for line in parse(said).select("li")] == none
        press(browser, "/dashboard/profile/policy", ticked)
        page = browser.page("/dashboard/profile")
        assert self.sentences(page) == none
        assert page.one("#none").has_attr("checked")
        assert [line.text for line in browser.page(ada.detail("PAID")).select("ul.policy li")] == none
        booking = book(Status.CONFIRMED)
        preview = browser.page(f"/bookings/{booking.ref}/cancel")
        assert preview.one("[data-refund-minor]")["data-refund-minor"] == "0"
        press(browser, "/dashboard/profile/policy", NO_STEPS)
        assert stored(app).refund_steps is None

    def test_the_usual_policy_again(self, app: Flask, browser: PageClient) -> None:
        usual = self.sentences(browser.page("/dashboard/profile"))
        assert usual[0] == "Cancel at least 24 hours before the start: you get the full price back."
        press(browser, "/dashboard/profile/policy", steps((72, 80)))
        assert browser.page("/dashboard/profile").one("[name=steps-0-hours_before]")["value"] == "72"
        assert self.sentences(browser.page("/dashboard/profile")) != usual
        press(browser, "/dashboard/profile/policy", NO_STEPS)
        assert stored(app).refund_steps is None
        assert self.sentences(browser.page("/dashboard/profile")) == usual

    @pytest.mark.parametrize(
        ("sent", "words"),
        [
            (steps((24, 50), (12, 100)), "at 12 hours please enter less than 50%."),
            (steps((24, 50), (24, 10)), "Two steps have 24 hours."),
            (steps((0, 50)), "Please enter between 1 and 720 hours."),
            (steps((24, 101)), "Please enter between 1 and 100 percent."),
            (steps((24, "")), "Please enter hours and percent in each step"),
            (steps(("", 50)), "Please enter hours and percent in each step"),
            (steps(("soon", 50)), "Please enter hours and percent in each step"),
            (steps((24, "1e9")), "Please enter hours and percent in each step"),
            (steps((10**30, 50)), "Please enter between 1 and 720 hours."),
        ],
    )
    def test_what_is_refused(self, app: Flask, browser: PageClient, sent: dict[str, str], words: str) -> None:
        """Said while editing, and when it is saved; what was typed stays."""
        said = press(browser, "/dashboard/profile/policy/sentences", sent, headers=HTMX)
        assert (said.status_code, said.text.count("<li>")) == (200, 0)
        assert words in parse(said).words
        answer = press(browser, "/dashboard/profile/policy", sent)
        assert answer.status_code == 422
        page = parse(answer)
        assert words in page.one("#main").text
        place = str(page.one("#my-policy form")["action"]).rpartition("#")[2]
        assert words in page.one(f"#{place}").text
        assert page.one("[name=steps-0-hours_before]").get("value") == sent["steps-0-hours_before"]
        assert stored(app).refund_steps is None

    def test_what_is_missing_is_marked(self, browser: PageClient) -> None:
        page = parse(press(browser, "/dashboard/profile/policy", steps((48, 100), (24, ""))))
        (wrong,) = page.select("[aria-invalid=true]")
        assert wrong["name"] == "steps-1-percent"
        assert "or clear both" in page.one("#steps-1-percent-error").text

    @pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
    def test_the_sentences_while_editing(
        self, app: Flask, browser: PageClient, headers: dict[str, str]
    ) -> None:
        answer = press(browser, "/dashboard/profile/policy/sentences", steps((48, 100)), headers=headers)
        assert (
            "Cancel at least 48 hours before the start: you get the full price back." in parse(answer).words
        )
        assert ("<html" in answer.text) is (not headers)
        assert stored(app).refund_steps is None


def test_each_builder_changes_their_own(app: Flask, ada: Offer, kenji: Offer, log_in: LogInAs) -> None:
    browser = log_in(kenji)
    upload(browser, photo())
    press(browser, "/dashboard/profile/policy", steps((72, 80)))
    press(browser, "/dashboard/profile", {**PROFILE, "display_name": "Kenji", "id": str(ada.builder.id)})
    mine, other = stored(app, "kenji-mori"), stored(app)
    assert (mine.picture is None, mine.refund_steps is None, mine.display_name) == (False, False, "Kenji")
    assert (other.picture, other.refund_steps, other.display_name) == (None, None, "Ada Okonkwo")
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Builder).where(Builder.id == other.id).values(picture=mine.picture))
    # Who removes theirs does not take another's row.
    press(browser, "/dashboard/profile/picture/remove")
    assert stored(app).picture == mine.picture
