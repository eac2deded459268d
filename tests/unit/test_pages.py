"""The page check of these tests finds each kind of fault."""

from __future__ import annotations

import pytest

from tests.pages import faults

GOOD = """<!DOCTYPE html>
<html lang="en"><head><title>Good</title><script src="/static/app.js"></script></head>
<body><main><h1>Good</h1><img src="/a.png" alt=""><form action="/go" method="post">
<input type="hidden" name="csrf_token" value="x"><label for="name">Name</label>
<input id="name" name="name" aria-describedby="hint"><p id="hint">Yours.</p>
<label>Zone <select name="zone"></select></label><button>Go</button></form></main></body></html>"""


def test_a_good_page_has_no_faults() -> None:
    assert faults(GOOD) == []
    assert faults('<p id="one">Part of a page</p>') == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("<!DOCTYPE html>", "", "no doctype"),
        (' lang="en"', "", "no language"),
        ("<title>Good</title>", "<title> </title>", "no title"),
        ("<title>Good</title>", "", "no title"),
        ("<main>", "<main></main><main>", "not exactly one <main>"),
        ("<h1>Good</h1>", "<h2>Good</h2>", "not exactly one <h1>"),
        ('id="hint"', 'id="name"', "id name occurs 2 times"),
        ('id="hint"', "", "hint is named and missing"),
        (' action="/go"', "", "a form without action"),
        ('name="csrf_token"', 'name="token"', "no csrf_token in the form to /go"),
        ('<label for="name">Name</label>', "Name", "no label for name"),
        ("<label>Zone ", "<label></label>", "no label for zone"),
        (' alt=""', "", "no alt on /a.png"),
        ("<button>", '<button onclick="go()">', "onclick on <button>"),
        ("<button>", '<button style="color: red">', "inline style on <button>"),
        ("<button>", '<a href=" JavaScript:go()">', "a javascript: address on <a>"),
        ('<script src="/static/app.js">', "<script>", "inline script"),
        ("<title>", "<style></style><title>", "a <style> element"),
    ],
)
def test_a_fault_is_said_in_words(right: str, wrong: str, said: str) -> None:
    assert right in GOOD
    assert said in faults(GOOD.replace(right, wrong, 1))
