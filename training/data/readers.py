"""Readers of image sources: a folder, a zip (read in place), or Keras's CIFAR-10 loader."""

import io
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from facet.preprocess import Pixels
from training.data.formats import is_junk
from training.data.layout import Entry, ImageFolder, LabelledImage, SourceError, arrange

MAX_IMAGE = 64 << 20
"""Bytes of one image file. Every image that is being uploaded is in memory."""

CIFAR10 = "cifar10"
SIGN_LANGUAGE = "sign-language"
CIFAR10_LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
"""In the order of the class numbers of Keras's loader."""

LOCAL_COPY = (
    "name a local copy with --from, a folder or zip as {train,test}/<class>/<image>, or set "
    "FACET_DATA to a folder that contains cifar10_jpeg.zip or cifar10/"
)

Loaded = tuple[tuple[Pixels, Any], tuple[Pixels, Any]]
"""(images, classes) for training and for testing: uint8 (n, 32, 32, 3) and integers (n, 1)."""


def find_local_copy(source: str, copy: Path | None, data_folder: Path | None) -> Path | None:
    """Returns the folder or zip with the images: `copy`, or the one in `data_folder` (FACET_DATA).

    Returns None for CIFAR-10 if only Keras's loader can get it. Raises SourceError.
    """
    if copy is not None:
        return copy
    known = {
        CIFAR10: ("cifar10_jpeg.zip", "cifar10"),
        SIGN_LANGUAGE: ("sign_language", "sign_language.zip"),
    }
    if source not in known:
        return Path(source)
    for name in known[source] if data_folder else ():
        if data_folder and (data_folder / name).exists():
            return data_folder / name
    if source == CIFAR10:
        return None
    raise SourceError(
        "there is no copy of the sign language digits: get the repository "
        "ardamavi/Sign-Language-Digits-Dataset from GitHub and name it with --from, "
        "or set FACET_DATA to a folder that contains sign_language/"
    )


@contextmanager
def open_path(path: Path, *, subfolder: str = "") -> Iterator[ImageFolder]:
    """Yields the images of a folder or zip, which can be read until the context ends.

    If any folder is named `subfolder`, files outside it are ignored. Raises SourceError.
    """
    with ExitStack() as resources:
        try:
            entries = _entries(path, resources)
            inside = [entry for entry in entries if subfolder in entry.parts[:-1]]
            folder = arrange(inside or entries)
        except zipfile.BadZipFile as error:
            raise SourceError(f"{path}: not a folder or a zip ({error})") from error
        except (SourceError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error
        yield folder


def _entries(path: Path, resources: ExitStack) -> list[Entry]:
    if path.is_dir():
        return list(_walk(path, ()))
    if not path.exists():
        raise SourceError("no such folder or zip")
    archive = resources.enter_context(zipfile.ZipFile(path))
    return [_member(archive, member) for member in archive.infolist()]


def _walk(folder: Path, parents: tuple[Path, ...]) -> Iterator[Entry]:
    """Yields everything in a folder. Follows links; raises SourceError if they form a cycle."""
    real = folder.resolve()
    if real in parents:
        raise SourceError(f"'{folder}' is a link to a folder that contains it")
    top = len(folder.parts) - len(parents)
    for path in sorted(folder.iterdir()):
        if is_junk(path.name):
            continue
        if path.is_dir():
            yield Entry(path.parts[top:])
            yield from _walk(path, (*parents, real))
        else:
            yield Entry(path.parts[top:], partial(_read, path.name, partial(_file, path)))


def _file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Entry:
    parts = tuple(member.filename.removesuffix("/").split("/"))
    if member.is_dir():
        return Entry(parts)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceError(f"'{member.filename}' is a link; zip the images themselves")
    return Entry(parts, partial(_read, member.filename, partial(archive.open, member)))


def _read(name: str, open_file: Callable[[], IO[bytes]]) -> bytes:
    """Returns the content; unpacks at most `MAX_IMAGE` bytes. Raises SourceError."""
    try:
        with open_file() as file:
            content = file.read(MAX_IMAGE + 1)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # zipfile raises RuntimeError if a password is needed or the compression is unknown.
        raise SourceError(f"'{name}' cannot be read: {error}") from error
    if len(content) > MAX_IMAGE:
        raise SourceError(f"'{name}' has more than {MAX_IMAGE >> 20} MB, the limit of an image")
    return content


def keras_cifar10() -> Loaded:
    """CIFAR-10 from the cache of Keras, which downloads it the first time."""
    import keras  # takes seconds, and a local copy does not need it

    loaded: Loaded = keras.datasets.cifar10.load_data()
    return loaded


def cifar10(load: Callable[[], Loaded] = keras_cifar10) -> ImageFolder:
    """CIFAR-10 from Keras's loader, each image as a PNG. Raises SourceError."""
    try:
        train, test = load()
    except ImportError as error:
        raise SourceError(
            f"Keras, which loads CIFAR-10, is not installed ({error}): `make training` in "
            f"a checkout, else pip install 'facet[tensorflow]'. Or {LOCAL_COPY}"
        ) from error
    except Exception as error:  # if a download fails, Keras raises nothing more specific
        raise SourceError(
            f"Keras cannot load CIFAR-10: {error}. Without a network, {LOCAL_COPY}"
        ) from error
    return ImageFolder((*_pngs("train", *train), *_pngs("test", *test)))


def _pngs(channel: str, images: Pixels, classes: Any) -> Iterator[LabelledImage]:
    counts: Counter[str] = Counter()
    for pixels, number in zip(images, np.ravel(classes), strict=True):
        label = CIFAR10_LABELS[number]
        yield LabelledImage(channel, label, f"{counts[label]:04}.png", partial(_png, pixels))
        counts[label] += 1


def _png(pixels: Pixels) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()
