"""The configuration of a sandbox: its addresses, tokens, signing keys and retry pauses."""

from __future__ import annotations

from dataclasses import dataclass

# Neither provider publishes its own schedule; both say only that the gaps grow.
DEFAULT_RETRY_SECONDS = (2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10800.0)


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The configuration of one sandbox.

    ``base_url`` is the address under which the sandbox itself is reached, without a trailing slash; an
    empty one means the address that the server is bound to. ``app_url`` is the booking app that receives
    the webhooks. ``deliver_retry_seconds`` are the pauses before the second, third, … delivery attempt.
    """

    base_url: str
    app_url: str
    state_path: str = ":memory:"
    calendly_token: str = "sandbox-calendly-token"  # noqa: S105 - a development value, good only here.
    calendly_token_secondary: str | None = None
    calendly_signing_key: str = "sandbox-calendly-signing-key"
    calendly_client_id: str = "sandbox-client"
    calendly_client_secret: str = "sandbox-client-secret"  # noqa: S105 - a development value.
    stripe_secret_key: str = "sk_test_sandbox"  # noqa: S105 - a development value.
    stripe_webhook_secret: str = "whsec_sandbox"  # noqa: S105 - a development value.
    auto_subscribe: bool = True
    seed_demo: bool = True
    deliver_retry_seconds: tuple[float, ...] = DEFAULT_RETRY_SECONDS

    @property
    def calendly_api(self) -> str:
        """The root of the Calendly API, and of every resource URI in its answers."""
        return f"{self.base_url}/calendly-api"

    @property
    def checkout_url(self) -> str:
        """The root of the hosted Checkout pages."""
        return f"{self.base_url}/stripe-checkout"
