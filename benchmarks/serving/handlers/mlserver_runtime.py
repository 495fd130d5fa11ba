"""MLServer's custom inference runtime."""

import asyncio
from pathlib import Path
from typing import Any

from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.types import InferenceResponse, ResponseOutput  # type: ignore[import-not-found]

from benchmarks.serving.handlers.network import Network


class Runtime(MLModel):  # type: ignore[misc]
    """The SavedModel under the model's `uri`."""

    async def load(self) -> bool:
        """Loads in a thread, so that other models can answer meanwhile."""
        self._network = await asyncio.to_thread(Network, Path(self._settings.parameters.uri))
        return True

    async def predict(self, payload: Any) -> Any:
        """The first input has one element, the image."""
        scores = self._network.scores(payload.inputs[0].data[0])
        output = ResponseOutput(name="scores", shape=[1, len(scores)], datatype="FP32", data=scores)
        return InferenceResponse(model_name=self.name, outputs=[output])

    async def unload(self) -> bool:
        """Deletes the last reference to the network."""
        del self._network
        return True
