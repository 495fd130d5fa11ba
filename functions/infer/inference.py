"""Run a model: its file from the bucket or the disk, then its process, which loads and computes."""

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import orjson

from infer.answers import Result
from infer.errors import DiskFull
from infer.invocation import Invocation
from infer.model_files import ModelFiles
from infer.process.hidden import hide
from infer.process.model_process import PROGRAM, ModelProcess
from infer.store import Store
from infer.time_left import TimeLeft
from serving.memory import private_bytes

log = logging.getLogger(__name__)

FILES = 240 << 20
"""Bytes of files of models that have a name on disk, and of those that are loaded. A loaded one
keeps its space without a name, so that both together must fit into the 512 MB of Lambda's `/tmp`.
"""


class Inference:
    """The models of one environment of the function. For one invocation at a time."""

    def __init__(self, files: ModelFiles, process: ModelProcess) -> None:
        self._files = files
        self.process = process

    def run(self, invocation: Invocation, seconds: float) -> Result:
        """Answer one invocation; seconds: until Lambda ends the function. Raises InferError."""
        began = time.monotonic()
        left = TimeLeft(seconds, invocation.seconds)
        self.process.start()  # it starts while the file is read
        path = self._find(invocation, left)
        self.process.wait_until_ready(left.for_reading())
        read = time.monotonic() - began
        result = self.process.ask(
            invocation.model,
            path,
            orjson.dumps(invocation.request),
            invocation.request_id,
            left.for_model(),
        )
        return Result(result.status, result.body, {"read": round(read, 6), **result.seconds})

    def _find(self, invocation: Invocation, left: TimeLeft) -> Path:
        """The model's file. Raises InferError."""
        find = partial(self._files.find, invocation.key, invocation.sha256, left.for_reading)
        try:
            return find()
        except DiskFull as error:
            log.warning("all models are unloaded: %s", error)
            self.process.close()  # frees the files that it has mapped and that have no name
            self.process.start()
            return find()

    def close(self) -> None:
        """End the models' process."""
        self.process.close()


def create(program: Sequence[str] = PROGRAM) -> Inference:
    """The models of this environment, whose memory and bucket Lambda's variables name.

    program: as of ModelProcess.
    """
    hide()
    folder = Path(tempfile.gettempdir(), "facet-infer")
    memory = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) << 20
    process = ModelProcess(folder, memory - private_bytes(), FILES, program)
    process.start()  # it imports its libraries while this one creates S3's client
    return Inference(
        ModelFiles(folder / "models", FILES, Store.of(os.environ["FACET_BUCKET"])), process
    )
