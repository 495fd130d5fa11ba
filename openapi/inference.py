"""The routes of the Open Inference Protocol, as the OpenAPI document describes them."""

from openapi import bodies
from openapi.operations import ANSWERING, JSON, Operation, octets
from predict.http import tensors

UNKNOWN = ("unknown-model", "no-live-version", "internal-error")
TAG = "inference"


def _health(which: str, summary: str, answer: type[bodies.Answer]) -> Operation:
    return Operation(
        "GET",
        f"/v2/health/{which}",
        f"inferenceServer{which.capitalize()}",
        TAG,
        summary,
        "Says nothing about any model.",
        "It is",
        {JSON: answer},
        problems=("internal-error",),
        keyed=False,
    )


def _of_model(path: str, name: str, *, versioned: bool) -> tuple[Operation, ...]:
    """What can be asked of a model, or of one version of it."""
    parameters = ("model", "version_id") if versioned else ("model",)
    unknown = (*UNKNOWN, "unknown-version") if versioned else UNKNOWN
    which = "version" if versioned else "live version"
    return (
        Operation(
            "GET",
            path,
            f"inference{name}",
            TAG,
            f"Inputs and outputs of the {which}",
            "Instead of `image`, `pixels` may be sent: UINT8 of the model's own size.",
            "Them",
            {JSON: bodies.InferenceModel},
            parameters=parameters,
            problems=unknown,
        ),
        Operation(
            "GET",
            f"{path}/ready",
            f"inference{name}Ready",
            TAG,
            f"Can the {which} be asked?",
            "200 says so.",
            "It can",
            {JSON: bodies.InferenceModelReady},
            parameters=parameters,
            problems=unknown,
        ),
        Operation(
            "POST",
            f"{path}/infer",
            f"infer{name}",
            TAG,
            f"Ask the {which}",
            "Tensors in JSON, or as bytes behind it with the header "
            "`Inference-Header-Content-Length`, which the answer then has, too.",
            "Its outputs",
            {JSON: bodies.InferenceAnswer, **octets()},
            headers=("X-Model-Version", "Server-Timing"),
            parameters=parameters,
            body={JSON: tensors.InferenceRequest, **octets()},
            problems=ANSWERING,
        ),
    )


INFERENCE = (
    Operation(
        "GET",
        "/v2",
        "inferenceServer",
        TAG,
        "What this server is",
        "Its name, and the extensions of the protocol that it knows.",
        "That",
        {JSON: bodies.InferenceServer},
        problems=("internal-error",),
    ),
    _health("live", "Does the server run?", bodies.InferenceLive),
    _health("ready", "Does the server take requests?", bodies.InferenceReady),
    *_of_model("/v2/models/{model}", "Model", versioned=False),
    *_of_model("/v2/models/{model}/versions/{version}", "Version", versioned=True),
)
