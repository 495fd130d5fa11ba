"""The routes of the Open Inference Protocol."""

from openapi import models
from openapi.operations import JSON, PREDICTION_PROBLEMS, Operation, binary
from predict.http import tensors

METADATA_PROBLEMS = (
    "unknown-model",
    "no-live-version",
    "not-a-classifier",
    "internal-error",
    "no-endpoint",
)
TAG = "inference"


def _health_check(
    name: str,
    summary: str,
    description: str,
    success: str,
    response: type[models.ResponseModel],
    problems: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        "GET",
        f"/v2/health/{name}",
        f"inferenceServer{name.capitalize()}",
        TAG,
        summary,
        description,
        success,
        {JSON: response},
        problems=(*problems, "internal-error"),
        needs_key=False,
    )


def _model_operations(path: str, name: str, *, versioned: bool) -> tuple[Operation, ...]:
    """Returns the operations on a model's live version, or on the version in the path."""
    parameters = ("model", "version_id") if versioned else ("model",)
    problems = (*METADATA_PROBLEMS, "unknown-version") if versioned else METADATA_PROBLEMS
    kind = "version" if versioned else "model"
    version = "version" if versioned else "live version"
    return (
        Operation(
            "GET",
            path,
            f"inference{name}",
            TAG,
            f"Retrieve a {kind}'s metadata",
            f"Returns the inputs and outputs of the {version}. Instead of `image`, a request may "
            "send the input `pixels`: UINT8 images of the model's input size.",
            "Returns the metadata.",
            {JSON: models.InferenceModel},
            parameters=parameters,
            problems=problems,
        ),
        Operation(
            "GET",
            f"{path}/ready",
            f"inference{name}Ready",
            TAG,
            f"Check a {kind}'s readiness",
            f"Returns 200 if the {version} is ready for inference."
            if versioned
            else "Returns 200 if the model has a live version.",
            f"The {kind} is ready.",
            {JSON: models.InferenceModelReady},
            parameters=parameters,
            problems=problems,
        ),
        Operation(
            "POST",
            f"{path}/infer",
            f"infer{name}",
            TAG,
            f"Run inference with a {kind}",
            f"Runs inference with the {version}"
            + (". " if versioned else ", or with the candidate during a canary. ")
            + "Send tensors in the JSON, or as binary data after it with the header "
            "`Inference-Header-Content-Length`. A response with binary data has the same header.",
            "Returns the output tensors.",
            {JSON: models.InferenceResponse, **binary()},
            headers=("X-Model-Version", "X-Facet-Ran-In", "Server-Timing"),
            parameters=parameters,
            request={JSON: tensors.InferenceRequest, **binary()},
            problems=PREDICTION_PROBLEMS,
        ),
    )


INFERENCE_OPERATIONS = (
    Operation(
        "GET",
        "/v2",
        "inferenceServer",
        TAG,
        "Retrieve the server's metadata",
        "Returns the server's name, its version of the protocol, and the extensions it supports.",
        "Returns the metadata.",
        {JSON: models.InferenceServer},
        problems=("internal-error",),
    ),
    _health_check(
        "live",
        "Check the server's liveness",
        "Returns 200 while the server is running. The check does not cover the models.",
        "The server is running.",
        models.InferenceLive,
    ),
    _health_check(
        "ready",
        "Check the server's readiness",
        "Returns 200 while the server accepts requests, and 503 if the endpoint lately answered "
        "for none of several models.",
        "The server accepts requests.",
        models.InferenceReady,
        problems=("unavailable",),
    ),
    *_model_operations("/v2/models/{model}", "Model", versioned=False),
    *_model_operations("/v2/models/{model}/versions/{version}", "Version", versioned=True),
)
