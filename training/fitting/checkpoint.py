"""What an interrupted training goes on from: one file, written whole after each epoch."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

History = dict[str, list[float]]
"""A list per measure, with one value per epoch; `seconds` is how long it took."""

Arrays = list[NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Progress:
    """`variables` are the network's and the optimizer's, `best` the weights of the best epoch."""

    history: History
    variables: Arrays
    best: Arrays

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.history["val_loss"])


def best_epoch(history: History) -> int:
    """The index of the epoch with the highest validation accuracy; of equals, the lowest loss."""
    pairs = zip(history["val_accuracy"], history["val_loss"], strict=True)
    ranked = [(accuracy, -loss) for accuracy, loss in pairs]
    return ranked.index(max(ranked))


class Checkpoint:
    """The file of one training in `folder`, which SageMaker mirrors to S3; None keeps nothing.

    `fingerprint` says what is trained: a file of another training is left alone until it is
    overwritten.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._file = folder / "progress.npz" if folder else None
        self._fingerprint = fingerprint

    def read(self) -> bytes:
        """What was written last, empty where there is nothing."""
        return self._file.read_bytes() if self._file and self._file.exists() else b""

    def save(self, progress: Progress) -> None:
        """Writes it, whole or not at all."""
        if not self._file:
            return
        about = {"fingerprint": self._fingerprint, "history": progress.history}
        arrays = {
            "about": np.array(json.dumps(about)),
            **{f"variable-{number}": each for number, each in enumerate(progress.variables)},
            **{f"best-{number}": each for number, each in enumerate(progress.best)},
        }
        part = self._file.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        part.replace(self._file)

    def parse(self, content: bytes) -> Progress | None:
        """The progress that was saved, if it is this training's."""
        if not content:
            return None
        try:
            with np.load(io.BytesIO(content)) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["fingerprint"] != self._fingerprint:
                    print("checkpoint=other reason=another training's, starting anew", flush=True)
                    return None
                return Progress(
                    about["history"],
                    _numbered(arrays, "variable"),
                    _numbered(arrays, "best"),
                )
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            print(f"checkpoint=damaged reason={error}, starting anew", flush=True)
            return None


def _numbered(arrays: "np.lib.npyio.NpzFile", name: str) -> Arrays:
    count = sum(each.startswith(f"{name}-") for each in arrays.files)
    return [arrays[f"{name}-{number}"] for number in range(count)]
