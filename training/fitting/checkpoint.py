"""The checkpoint of a training: one file, replaced atomically after each epoch."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

History = dict[str, list[float]]
"""A list per measure, with one value per epoch; `seconds` is the duration of the epoch."""

Arrays = list[NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Progress:
    """`variables` of the network and the optimizer, `best` weights so far, measures so far."""

    history: History
    variables: Arrays
    best: Arrays

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.history["val_loss"])


def best_epoch(history: History) -> int:
    """The index of the epoch with the highest validation accuracy, then the lowest loss."""
    pairs = zip(history["val_accuracy"], history["val_loss"], strict=True)
    ranked = [(accuracy, -loss) for accuracy, loss in pairs]
    return ranked.index(max(ranked))


class Checkpoint:
    """The checkpoint file in `folder`, which SageMaker mirrors to S3. With None, nothing is saved.

    `fingerprint` identifies the training: the file of another training is not resumed from.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._file = folder / "progress.npz" if folder else None
        self._fingerprint = fingerprint

    def read(self) -> bytes:
        """The content of the file, empty if there is none."""
        return self._file.read_bytes() if self._file and self._file.exists() else b""

    def save(self, progress: Progress) -> None:
        """Replaces the file atomically."""
        if not self._file:
            return
        about = {"fingerprint": self._fingerprint, "history": progress.history}
        arrays = {
            "about": np.array(json.dumps(about)),
            **{f"variable-{number}": array for number, array in enumerate(progress.variables)},
            **{f"best-{number}": array for number, array in enumerate(progress.best)},
        }
        part = self._file.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        part.replace(self._file)

    def parse(self, content: bytes) -> Progress | None:
        """Parses a file's content; logs and returns None if it is damaged or another training's."""
        if not content:
            return None
        try:
            with np.load(io.BytesIO(content)) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["fingerprint"] != self._fingerprint:
                    print("checkpoint=other reason=of another training, starting over", flush=True)
                    return None
                return Progress(
                    about["history"],
                    _numbered(arrays, "variable"),
                    _numbered(arrays, "best"),
                )
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            print(f"checkpoint=damaged reason={error}, starting over", flush=True)
            return None


def _numbered(arrays: "np.lib.npyio.NpzFile", name: str) -> Arrays:
    count = sum(file.startswith(f"{name}-") for file in arrays.files)
    return [arrays[f"{name}-{number}"] for number in range(count)]
