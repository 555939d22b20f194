"""How a bridge proves that it knows a token which nobody sends (decision 0010). Pure.

Client and bridge share the SHA-256 of the client's token: the bridge keeps it anyway, and nobody else on the
computer can read it. The client names the secret and sends a nonce; only who knows the secret can answer.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "GPEN-Proof"
CHALLENGE = r"[0-9A-Za-z_-]{16,128}"
"""What a nonce and the name of a secret look like, as a pattern."""
CHALLENGE_FORM = "16 to 128 letters, digits, - and _"
NAME_DIGITS = 16


def secret_of(token: str) -> str:
    """The secret of a token: its SHA-256 in hexadecimal digits."""
    # surrogateescape: header bytes that are not UTF-8 arrive as surrogates and must not raise.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def name_of(secret: str) -> str:
    """What a secret is called on the wire; it tells nothing of it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:NAME_DIGITS]


def proof(secret: str, port: int, nonce: str) -> str:
    """What only who knows the secret can say: HMAC-SHA256 in hexadecimal digits.

    Args:
        port: that the client spoke to. A bridge proves for its own port alone: so a program on another port
            gains nothing by asking the bridge.
        nonce: new for each question.
    """
    return hmac.new(secret.encode(), f"gpen-bridge:{port}:{nonce}".encode(), hashlib.sha256).hexdigest()
