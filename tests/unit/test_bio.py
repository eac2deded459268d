"""Bios in Markdown: what they become, and that nothing a builder writes can harm a reader or the page's outline."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.builders.bio import render_bio, set_bio
from bookingapp.builders.models import Builder

TAGS = {
    "p",
    "br",
    "strong",
    "em",
    "ul",
    "ol",
    "li",
    "blockquote",
    "code",
    "pre",
    "hr",
    "a",
    "h3",
    "h4",
    "h5",
    "h6",
}
REL = 'rel="noopener nofollow ugc"'


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("", ""),
        ("One.\r\n\r\nTwo.", "<p>One.</p>\n<p>Two.</p>\n"),
        ("One\nline", "<p>One\nline</p>\n"),
        ("**Bold** and *light*", "<p><strong>Bold</strong> and <em>light</em></p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("`a < b`", "<p><code>a &lt; b</code></p>\n"),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>\n"),
        ("[mine](https://ada.example)", f'<p><a href="https://ada.example" {REL}>mine</a></p>\n'),
        ("<https://ada.example>", f'<p><a href="https://ada.example" {REL}>https://ada.example</a></p>\n'),
        ("[mail](mailto:ada@example.org)", f'<p><a href="mailto:ada@example.org" {REL}>mail</a></p>\n'),
        ("![A desk](https://x.example/a.png)", "<p>A desk</p>\n"),
        ("Tom & Jerry", "<p>Tom &amp; Jerry</p>\n"),
    ],
)
def test_markdown(source: str, html: str) -> None:
    assert render_bio(source) == html


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe src=javascript:alert(1)></iframe>",
        '<a href="javascript:alert(1)">x</a>',
        "<div style=position:fixed>x</div>",
        "<!-- <script>alert(1)</script> -->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](http://plain.example)",
        "[x](//other.example)",
        "[x](/dashboard)",
        "[x](#main)",
        "[x](https:evil)",
        "[x](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "![x](javascript:alert(1))",
        '![x" onerror="alert(1)](https://x.example/a.png)',
        '[x](https://a.example "title\\" onclick=\\"alert(1)")',
        "```html\n<script>alert(1)</script>\n```",
        '``` "onclick=alert(1)\nx\n```',
        "# <script>alert(1)</script>",
        "> " * 500 + "deep",
        "[" * 2000,
        "*" * 3000,
        "`" * 4999,
    ],
)
def test_nothing_harmful_comes_out(source: str) -> None:
    check(render_bio(source))


@given(source=st.text("<>&\"'[]()!#*`-> \n:/ahref=javscript", max_size=120))
def test_nothing_harmful_comes_out_of_anything(source: str) -> None:
    check(render_bio(source))


def check(html: str) -> None:
    soup = BeautifulSoup(html, "html.parser")
    level = 2
    for tag in soup.find_all(True):
        assert tag.name in TAGS
        assert set(tag.attrs) <= {"a": {"href", "rel"}, "ol": {"start"}}.get(tag.name, set())
        if tag.name == "a" and tag.get("href"):
            assert str(tag["href"]).startswith(("https://", "mailto:"))
            assert tag["rel"] == ["noopener", "nofollow", "ugc"]
        if re.fullmatch("h[1-6]", tag.name):
            assert 3 <= int(tag.name[1]) <= level + 1
            level = int(tag.name[1])


@pytest.mark.parametrize(
    ("source", "levels"),
    [
        ("# a\n\n## b\n\n### c", [3, 4, 5]),
        ("### a\n\n# b\n\n###### c", [3, 3, 4]),
        ("# a\n\n## b\n\n### c\n\n#### d\n\n##### e", [3, 4, 5, 6, 6]),
        ("a\n===\n\nb\n---", [3, 4]),
    ],
)
def test_headings_fit_below_the_pages_own(source: str, levels: list[int]) -> None:
    assert [int(level) for level in re.findall(r"<h(\d)>", render_bio(source))] == levels


def test_plain_text_of_before_looks_as_before() -> None:
    """Until its text is changed: saving the rest of the profile does not make it Markdown."""
    text = "I *love* <b>\r\n1. this\r\n\r\n# and that"
    builder = Builder(bio=text)
    before = "<p>I *love* &lt;b&gt;\n1. this</p><p># and that</p>"
    assert builder.about == before
    set_bio(builder, text.replace("\r\n", "\n"))
    assert (builder.about, builder.bio_html) == (before, None)
    set_bio(builder, "I *love* this")
    assert builder.about == "<p>I <em>love</em> this</p>\n"
    set_bio(builder, "")
    assert builder.about == ""
