"""Find the model: a SavedModel's folder or a Keras file."""

from dataclasses import dataclass
from pathlib import Path

from cli.pack.errors import CannotPack

GRAPH = "saved_model.pb"
KERAS = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class SavedModelFolder:
    """The folder that holds `saved_model.pb`."""

    folder: Path
    name: str


@dataclass(frozen=True)
class KerasFile:
    """A whole model as Keras saved it."""

    file: Path
    name: str


def find(path: Path) -> SavedModelFolder | KerasFile:
    """Find a Keras file, a SavedModel, or a folder with a SavedModel in a version folder.

    Raises CannotPack.
    """
    name = path.resolve().stem if path.is_file() else path.resolve().name
    if path.is_file() and path.suffix.lower() in KERAS:
        return KerasFile(path, name)
    if path.is_file() and path.name == GRAPH:
        return find(path.resolve().parent)
    if not path.is_dir():
        problem = (
            "does not exist" if not path.exists() else "is neither a SavedModel nor a Keras file"
        )
        raise CannotPack(f"{path} {problem}; name a SavedModel's folder, or a .keras or .h5 file")
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
