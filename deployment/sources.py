"""The container's sources, as the archive that is built, and the tag that their content gives.

It holds what serving/Dockerfile copies, and the script that builds it. The same content gives the
same tag, so that an image is built once.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

REQUIREMENTS: Mapping[str, str] = {
    "tensorflow": "requirements-tensorflow.txt",
    "litert": "requirements.txt",
}
"""The requirements in serving/ by the runtime that they end with: TensorFlow and LiteRT serve every
artifact, LiteRT alone those with a LiteRT model."""

DEFAULT_RUNTIME = "tensorflow"
DIGEST_LENGTH = 16
OLDEST = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip archive can name."""


@dataclass(frozen=True)
class Sources:
    """What is built: a zip archive, the requirements among its files, and the image's tag."""

    archive: bytes
    requirements: str
    tag: str


def pack(runtime: str, repository: Path = REPOSITORY) -> Sources:
    """Packs the container's sources for a runtime; the same files give the same tag."""
    requirements = REQUIREMENTS[runtime]
    names = ["deployment/build.sh", "serving/Dockerfile", f"serving/{requirements}"]
    names += [
        path.relative_to(repository).as_posix() for path in (repository / "serving").rglob("*.py")
    ]
    files = {name: (repository / name).read_bytes() for name in sorted(names)}
    # Of the content, not of the archive: zlib's versions compress differently.
    digest = hashlib.sha256()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            digest.update(f"{name} {len(content)}\n".encode() + content)
            member = zipfile.ZipInfo(name, OLDEST)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return Sources(
        packed.getvalue(), requirements, f"{runtime}-{digest.hexdigest()[:DIGEST_LENGTH]}"
    )
