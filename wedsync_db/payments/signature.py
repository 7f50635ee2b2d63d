"""Whether an event really comes from the payment provider, and was signed just now. Pure: the caller gives the time.

The scheme is Stripe's, from its documentation on verifying webhook signatures manually (docs.stripe.com/webhooks): the
header `Stripe-Signature` holds `t=SECONDS,v1=HEX[,v1=HEX]`, and each `v1` may be the HMAC-SHA256 of `SECONDS.BODY`
under the endpoint's signing secret. Other schemes in it (`v0`) are not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from wedsync_db.errors import UsageError, WedsyncError

TOLERANCE_SECONDS = 300
_MOST_CHARACTERS = 4096
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BadSignature(WedsyncError):
    """The event is not known to come from the provider; nothing was stored. Answer it with status 400."""


def verify_signature(
    payload: bytes,
    header: str,
    secrets: Sequence[str],
    now: datetime,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> None:
    """Return if the provider signed `payload`, the request's body exactly as it came, and did so just now.

    One of `secrets` has to fit: while a secret is being rotated there are two. `now` has a time zone. A signature older
    than the tolerance may be a replay, one further in the future than that comes from a wrong clock.

    Raises:
        BadSignature: the header cannot be read, no signature in it fits, or it is too old or not yet valid.
        UsageError: there is no secret, or one is empty: everybody could sign.
    """
    if isinstance(secrets, str) or not secrets or not all(secrets):
        raise UsageError("there is no signing secret for payment events", hint="Copy it from the provider's endpoint.")
    seconds, signatures = _parse(header)
    signed = seconds.encode() + b"." + payload
    fits = [
        hmac.compare_digest(hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(), signature)
        for secret in secrets
        for signature in signatures
    ]
    if not any(fits):
        raise BadSignature(
            "no signature of the event fits",
            hint="Is the secret that of this endpoint, and the body unchanged, byte for byte?",
        )
    age = now.timestamp() - int(seconds)
    if abs(age) > tolerance_seconds:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s ahead of our clock"
        raise BadSignature(
            f"the event was signed {when}; {tolerance_seconds} s are allowed",
            hint="Unless somebody else sent it again, a clock is wrong.",
        )


def _parse(header: str) -> tuple[str, list[str]]:
    """The time as it was written, which is what is signed, and the signatures of the scheme v1."""
    pairs = [part.strip().partition("=") for part in header[: _MOST_CHARACTERS + 1].split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(header) > _MOST_CHARACTERS or len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not signatures:
        raise BadSignature(
            "the signature's header cannot be read",
            hint="It is Stripe-Signature: t=SECONDS,v1=HEX, passed on unchanged.",
        )
    return times[0], signatures
