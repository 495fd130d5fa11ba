"""The limit of a server: uvicorn, one ASGI function, orjson, and LiteRT on the event loop.

It checks nothing, reports nothing and keeps every model, so that no server that does can be faster.
"""

import argparse
import base64
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvicorn
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from serving.artifact import TFLITE

JSON = [(b"content-type", b"application/json")]


class Model:
    """An interpreter for one image at a time, which allocates its tensors once."""

    def __init__(self, tflite: Path) -> None:
        self._interpreter = Interpreter(model_path=str(tflite), num_threads=1)
        self._interpreter.allocate_tensors()
        (details,) = self._interpreter.get_input_details()
        self._input, self._shape = details["index"], tuple(details["shape"])
        (output,) = self._interpreter.get_output_details()
        self._output = output["index"]

    def scores(self, image: str) -> NDArray[Any]:
        """The scores of an image; `image` is base64 of uint8 pixels."""
        pixels = np.frombuffer(base64.b64decode(image), np.uint8).reshape(self._shape)
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        scores: NDArray[Any] = self._interpreter.get_tensor(self._output)
        return scores


def main() -> None:
    """Serves `POST /models/{name}/invoke` on a port of 127.0.0.1; any other path is a ping."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--models", type=Path, required=True)
    options = arguments.parse_args()

    @cache
    def model(path: str) -> Model:
        return Model(options.models / path.split("/")[2] / "1" / TFLITE)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        answer = b""
        if body:
            (row,) = orjson.loads(body)["instances"]
            document = {"predictions": model(scope["path"]).scores(row["b64"])}
            answer = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = [*JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
