"""The test client: it checks every HTML answer for faults in markup, forms, labels and inline code."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import lru_cache
from hashlib import sha256
from typing import Any

from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

HTMX = {"HX-Request": "true"}
_TOKEN = re.compile(r'(?<=<input type="hidden" name="csrf_token" value=")[^"]+(?=">)')
# Digests of the answers without faults, each without its token.
_FAULTLESS: set[bytes] = set()
# A sentence whose gap was not filled in.
_GAP = re.compile(r"%\(\w+\)s")
# Two attributes without a space between them.
_GLUED = re.compile(r'="[^"]*"[a-z][a-z-]*')
# Controls that need no label.
_UNLABELED_TYPES = {"hidden", "submit", "button", "reset", "image"}


class Page(BeautifulSoup):
    """An answer as HTML."""

    def one(self, selector: str) -> Tag:
        """The element that ``selector`` finds; there has to be exactly one."""
        found = self.select(selector)
        assert len(found) == 1, f"{len(found)} elements match {selector}"
        return found[0]

    @property
    def words(self) -> str:
        """All text, with single spaces."""
        return " ".join(self.get_text(" ").split())


class PageClient(FlaskClient):
    """Checks each HTML answer: see :func:`faults`."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request, read the whole answer, and check it."""
        kwargs.setdefault("buffered", True)
        response = super().open(*args, **kwargs)
        if response.mimetype == "text/html" and response.data and not 300 <= response.status_code < 400:
            found = faults(response.text)
            assert not found, f"{response.request.path}: {'; '.join(found)}"
        return response

    def page(self, path: str, *, status: int = 200, **kwargs: Any) -> Page:
        """GET a page and parse it."""
        response = self.get(path, **kwargs)
        assert response.status_code == status, f"{path}: {response.status}"
        return parse(response)

    def token(self, path: str = "/login") -> str:
        """A token for this browser's forms, from a page that has some."""
        response = self.get(path)
        assert response.status_code == 200, f"{path}: {response.status}"
        (token,) = set(_TOKEN.findall(response.text))
        return str(token)

    def submit(self, path: str, data: dict[str, str] | None = None, **kwargs: Any) -> TestResponse:
        """POST a form as a page of ours would send it."""
        return self.post(path, data={"csrf_token": self.token(), **(data or {})}, **kwargs)


def new_client(app: Flask) -> PageClient:
    """A browser without cookies, which checks every page that it gets."""
    client = app.test_client()
    assert isinstance(client, PageClient)
    return client


def parse(response: TestResponse) -> Page:
    """The answer's body as HTML."""
    return _read(response.text)


@lru_cache(maxsize=4)
def _read(html: str) -> Page:
    # Once for the check and for the test, which reads and does not write: parsing was a third of these tests' time.
    return Page(html, "html.parser")


def faults(html: str) -> list[str]:
    """The faults of a page or a fragment, in words."""
    # Every answer of every test passes here, and many have been here before.
    digest = sha256(_TOKEN.sub("", html).encode("utf-8", "surrogatepass")).digest()
    if digest in _FAULTLESS:
        return []
    found = _faults(html)
    if not found:
        _FAULTLESS.add(digest)
    return found


def _faults(html: str) -> list[str]:
    # One search for all elements is faster than selectors.
    elements = _read(html).find_all(True)
    kinds: dict[str, list[Tag]] = defaultdict(list)
    for element in elements:
        kinds[element.name].append(element)
    found = _page_faults(kinds, html) if kinds["html"] else []
    counts = Counter(str(element["id"]) for element in elements if "id" in element.attrs)
    found += [f"id {name} occurs {number} times" for name, number in counts.items() if number > 1]
    found += [fault for form in kinds["form"] for fault in _form_faults(form)]
    labeled = {str(label["for"]) for label in kinds["label"] if label.get("for")}
    found += [
        f"no label for {control.get('name') or control.get('id')}"
        for control in (*kinds["input"], *kinds["select"], *kinds["textarea"])
        if not _is_labeled(control, labeled)
    ]
    found += [f"no alt on {image.get('src')}" for image in kinds["img"] if "alt" not in image.attrs]
    for element in elements:
        found += [f"{name} on <{element.name}>" for name in element.attrs if name.startswith("on")]
        if "style" in element.attrs:
            found.append(f"inline style on <{element.name}>")
        if any(
            str(element.get(name, "")).strip().lower().startswith("javascript:") for name in ("href", "src")
        ):
            found.append(f"a javascript: address on <{element.name}>")
        names = f"{element.get('aria-describedby', '')} {element.get('aria-labelledby', '')}".split()
        found += [f"{name} is named and missing" for name in names if name not in counts]
    found += [f"no space within {glued}" for glued in _GLUED.findall(html)]
    found += [f"{gap} is not filled in" for gap in _GAP.findall(html)]
    # Data of schema.org is no script: browsers do not run it.
    scripts = [one for one in kinds["script"] if one.get("type") != "application/ld+json"]
    found += ["inline script" for script in scripts if not script.get("src") or script.text]
    found += ["a <style> element" for _ in kinds["style"]]
    return found


def _page_faults(kinds: dict[str, list[Tag]], html: str) -> list[str]:
    found: list[str] = []
    if not html.lstrip().lower().startswith("<!doctype html>"):
        found.append("no doctype")
    if not kinds["html"][0].get("lang"):
        found.append("no language")
    titles = [title for title in kinds["title"] if title.parent in kinds["head"]]
    if len(titles) != 1 or not titles[0].text.strip():
        found.append("no title")
    if len(kinds["main"]) != 1:
        found.append("not exactly one <main>")
    if len(kinds["h1"]) != 1:
        found.append("not exactly one <h1>")
    return found


def _form_faults(form: Tag) -> list[str]:
    found = [f"a form without {name}" for name in ("action", "method") if not form.get(name)]
    token = form.find("input", attrs={"name": "csrf_token", "value": True})
    if str(form.get("method", "")).lower() == "post" and token is None:
        found.append(f"no csrf_token in the form to {form.get('action')}")
    return found


def _is_labeled(control: Tag, labeled: set[str]) -> bool:
    if control.name == "input" and control.get("type") in _UNLABELED_TYPES:
        return True
    if control.get("aria-label") or control.get("aria-labelledby") or control.find_parent("label"):
        return True
    return str(control.get("id", "")) in labeled
