"""Two clients that turn an image file into a request body: the article's, and Facet's."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import keras
import numpy as np

from facet import preprocess
from facet.places.predict_call import payload
from facet.specs import InputSpec

Seconds = Mapping[str, float]
"""Duration of each step, by name."""


def article_client(path: Path, spec: InputSpec) -> tuple[bytes, Seconds]:
    """The article's client, restated: Keras's loader, float32 in 0..1, lists in JSON."""
    began = perf_counter()
    image = keras.utils.load_img(path, target_size=(spec.height, spec.width))
    loaded = perf_counter()
    values = keras.utils.img_to_array(image).astype(np.float32) / 255
    scaled = perf_counter()
    rows = values.reshape(1, spec.height, spec.width, spec.channels).tolist()
    body = json.dumps({"instances": rows}).encode()
    ended = perf_counter()
    return body, {
        "decode": loaded - began,
        "preprocess": scaled - loaded,
        "payload": ended - scaled,
    }


def facet_client(path: Path, spec: InputSpec) -> tuple[bytes, Seconds]:
    """The code of the predict function."""
    began = perf_counter()
    image = preprocess.decode(spec, path.read_bytes())
    decoded = perf_counter()
    tensor = preprocess.apply(spec, image)
    applied = perf_counter()
    body = payload(spec, [tensor])
    ended = perf_counter()
    return body, {
        "decode": decoded - began,
        "preprocess": applied - decoded,
        "payload": ended - applied,
    }


Client = Callable[[Path, InputSpec], tuple[bytes, Seconds]]
CLIENTS: Mapping[str, Client] = {"the article's client": article_client, "Facet": facet_client}
