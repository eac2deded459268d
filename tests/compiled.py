"""Compiles templates, routes and statements once for all applications of a process, and not for each of thousands."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from bookingapp.core.db import Base, db


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
    """What a rule means follows from its text, its defaults and the converters of its map."""

    _kept: ClassVar[dict[tuple[object, ...], dict[str, Any]]] = {}

    def compile(self) -> None:
        """Compile it, or take what was compiled of the same rule in another application."""
        assert self.map is not None
        text = (self.rule, self.subdomain, self.host, self.merge_slashes, repr(self.defaults))
        key = (*text, self.map.host_matching, *self.map.converters.items())
        kept = self._kept.get(key)
        if kept is None:
            super().compile()
            kept = {name: vars(self)[name] for name in ("_parts", "_trace", "_converters", "arguments")}
            kept |= {name: vars(self)[name].__func__ for name in ("_build", "_build_unknown")}
            self._kept[key] = kept
            return
        vars(self).update(kept)
        self._build, self._build_unknown = (kept[name].__get__(self) for name in ("_build", "_build_unknown"))


class _Statements:
    """What SQLAlchemy compiled. Its keys begin with the dialect, of which each application has its own."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Any] = {}

    def get(self, key: tuple[Any, ...]) -> Any:
        """The compiled statement, or None."""
        return self._kept.get((key[0].name, *key[1:]))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._kept[key[0].name, *key[1:]] = compiled


_TEMPLATES = _Templates()
_STATEMENTS: Any = _Statements()


def share_routes() -> None:
    """Compile each route once for all applications of this process."""
    Flask.url_rule_class = _Route


def share_templates(app: Flask) -> None:
    """Share compiled templates with all other applications for which this was called."""
    app.jinja_env.bytecode_cache = _TEMPLATES


def share_statements(app: Flask) -> None:
    """Share compiled statements with all other applications for which this was called."""
    with app.app_context():
        db.engine._compiled_cache = _STATEMENTS
    for mapper in Base.registry.mappers:
        mapper._compiled_cache = _STATEMENTS
