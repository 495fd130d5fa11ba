"""Records the calls that the functions' code makes to AWS, and what the template's policies say.

Which function makes a call is read from the stack: each has modules of its own. Calls that tests,
the command line or the local stack make themselves belong to none.
"""

import inspect
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore import handlers
from botocore.model import OperationModel

from tests.support.template.choosing import EVERYTHING, Chosen, statements
from tests.support.template.iam import requests
from tests.support.template.iam.language import Request, refusal

MODULES = {
    "predict": "PredictFunction",
    "infer": "InferFunction",
    "teach.app": "DatasetsFunction",
    "teach.start": "DatasetsFunction",
    "teach.worker": "TeachFunction",
    "teach.work.teaching": "TeachFunction",
    "teach.work.features": "TeachFunction",
    "teach.work.backbone": "TeachFunction",
    "train": "TrainFunction",
    "endpoint_schedule": "HoursFunction",
    "onboard.app": "OnboardFunction",
    "onboard.onboarding": "OnboardFunction",
    "onboard.sweep.sweeper": "SweepFunction",
    "onboard.removal.deletion": "DeleteFunction",
}
"""The functions, by the modules that are theirs alone."""

BY_DEFAULT = {"teach.data_sets": "DatasetsFunction"}
"""The functions, by modules that another one imports, too: its own are on the stack then."""

OTHERS = ("tests", "cli", "local", "benchmarks", "training")
"""Packages whose calls, also through the functions' modules, are not a function's."""

TAKES_403 = {
    "PredictFunction": "after a 403 predict/bucket/objects.py lists the key itself",
    "DatasetsFunction": "after a 403 teach/data_sets.py lists the key itself",
    "InferFunction": "infer/store.py takes a 403 for a missing key",
}
"""Functions for which S3 may answer 403 for a missing key, with the reason."""

FORMS = {
    "PredictFunction": "inbox/7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e",
    "DatasetsFunction": "datasets/pets/train/cat/1.jpg",
}
"""The key of the presigned forms that a function makes."""

NOT_FOUND = 404
SERVICES = {"s3", "dynamodb", "sagemaker-runtime", "events", "sns", "lambda", "cloudformation"}
BUCKET = "arn:aws:s3:::facet-123456789012-us-east-1"
"""The bucket as policies name it that must not refer to it."""


def caller() -> str | None:
    """The function whose code is running; None if it is no function's."""
    frame = inspect.currentframe()
    default = None
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if found := MODULES.get(module) or MODULES.get(top):
            return found
        default = default or BY_DEFAULT.get(module)
        if top in OTHERS and not module.startswith("tests.support.template.iam"):
            return default
        frame = frame.f_back
    return default


class Policies:
    """What the roles of a stack may do, its bucket's policy included."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self.by_role: dict[str, list[dict[str, Any]]] = {}

    def of(self, role: str) -> list[dict[str, Any]]:
        """The statements that apply to a role. AWS's managed policies are left out: they allow
        logs and traces, which the code does not call itself."""
        if role not in self.by_role:
            self.by_role[role] = self._read(role)
        return self.by_role[role]

    def _read(self, role: str) -> list[dict[str, Any]]:
        own = self._chosen.resources[role]["Properties"].get("Policies", [])
        attached = [
            each
            for each in self._chosen.of_type("AWS::IAM::ManagedPolicy").values()
            if role in each.get("Roles", [])
        ]
        of_bucket = self._chosen.resources["BucketPolicy"]["Properties"]
        documents = [each["PolicyDocument"] for each in (*own, *attached, of_bucket)]
        text = json.dumps([each for document in documents for each in statements(document)])
        found: list[dict[str, Any]] = json.loads(text.replace(BUCKET, "Bucket.Arn"))
        return found

    def refusal(
        self, role: str, request: Request, own: list[dict[str, Any]] | None = None
    ) -> str | None:
        """Why a role may not do this, with its `own` statements or the template's."""
        context = {
            "aws:PrincipalArn": [f"{role}.Arn"],
            "aws:SecureTransport": ["true"],
            **request.context,
        }
        return refusal(Request(request.action, request.resource, context), own or self.of(role))


class Recorder:
    """`refused` has a line for each refused call; `made` the requests of each function."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.made: dict[str, list[Request]] = {}

    @cached_property
    def policies(self) -> Policies:
        """Those of a stack with a KMS key of its own and notifications."""
        return Policies(Chosen(**EVERYTHING))

    def attach(self) -> None:
        """Record the calls of every client whose session is created from now on."""
        handlers.BUILTIN_HANDLERS += [
            ("before-parameter-build", self._built),
            ("before-call.dynamodb", self._serialised),
            ("after-call.s3", self._answered),
        ]

    def _built(self, params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        service = str(model.service_model.service_name)
        if service != "dynamodb" and service in SERVICES:
            self._record(service, model.name, params)

    def _serialised(self, params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        """A call to DynamoDB, whose condition objects are text only now."""
        self._record("dynamodb", model.name, json.loads(params["body"]))

    def _answered(self, http_response: Any, **_: Any) -> None:
        """S3 answers 404 only to those who may list the whole bucket, as far as is documented."""
        function = caller()
        if http_response.status_code == NOT_FOUND and function and function not in TAKES_403:
            self._judge(function, Request("s3:ListBucket", "Bucket.Arn"))

    def _record(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        if function := caller():
            if operation == "CreateBucket":
                parameters = {"Key": FORMS[function]}
            for each in requests.of_call(service, operation, parameters):
                self._judge(function, each)

    def _judge(self, function: str, request: Request) -> None:
        self.made.setdefault(function, []).append(request)
        if reason := self.policies.refusal(f"{function}Role", request):
            what = f"{request.action} {request.resource} {dict(request.context)}"
            self.refused.append(f"{function} may not {what}: {reason}")

    def take(self) -> list[str]:
        """The lines about refused calls since the last one."""
        refused, self.refused = self.refused, []
        return refused
