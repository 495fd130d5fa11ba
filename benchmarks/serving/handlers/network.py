"""Runs a SavedModel on base64 bytes; shared by the handlers of all peers."""

import base64
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Network:
    """An artifact's SavedModel. The first instance imports TensorFlow."""

    def __init__(self, artifact: Path) -> None:
        """Loads the model from `1/saved_model.pb` in the folder `artifact`."""
        self._tensorflow = importlib.import_module("tensorflow")
        self._model = self._tensorflow.saved_model.load(str(artifact / "1"))
        self._signature = self._model.signatures["serving_default"]

    def scores(self, image: str) -> list[float]:
        """The score of each class; `image` is base64 of uint8 pixels."""
        rows = self._tensorflow.constant([base64.b64decode(image)])
        scores: list[float] = self._signature(image=rows)["scores"].numpy()[0].tolist()
        return scores

    def answer(self, document: Mapping[str, Any]) -> dict[str, list[list[float]]]:
        """Answers a request in TensorFlow Serving's row format, with one row."""
        return {"predictions": [self.scores(document["instances"][0]["b64"])]}
