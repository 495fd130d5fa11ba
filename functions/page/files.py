"""The files that the page's function serves: its own, and Swagger UI's from Powertools."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGES = frozenset({"index.html", "docs.html", "openapi.json"})
"""Files with a route of their own, not under /page/."""

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
"""Bytes from which text is compressed. gzip makes a quarter of Swagger UI's 1.5 MB script."""


@dataclass(frozen=True)
class File:
    """A file's bytes and media type. `cacheable` files change rarely; browsers may cache them."""

    content: bytes
    media_type: str
    cacheable: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the content is UTF-8 text."""
        return self.media_type not in IMAGES


@cache
def names() -> frozenset[str]:
    """Returns the paths of the files under /page/. Other files in the folder are not served."""
    files = (path for path in STATIC.rglob("*") if path.suffix in TYPES)
    own = {path.relative_to(STATIC).as_posix() for path in files}
    return frozenset(own - PAGES).union(SWAGGER_UI)


def read(name: str) -> File:
    """Reads one of `names()` or `PAGES`."""
    path = _swagger_ui() / name if name in SWAGGER_UI else STATIC / name
    media_type = TYPES[path.suffix]
    cacheable = name in SWAGGER_UI or media_type in IMAGES
    return File(path.read_bytes(), media_type, cacheable)


@cache
def compressed(name: str) -> bytes | None:
    """Returns the file in gzip, or None if it is an image or smaller than `LARGE`."""
    file = read(name)
    if not file.is_text or len(file.content) < LARGE:
        return None
    return gzip.compress(file.content, mtime=0)


def _swagger_ui() -> Path:
    """Finds Swagger UI's folder without importing Powertools, which is slow."""
    spec = find_spec("aws_lambda_powertools")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("aws-lambda-powertools is not installed; it contains Swagger UI")
    return Path(spec.origin).parent / "event_handler/openapi/swagger_ui"
