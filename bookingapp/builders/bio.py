"""Renders the Markdown of a builder's bio to harmless HTML that fits into the page's outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token

from bookingapp.builders.models import Builder

# The bio stands under a heading of the second level.
_PARENT, _DEEPEST = 2, 6
_TAGS = {
    *("p", "br", "strong", "em", "ul", "ol", "li", "blockquote", "code", "pre", "hr", "a"),
    *("h3", "h4", "h5", "h6"),
}
_ADDRESSES = ("https://", "mailto:")


def render_bio(source: str) -> str:
    """Markdown (CommonMark) as HTML. HTML in it is shown as text, a picture as its description; a link that is neither
    ``https`` nor ``mailto`` is text.
    """
    tokens = _MARKDOWN.parse(source)
    _fit_headings(tokens)
    return nh3.clean(
        _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}),
        tags=_TAGS,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
        attribute_filter=_filter_attribute,
        url_schemes={"https", "mailto"},
        link_rel="noopener nofollow ugc",
    )


def _fit_headings(tokens: Sequence[Token]) -> None:
    """Push headings down below the page's own; none is more than one level below the one before."""
    level = _PARENT
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1]) + _PARENT, level + 1, _DEEPEST)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"


def _filter_attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "href" and not value.lower().startswith(_ADDRESSES):
        return None
    return value


def _describe_image(
    _renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:
    return escapeHtml(tokens[index].content)


_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_MARKDOWN.add_render_rule("image", _describe_image)


def set_bio(builder: Builder, source: str) -> None:
    """Store a bio as typed, with its HTML. Plain text of before that is not changed stays plain text."""
    if builder.bio_html is None and source.splitlines() == builder.bio.splitlines():
        return
    builder.bio, builder.bio_html = source, render_bio(source)
