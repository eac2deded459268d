"""Makes the Flask application from the settings. It calls nothing over the network and creates no tables."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, has_request_context, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask.templating import Environment
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

import bookingapp
from bookingapp import access, wiring
from bookingapp.accounts.guard import COOKIE_KEY, current_account
from bookingapp.accounts.views import blueprint as accounts
from bookingapp.bookings.views import blueprint as bookings
from bookingapp.builders.guard import find_current_builder
from bookingapp.checkout.attendance_views import blueprint as attendance
from bookingapp.checkout.my_bookings import blueprint as my_bookings
from bookingapp.checkout.time_views import blueprint as times
from bookingapp.checkout.views import blueprint as checkout
from bookingapp.clients.views import blueprint as clients
from bookingapp.connections.views import blueprint as connections
from bookingapp.console.views import blueprint as console
from bookingapp.core import clock, db, edge, errors, fragments, i18n, languages, logs, security
from bookingapp.core.db import REQUEST_SECONDS
from bookingapp.core.extensions import compress, csrf, limiter
from bookingapp.core.money import format_money
from bookingapp.core.settings import (
    Settings,
    load_settings,
    naming_instance_dir,
    reveal_all,
)
from bookingapp.dashboard.deliveries import blueprint as deliveries
from bookingapp.dashboard.views import blueprint as dashboard
from bookingapp.directory.views import blueprint as builders
from bookingapp.onboarding.views import blueprint as onboarding
from bookingapp.operations.views import blueprint as operations
from bookingapp.privacy.views import blueprint as privacy
from bookingapp.session_types.views import blueprint as session_types
from bookingapp.webhooks.views import blueprint as webhooks

BLUEPRINTS = (
    builders,
    session_types,
    bookings,
    clients,
    my_bookings,
    checkout,
    times,
    attendance,
    webhooks,
    accounts,
    connections,
    dashboard,
    deliveries,
    onboarding,
    console,
    privacy,
    operations,
)

STATIC_MAX_AGE = timedelta(days=365)
REDIS_TIMEOUT_SECONDS = 0.3
# They declare no jobs, and are imported when they are needed.
LATE_MODULES = frozenset(
    {
        "bookingapp.cli",
        "bookingapp.core",
        "bookingapp.integrations",
        "bookingapp.operations",
        "bookingapp.sandbox",
        "bookingapp.webhooks.counters",
    }
)


def create_app(settings: Settings | None = None) -> Flask:
    """The application with these settings, or with those of the environment.

    Raises :class:`~bookingapp.core.settings.SettingsError` where those are invalid.
    """
    settings = settings or load_settings()
    logs.configure(as_json=settings.logs_as_json)
    app = Flask(__name__, instance_path=str(settings.instance_dir))
    app.jinja_environment = _Environment
    app.session_interface = _Sessions()
    with naming_instance_dir():
        _make_private(settings.instance_dir)
    app.config.update(_flask_config(settings))
    logs.init_app(app)
    edge.init_app(app, settings)
    i18n.init_app(app)
    languages.init_app(app)
    fragments.init_app(app)
    db.init_app(app)
    csrf.init_app(app)
    limiter.init_app(app)
    compress.init_app(app)
    security.init_app(app, settings)
    errors.init_app(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    access.init_app(app)
    wiring.wire(app, settings)
    _import_jobs()
    _add_template_helpers(app, settings)
    return app


def _make_private(folder: Path) -> None:
    """Make the instance folder, for this user alone: it has the development's database, secrets and mails."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        folder.chmod(0o700)


@cache
def _import_jobs() -> None:
    """Import every module that may declare a job, so that the registry is complete in each process."""
    for feature in pkgutil.iter_modules(bookingapp.__path__, "bookingapp."):
        if feature.name not in LATE_MODULES:
            package = importlib.import_module(feature.name)
            for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{feature.name}."):
                if module.name not in LATE_MODULES:
                    importlib.import_module(module.name)


class _Environment(Environment):
    """Templates share one plain table of globals.

    Jinja's own, a chain of two, is compared name by name at each ``import``: a tenth of the time of a page. A global
    that is added after a template was loaded is not seen by it.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        return {**self.globals, **(d or {})}


class _Sessions(SecureCookieSessionInterface):
    """Cookies signed with HMAC-SHA256; Flask's own choice is SHA-1.

    A log-in ends after 24 hours whatever its browser does (``accounts.log_ins``), so its cookie, which is valid as
    long, is not signed and sent anew with each page. Other cookies are.
    """

    digest_method = staticmethod(hashlib.sha256)

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Whether the response carries the cookie."""
        return session.modified or (COOKIE_KEY not in session and super().should_set_cookie(app, session))


def _flask_config(settings: Settings) -> dict[str, Any]:
    keys = reveal_all(settings.secret_key)
    limits: dict[str, Any] = {"RATELIMIT_STORAGE_URI": settings.redis_url or "memory://"}
    if settings.redis_url:
        # While Redis is away, this process counts alone; a request that meets its end is let through.
        timeouts = {"socket_timeout": REDIS_TIMEOUT_SECONDS, "socket_connect_timeout": REDIS_TIMEOUT_SECONDS}
        limits |= {
            "RATELIMIT_STORAGE_OPTIONS": timeouts,
            "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
            "RATELIMIT_SWALLOW_ERRORS": True,
        }
    return {
        "SECRET_KEY": keys[0],
        "SECRET_KEY_FALLBACKS": keys[1:],
        "SQLALCHEMY_DATABASE_URI": settings.sqlalchemy_url,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(),
        "COOKIE_PREFIX": settings.cookie_prefix,
        "SESSION_COOKIE_NAME": f"{settings.cookie_prefix}session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.public_is_https,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=24),
        "SEND_FILE_MAX_AGE_DEFAULT": STATIC_MAX_AGE,
        "PUBLIC_ORIGIN": security.origin(settings.public_url),
        "WTF_CSRF_SSL_STRICT": False,  # core.csrf has our own check.
        "WTF_CSRF_TIME_LIMIT": int(timedelta(hours=24).total_seconds()),
        "RATELIMIT_KEY_PREFIX": "bookingapp",
        # Of what is compressed, static files alone are streams. Brotli makes them a tenth smaller than zstd, which is
        # quicker for pages.
        "COMPRESS_ALGORITHM_STREAMING": ["br", "zstd", "deflate"],
        "COMPRESS_BR_LEVEL": 5,
        "COMPRESS_MIMETYPES": [
            "text/html",
            "text/css",
            "text/javascript",
            "application/javascript",
            "image/svg+xml",
        ],
        **limits,
    }


def _engine_options() -> dict[str, Any]:
    return {
        # Errors must not quote a statement's values: names, addresses, whole deliveries.
        "hide_parameters": True,
        # More than the web server has threads, so that no page waits for a connection behind writers.
        "pool_size": 8,
        "max_overflow": 24,
        "pool_timeout": REQUEST_SECONDS,
    }


def _add_template_helpers(app: Flask, settings: Settings) -> None:
    """Add the functions and filters that every template may use."""
    digests = _static_digests(Path(app.static_folder or ""))

    def static_url(name: str) -> str:
        # By hand, because url_for() takes a tenth of the time of a page for its five files.
        return f"{request.script_root}{app.static_url_path}/{name}?v={digests[name]}"

    addresses: dict[tuple[str, str], str] = {}

    def url_for(endpoint: str, **values: Any) -> str:
        # An address without values is the same for everybody: every page has twenty of them.
        if values or endpoint.startswith(".") or not has_request_context():
            return app.url_for(endpoint, **values)
        key = request.script_root, endpoint
        found = addresses.get(key)
        if found is None:
            found = addresses[key] = app.url_for(endpoint)
        return found

    def account() -> Any:
        return current_account() if session.get(COOKIE_KEY) else None

    def profile() -> Any:
        return find_current_builder() if session.get(COOKIE_KEY) else None

    @app.after_request
    def _cache_static_files(response: Response) -> Response:
        # The address carries a digest of the content, so a changed file has another address.
        if request.endpoint == "static" and "v" in request.args:
            response.headers["Cache-Control"] = (
                f"public, max-age={int(STATIC_MAX_AGE.total_seconds())}, immutable"
            )
        return response

    app.jinja_env.globals.update(
        static_url=static_url,
        url_for=url_for,
        htmx={
            "url": security.HTMX_URL if settings.htmx_source == "cdn" else None,
            "integrity": security.HTMX_INTEGRITY,
            "fallback": security.HTMX_FALLBACK,
        },
        # Queried only where a template uses it, so that an error page needs no query.
        current_account=LocalProxy(account),
        own_profile=LocalProxy(profile),
        time_range=clock.time_range,
        support_email=settings.support_email,
        terms_url=settings.terms_url,
        privacy_url=settings.privacy_url,
    )
    app.jinja_env.filters.update(
        money=format_money,
        day_time=clock.day_time,
        short_time=clock.short_time,
        day=clock.day,
        weekday=clock.weekday,
        date=clock.date,
        month=clock.month,
        clock=clock.clock,
        iso=clock.iso,
        duration=clock.duration,
        wait=clock.wait,
        zone_city=clock.zone_city,
        zone_time=clock.zone_time,
        zone_title=clock.zone_title,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


@cache
def _static_digests(folder: Path) -> dict[str, str]:
    """By name: the beginning of the SHA-256 of each static file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in files
    }
