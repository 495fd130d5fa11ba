"""The custom service of AWS Multi Model Server: one process per worker and model."""

import json
from pathlib import Path
from typing import Any

from benchmarks.serving.handlers.network import Network

_loaded: list[Network] = []


def handle(requests: list[dict[str, Any]] | None, context: Any) -> list[str] | None:
    """Entry point: called once without requests, to load the model, then for each batch."""
    if not _loaded:
        _loaded.append(Network(Path(context.system_properties["model_dir"])))
    if requests is None:
        return None
    return [json.dumps(_loaded[0].answer(request["body"])) for request in requests]
