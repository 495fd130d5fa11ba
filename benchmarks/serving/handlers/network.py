"""The one thing that every peer's handler does: a SavedModel answers base64 bytes."""

import base64
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Network:
    """An artifact's SavedModel in TensorFlow, which is imported with the first one."""

    def __init__(self, artifact: Path) -> None:
        """artifact: the folder that holds `1/saved_model.pb`."""
        self._tensorflow = importlib.import_module("tensorflow")
        self._model = self._tensorflow.saved_model.load(str(artifact / "1"))
        self._signature = self._model.signatures["serving_default"]

    def scores(self, image: str) -> list[float]:
        """Of each class; `image` is base64 of its uint8 memory."""
        rows = self._tensorflow.constant([base64.b64decode(image)])
        scores: list[float] = self._signature(image=rows)["scores"].numpy()[0].tolist()
        return scores

    def answer(self, document: Mapping[str, Any]) -> dict[str, list[list[float]]]:
        """TensorFlow Serving's row form, one row."""
        return {"predictions": [self.scores(document["instances"][0]["b64"])]}
