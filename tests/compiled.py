"""Compiles templates and routes once for all applications of a process, not for each: a quarter of the tests' time."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class _Templates(BytecodeCache):
    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """The compiled template, if its source has not changed."""
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


class _Route(Rule):
    _kept: ClassVar[dict[tuple[object, ...], Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        # Not yet bound to its rule, so rules can share it.
        key = (self.rule, repr(self._trace), repr(self.defaults), append_unknown)
        if key not in self._kept:
            self._kept[key] = super()._compile_builder(append_unknown)
        return self._kept[key]


_TEMPLATES = _Templates()


def share_routes() -> None:
    """Compile each route once for all applications of this process."""
    Flask.url_rule_class = _Route


def share_templates(app: Flask) -> None:
    """Share compiled templates with all other applications for which this was called."""
    app.jinja_env.bytecode_cache = _TEMPLATES
