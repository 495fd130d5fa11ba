"""Images in base64, in the forms that common tools write."""

import base64
from urllib.parse import unquote

URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
WHITESPACE = b" \t\r\n\f"
MAX_HEAD = 200
"""Characters of a data URI before its data."""


def decode(text: str) -> bytes:
    """Returns the bytes of base64 or of a data URI.

    Lines may be wrapped, padding may be missing, and `-` and `_` may stand for `+` and `/`.
    Raises ValueError for anything else.
    """
    text = text.strip()
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head[-MAX_HEAD:].lower().endswith(";base64"):
            raise ValueError("a data: URI needs ;base64 before its comma")
        text = unquote(text)
    encoded = text.encode("ascii", "replace").translate(URL_ALPHABET, WHITESPACE)
    unpadded = encoded.rstrip(b"=")
    if len(encoded) - len(unpadded) > 2:
        raise ValueError("it ends with more than two =")
    return base64.b64decode(unpadded + b"=" * (-len(unpadded) % 4), validate=True)
