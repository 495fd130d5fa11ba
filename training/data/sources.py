"""Where images come from: a folder, a zip (read in place), or Keras's loader."""

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
from training.data.layout import Entry, LabelledImage, Source, SourceError, arrange

MAX_IMAGE = 64 << 20
"""Bytes of one encoded image. As many as are being uploaded are in memory at once."""

CIFAR10 = "cifar10"
SIGN_LANGUAGE = "sign-language"
CIFAR10_LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
"""In the order of the numbers that Keras's loader gives."""

OWN_COPY = (
    "name a copy with --from, a folder or zip as {train,test}/<class>/<image>, or set FACET_DATA "
    "to a folder that has it as cifar10_jpeg.zip or cifar10/"
)

Loaded = tuple[tuple[Pixels, Any], tuple[Pixels, Any]]
"""((images, classes) to train, the same to test): uint8 (n, 32, 32, 3) and integers (n, 1)."""


def local_copy(wanted: str, given: Path | None, data: Path | None) -> Path | None:
    """The folder or zip with the images: `given`, or where `data` (FACET_DATA) has them.

    None for a CIFAR-10 that only Keras's loader can get. Raises `SourceError`.
    """
    if given is not None:
        return given
    known = {
        CIFAR10: ("cifar10_jpeg.zip", "cifar10"),
        SIGN_LANGUAGE: ("sign_language", "sign_language.zip"),
    }
    if wanted not in known:
        return Path(wanted)
    for name in known[wanted] if data else ():
        if data and (data / name).exists():
            return data / name
    if wanted == CIFAR10:
        return None
    raise SourceError(
        "the sign language digits are not at hand: get the repository "
        "ardamavi/Sign-Language-Digits-Dataset from GitHub and name it with --from, "
        "or set FACET_DATA to a folder that has them as sign_language/"
    )


@contextmanager
def opened(path: Path, *, inside: str = "") -> Iterator[Source]:
    """The images of a folder or zip, which can be read until the context ends.

    Where it has a folder named `inside`, only what is in that counts. Raises `SourceError`.
    """
    with ExitStack() as opening:
        try:
            entries = _entries(path, opening)
            source = arrange([each for each in entries if inside in each.parts[:-1]] or entries)
        except zipfile.BadZipFile as error:
            raise SourceError(f"{path}: neither a folder nor a zip ({error})") from error
        except (SourceError, OSError) as error:
            raise SourceError(f"{path}: {error}") from error
        yield source


def _entries(path: Path, opening: ExitStack) -> list[Entry]:
    if path.is_dir():
        return list(_walk(path, ()))
    if not path.exists():
        raise SourceError("no such folder or zip")
    archive = opening.enter_context(zipfile.ZipFile(path))
    return [_member(archive, each) for each in archive.infolist()]


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Entry]:
    """Everything in a folder; links are followed, but not in a circle."""
    real = folder.resolve()
    if real in above:
        raise SourceError(f"'{folder}' is a link to a folder that it is in")
    top = len(folder.parts) - len(above)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield Entry(path.parts[top:])
            yield from _walk(path, (*above, real))
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


def _read(name: str, opening: Callable[[], IO[bytes]]) -> bytes:
    """The content, of which never more is unpacked than `MAX_IMAGE`."""
    try:
        with opening() as file:
            content = file.read(MAX_IMAGE + 1)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # zipfile: RuntimeError where a password is needed or the compression is unknown
        raise SourceError(f"'{name}' cannot be read: {error}") from error
    if len(content) > MAX_IMAGE:
        raise SourceError(f"'{name}' has more than {MAX_IMAGE >> 20} MB: no image is so large")
    return content


def keras_cifar10() -> Loaded:
    """CIFAR-10 as Keras keeps it under its home folder, downloaded the first time."""
    import keras  # takes seconds, and is not needed where there is a local copy

    loaded: Loaded = keras.datasets.cifar10.load_data()
    return loaded


def cifar10(load: Callable[[], Loaded] = keras_cifar10) -> Source:
    """CIFAR-10 from Keras's loader, each image as a PNG. Raises `SourceError`."""
    try:
        train, test = load()
    except ImportError as error:
        raise SourceError(
            f"Keras, which loads CIFAR-10, is not installed ({error}): `make training`, or "
            f"pip install 'facet[training]'. Or {OWN_COPY}"
        ) from error
    except Exception as error:  # Keras raises no other when a download fails
        raise SourceError(
            f"Keras cannot load CIFAR-10: {error}. Without a network: {OWN_COPY}"
        ) from error
    return Source((*_pngs("train", *train), *_pngs("test", *test)))


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
