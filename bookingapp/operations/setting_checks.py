"""Settings that the start accepts and that are even so not what was meant, for ``flask doctor``."""

from __future__ import annotations

from collections.abc import Iterator

from bookingapp.core.i18n import gettext
from bookingapp.core.setting_values import find_misspelled
from bookingapp.core.settings import Settings, reveal, reveal_all
from bookingapp.operations.findings import Finding, Level

# docs/deploy.md has it in place of the secret, which Stripe shows later.
_PLACEHOLDER = "whsec_later"
_OF_STRIPE = ("sk_", "rk_", "pk_", "whsec_")


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What can be seen without asking anybody."""
    yield from _check_kinds(settings)
    for name, meant in find_misspelled([one.upper() for one in Settings.model_fields]):
        words = gettext("%(name)s is no setting. Is %(meant)s meant?", name=name, meant=meant)
        yield Finding(gettext("settings"), Level.CHECK, words)
    if settings.public_is_https and not settings.trusted_proxies:
        words = gettext(
            "PUBLIC_URL is https, so there is one, and TRUSTED_PROXIES is 0: all visitors share the limits of one "
            "address. Please set TRUSTED_PROXIES=1."
        )
        yield Finding(gettext("proxy"), Level.BAD, words)


def _check_kinds(settings: Settings) -> Iterator[Finding]:
    """A key in the place of another one. A delivery that we sign ourselves arrives with any."""
    token, key = reveal(settings.calendly_token) or "", reveal(settings.stripe_secret_key) or ""
    signing = reveal_all(settings.calendly_webhook_signing_keys)
    hooks = reveal_all(settings.stripe_webhook_secrets)
    if token.startswith(_OF_STRIPE):
        yield _wrong(gettext("CALENDLY_TOKEN is a key of Stripe's. Please put Calendly's token there."))
    if any(one.startswith(_OF_STRIPE) for one in signing):
        words = gettext(
            "CALENDLY_WEBHOOK_SIGNING_KEYS has a secret of Stripe's, which belongs into STRIPE_WEBHOOK_SECRETS. "
            "Calendly's is one that you make yourself (docs/settings.md); then run flask calendly subscribe."
        )
        yield _wrong(words)
    if key.startswith("pk_"):
        yield _wrong(
            gettext("STRIPE_SECRET_KEY is the publishable key. Please put the secret one there (sk_…).")
        )
    elif key and not key.startswith(("sk_", "rk_")):
        yield _wrong(gettext("STRIPE_SECRET_KEY is no key of Stripe's: those begin with sk_ or rk_."))
    if _PLACEHOLDER in hooks:
        words = gettext(
            "STRIPE_WEBHOOK_SECRETS is still the word %(word)s. Please put the secret there that flask stripe "
            "subscribe has printed, and restart. Is it lost? Stripe's dashboard shows it at the endpoint.",
            word=_PLACEHOLDER,
        )
        yield _wrong(words)
    if not all(one.startswith("whsec_") for one in hooks):
        yield _wrong(
            gettext("STRIPE_WEBHOOK_SECRETS has a value that is not Stripe's: those begin with whsec_.")
        )


def _wrong(words: str) -> Finding:
    return Finding(gettext("settings"), Level.BAD, words)
