"""The files that browsers get: the page's own, and Swagger UI's, which Powertools brings along."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

STATIC = Path(__file__).parent / "static"
WHOLE = frozenset({"index.html", "docs.html", "openapi.json"})
"""Served under paths of their own, not below /page/."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
IMAGES = (TYPES[".jpg"], TYPES[".png"])
SWAGGER_UI = ("swagger-ui-bundle.min.js", "swagger-ui.min.css")
LARGE = 100_000
"""Bytes from which text is worth compressing: the bundle has 1.5 MB, and a quarter of it so."""


@dataclass(frozen=True)
class File:
    """A file's bytes and type. `lasting` ones change so seldom that browsers may keep them."""

    content: bytes
    media_type: str
    lasting: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the bytes are UTF-8."""
        return self.media_type not in IMAGES


@cache
def names() -> frozenset[str]:
    """What there is below /page/; anything else in the folder is not for browsers."""
    own = {path.name for path in STATIC.iterdir() if path.suffix in TYPES}
    return frozenset(own - WHOLE).union(SWAGGER_UI)


def read(name: str) -> File:
    """One of `names()`, or of `WHOLE`."""
    path = _swagger_ui() / name if name in SWAGGER_UI else STATIC / name
    media_type = TYPES[path.suffix]
    lasting = name in SWAGGER_UI or media_type in IMAGES
    return File(path.read_bytes(), media_type, lasting)


@cache
def compressed(name: str) -> bytes | None:
    """The file in gzip, where that is worth it."""
    file = read(name)
    if not file.is_text or len(file.content) < LARGE:
        return None
    return gzip.compress(file.content, mtime=0)


def _swagger_ui() -> Path:
    """Where Powertools keeps it, found without importing Powertools, which takes long."""
    spec = find_spec("aws_lambda_powertools")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("aws-lambda-powertools, which brings Swagger UI, is not installed")
    return Path(spec.origin).parent / "event_handler/openapi/swagger_ui"
