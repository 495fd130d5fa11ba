"""What AWS's TensorFlow 2.20 inference image answers in multi-model mode when something is wrong.

Recorded from AWS's own handler, over a stand-in for its model server (aws_handler.py), which
waited 2 seconds for a load instead of 60; and from nginx 1.22 with the image's configuration.
tests/integration/serving/test_aws_handler.py holds the handler's rows; facet.places is held
against all of them.

Two things cannot be read from a status. A SavedModel that cannot be loaded ends its server, whose
port then refuses connections until the time is over, so it is answered as a slow load is: 408, or
507 if over 70 % of the memory is used. And while one model loads, which takes 51 seconds if it
cannot be loaded, all others wait for the handler's lock.
"""

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """Whose fault an answer is."""

    MODEL = "the model's alone: it is the same at any time"
    EITHER = "the model's, or that of a busy machine: only another try, later, tells them apart"
    PASSING = "never the model's: another model, or a full or restarting container"


HANDLER = "handler"
"""aws/deep-learning-containers, scripts/docker/tensorflow/inference/sagemaker: python_service.py,
tfs_utils.py and multi_model_utils.py."""

NGINX = "nginx"
"""nginx.conf.template in the same folder, and nginx's own error pages."""


@dataclass(frozen=True)
class Answer:
    """One answer. case: what happens, with the call that is answered first."""

    case: str
    status: int
    body: str
    fault: Fault
    source: str = HANDLER


def _page(title: str) -> str:
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n"
        "</body>\r\n</html>\r\n"
    )


def _served(title: str, reason: str) -> str:
    """What the model server answers, as the handler passes it on."""
    return f'{{"title": "{title}", "description": "{{\\"error\\": \\"{reason}\\"}}"}}'


TIMED_OUT = "Timed out after 2 seconds"
NO_MEMORY = "Memory exhausted: not enough memory to start TFS instance"
LOCK_TIMED_OUT = '{"title": "500 Internal Server Error"}'

ANSWERS = (
    Answer("load: the SavedModel cannot be loaded", 408, TIMED_OUT, Fault.EITHER),
    Answer("load: it takes longer than the limit", 408, TIMED_OUT, Fault.EITHER),
    Answer("load: it cannot be loaded, memory 75 % used", 507, NO_MEMORY, Fault.PASSING),
    Answer("load: it takes too long, memory 75 % used", 507, NO_MEMORY, Fault.PASSING),
    Answer("load: another load holds the lock", 500, LOCK_TIMED_OUT, Fault.PASSING),
    Answer(
        "load: no ports are left",
        *(507, '{"error": "Memory exhausted: no available ports to load the model."}'),
        Fault.PASSING,
    ),
    Answer(
        "load: already loaded", 409, '{"error": "Model served is already loaded."}', Fault.PASSING
    ),
    Answer(
        "load: no folder with a number",
        404,
        '{"error": "Could not find valid base path /run/handler/empty for servable empty"}',
        Fault.MODEL,
    ),
    Answer("load: it takes 60 seconds", 504, _page("504 Gateway Time-out"), Fault.EITHER, NGINX),
    Answer("any: the handler restarts", 502, _page("502 Bad Gateway"), Fault.PASSING, NGINX),
    Answer(
        "invoke: not loaded", 404, '{"error": "Model served is not loaded yet."}', Fault.PASSING
    ),
    Answer("invoke: a load holds the lock", 500, LOCK_TIMED_OUT, Fault.PASSING),
    Answer(
        "invoke: the model server rejects the input",
        *(400, _served("400 Bad Request", "Expected 3072 bytes, got 1")),
        Fault.MODEL,
    ),
    Answer(
        "invoke: the model server fails",
        *(500, _served("500 Internal Server Error", "Op type not registered 'MyOp'")),
        Fault.MODEL,
    ),
    Answer(
        "invoke: the model server has no memory",
        429,
        _served("429 Too Many Requests", "OOM when allocating tensor with shape[1000000,1000000]"),
        Fault.EITHER,
    ),
    Answer(
        "invoke: the model server is busy",
        *(503, _served("503 Service Unavailable", "Batching queue is full")),
        Fault.PASSING,
    ),
    Answer(
        "invoke: the model server's limit of 30 seconds is over",
        *(504, _served("504 Gateway Timeout", "Deadline exceeded")),
        Fault.EITHER,
    ),
    Answer(
        "invoke: the model server does not answer",
        500,
        '{"error": "HTTPConnectionPool(host=\'localhost\', port=20002): Read timed out. '
        '(read timeout=2)"}',
        Fault.EITHER,
    ),
    Answer(
        "invoke: the model server ends",
        500,
        "{\"error\": \"('Connection aborted.', RemoteDisconnected('Remote end closed connection "
        "without response'))\"}",
        Fault.EITHER,
    ),
    Answer(
        "invoke: the model server has ended",
        *(404, '{"error": "Model dies is not loaded yet."}'),
        Fault.PASSING,
    ),
)
