"""Checks each member of an archive by its name and kind: what may not be in an artifact."""

import posixpath
import re
import unicodedata
from collections.abc import Iterator

from facet.artifact.gzip_stream import StopReading
from facet.artifact.tar_header import ambiguous
from facet.artifact.tar_stream import Member
from facet.errors import Violation
from facet.keys import ARTIFACT

MAX_MEMBERS = 2_000
MAX_NAME = 500
"""Bytes of a member's name in UTF-8; with MAX_MEMBERS it limits kept names to a few MB."""

MAX_PART = 255
"""Bytes of a file's or folder's name in UTF-8: ext4, XFS and APFS have no longer ones."""

MAX_DEPTH = 12
"""Folders in folders; a SavedModel has three."""

CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and surrogates, which stand for bytes that are not UTF-8."""

KERAS = re.compile(r".+\.(h5|hdf5|keras)", re.IGNORECASE)
SCREENED = re.compile(
    r"facet\.json|head\.npz|[0-9]+/(saved_model\..*|variables/variables\..*|assets\.extra/model\.tflite)"
)
"""Files that are read: no other member may be one of them to a program without extended headers."""

UNSCREENED = re.compile(r"[0-9]+/saved_model\.(cpb|pbtxt)")
"""Other forms of the graph, which TensorFlow may read instead of `saved_model.pb`."""


class MemberCheck:
    """Checks one member after the other, and remembers their names."""

    def __init__(self) -> None:
        self._count = 0
        self._spelled: dict[str, tuple[str, bool]] = {}
        self._files: set[str] = set()
        self._from_macos = False

    def violations(self, member: Member, name: str) -> Iterator[Violation]:
        """The violations of the next member, whose normalised name is `name`.

        Raises StopReading for too many members or too long a name.
        """
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise StopReading(_TOO_MANY)
        if (
            len(member.name.encode(errors="surrogatepass")) > MAX_NAME
            or name.count("/") > MAX_DEPTH
        ):
            raise StopReading(_too_long(member.name))
        yield from _path(member, name)
        yield from _headers(member)
        if not (member.is_file or member.is_folder):
            yield _not_a_file(member.name)
        yield from self._collisions(member, name)
        if is_from_macos(name) and not self._from_macos:
            self._from_macos = True
            yield _macos(member.name)
        yield from _content(member.name, name)

    def _collisions(self, member: Member, name: str) -> Iterator[Violation]:
        """Names that some file system treats as the same; a folder may be there twice."""
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            is_folder = depth < len(parts) or member.is_folder
            known = self._spelled.setdefault(_folded(path), (path, is_folder))
            if known[0] != path:
                yield _colliding(member.name, known[0])
            elif known[1] != is_folder:
                yield _file_and_folder(member.name, path)
            else:
                continue
            return
        if not member.is_folder:
            if name in self._files:
                yield _duplicate(member.name)
            self._files.add(name)


def normalised(name: str) -> str:
    """A member's name as tar unpacks it."""
    return posixpath.normpath(name)


def is_from_macos(name: str) -> bool:
    """Whether macOS added the file to the archive."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _folded(path: str) -> str:
    """A form that is equal for paths which differ only in case or Unicode normalisation."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _path(member: Member, name: str) -> Iterator[Violation]:
    parts = member.name.split("/")
    if _leads_out(member.name) or "\\" in name or "\0" in name:
        yield Violation(
            "unsafe-path",
            member.name,
            "the path leads out of the artifact",
            "pack with relative paths: tar -czf model.tar.gz -C DIR facet.json 1",
        )
    elif (
        CONTROL.search(member.name)
        or not member.name
        or (member.is_file and parts[-1] in ("", "."))
    ):
        yield Violation(
            "unreadable-name",
            member.name,
            "the name is empty, ends with '/.', is not UTF-8, or has control characters",
            "rename the file and pack the folder again",
        )
    if any(len(part.encode(errors="surrogatepass")) > MAX_PART for part in parts):
        yield Violation(
            "too-long-name",
            member.name,
            f"a part of the path has over {MAX_PART} bytes, more than a file system takes",
            "shorten it and pack the folder again",
        )


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def _hides(alias: str, name: str) -> bool:
    """Whether the alias is wrong in a way that the name is not."""
    path = normalised(alias)
    if path.split("/")[0] == "code":
        return normalised(name).split("/")[0] != "code"
    return bool(SCREENED.fullmatch(path)) or (_leads_out(alias) and not _leads_out(name))


def _headers(member: Member) -> Iterator[Violation]:
    for wrong in member.impossible:
        yield Violation(
            "impossible-metadata",
            member.name,
            f"{wrong}, which no file system can store",
            "pack it with: tar --owner=0 --group=0 --mtime=@0 -czf model.tar.gz -C DIR "
            "facet.json 1",
        )
    if member.alias != member.name and _hides(member.alias, member.name):
        yield ambiguous(member.name, f"without its extended header it is '{member.alias}'")


def _content(place: str, name: str) -> Iterator[Violation]:
    if name.split("/")[0] == "code":
        yield Violation(
            "code",
            place,
            "code would run in the server that all models share",
            "remove the folder code/; describe preprocessing in facet.json's input",
        )
    elif KERAS.fullmatch(name) and not is_from_macos(name):
        yield Violation(
            "keras-file",
            place,
            "it is a Keras file, which TensorFlow Serving cannot load",
            "export a SavedModel with model.export('1'), then pack it: facet pack 1",
        )
    elif UNSCREENED.fullmatch(name):
        yield Violation(
            "unscreened-graph",
            place,
            "TensorFlow may read this file instead of the validated saved_model.pb",
            "remove it; export with tf.saved_model.save, which writes saved_model.pb",
        )


def _too_long(place: str) -> Violation:
    return Violation(
        "too-long-name",
        place,
        f"a member's name has over {MAX_NAME} bytes, or over {MAX_DEPTH} folders",
        "pack facet.json and one version folder, with short names",
    )


def _not_a_file(place: str) -> Violation:
    return Violation(
        "not-a-file",
        place,
        "the member is a link, a device, sparse, or of another special kind",
        "pack regular files only: tar --dereference --hard-dereference",
    )


def _duplicate(place: str) -> Violation:
    return Violation(
        "duplicate-member",
        place,
        "two members have this name",
        "pack the folder once, into a new file",
    )


def _colliding(place: str, other: str) -> Violation:
    return Violation(
        "colliding-names",
        place,
        f"it differs from '{other}' only in case or in how its letters are composed; "
        "some file systems treat them as one file",
        "rename one of the two",
    )


def _file_and_folder(place: str, path: str) -> Violation:
    return Violation(
        "colliding-names",
        place,
        f"'{path}' is a file and a folder",
        "pack the folder once, into a new file",
    )


def _macos(place: str) -> Violation:
    return Violation(
        "macos-file",
        place,
        "macOS added files of its own to the archive",
        "pack it with: COPYFILE_DISABLE=1 tar --exclude '._*' --exclude .DS_Store "
        "--exclude __MACOSX -czf model.tar.gz -C DIR facet.json 1",
    )


_TOO_MANY = Violation(
    "too-many-members",
    ARTIFACT,
    f"the archive has over {MAX_MEMBERS:,} members",
    "pack facet.json and one version folder only",
)
