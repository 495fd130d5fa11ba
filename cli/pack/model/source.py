"""Find the model, and judge a file by its first bytes, not by its name."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from cli.pack.errors import CannotPack
from facet.artifact.graphs.litert import IDENTIFIER

GRAPH = "saved_model.pb"
KERAS_CONFIG = "config.json"
"""The member of a `.keras` file that describes the network."""

HDF5, ZIP, GZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b"
LFS_POINTER = b"version https://git-lfs"
NODE = b"\x0a"
"""The first byte of a GraphDef: its field `node`. A SavedModel begins with field 1 or 2 as
numbers, 0x08 or 0x12."""

SHOWN = 5
"""Files of an archive that a message lists."""


@dataclass(frozen=True)
class SavedModelFolder:
    """The folder that holds `saved_model.pb`."""

    folder: Path
    name: str


@dataclass(frozen=True)
class KerasFile:
    """A whole model as Keras saved it: HDF5, or a zip archive with `config.json`."""

    file: Path
    name: str
    hdf5: bool = False


@dataclass(frozen=True)
class LiteFile:
    """A LiteRT model without a SavedModel."""

    file: Path
    name: str


@dataclass(frozen=True)
class FrozenGraph:
    """A GraphDef of TensorFlow 1 with its weights in it, and no signature."""

    file: Path
    name: str


Source = SavedModelFolder | KerasFile | LiteFile | FrozenGraph


def find(path: Path) -> Source:
    """Find a model's file, a SavedModel, or a folder with a SavedModel in a version folder.

    Raises CannotPack.
    """
    if path.is_file() and path.name == GRAPH:
        return find(path.resolve().parent)
    if path.is_file():
        return _file(path)
    if not path.is_dir():
        raise CannotPack(f"{path} does not exist; name a SavedModel's folder, or a model's file")
    name = path.resolve().name
    if (path / GRAPH).is_file():
        if name.isascii() and name.isdigit():
            return SavedModelFolder(path, path.resolve().parent.name)
        return SavedModelFolder(path, name)
    versions = sorted(each.parent for each in path.glob(f"*/{GRAPH}") if each.parent.name.isdigit())
    if len(versions) == 1:
        return SavedModelFolder(versions[0], name)
    if versions:
        found = ", ".join(str(each) for each in versions)
        raise CannotPack(f"{path} holds several versions: name one of {found}")
    raise CannotPack(f"{path} holds no {GRAPH}, neither itself nor in a folder such as 1/")


def _file(path: Path) -> Source:
    name = path.resolve().stem
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(HDF5):
        return KerasFile(path, name, hdf5=True)
    if head.startswith(ZIP):
        return _zip(path, name)
    if head[4:8] == IDENTIFIER:
        return LiteFile(path, name)
    if head.startswith(NODE):
        return FrozenGraph(path, name)
    raise CannotPack(f"{path} {_no_model(head)}")


def _zip(path: Path, name: str) -> KerasFile:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile as error:
        raise CannotPack(f"{path} is a damaged zip archive; copy it again") from error
    if KERAS_CONFIG in members:
        return KerasFile(path, name)
    listed = ", ".join(members[:SHOWN])
    raise CannotPack(
        f"{path} is a zip archive, but no .keras file: it has {listed}. Unpack it, then name the "
        "model in it"
    )


def _no_model(head: bytes) -> str:
    if head.startswith(GZIP):
        return (
            "is an archive. If it is an artifact with facet.json, upload it with `facet push`; "
            "otherwise unpack it, then name the model in it"
        )
    if head.startswith(LFS_POINTER):
        return "is a pointer of Git LFS, not the model: run `git lfs pull`"
    if head[1:] == b"" or not head.strip(b"\0"):
        return "is empty; copy it again"
    if head.startswith((b"\x08\x01\x12", b"\x12")):
        return f"is a SavedModel's graph: name it {GRAPH}, with variables/ beside it"
    return (
        "is neither a SavedModel, a Keras file, a LiteRT model nor a frozen graph, by its first "
        "bytes"
    )
