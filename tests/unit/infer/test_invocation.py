"""Events and answers of the function that runs LiteRT models."""

import math
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from facet.keys import lite_key, parse_lite_key
from infer import app, errors
from infer.answers import STATUS, Result, failure, success
from infer.errors import BadEvent, ModelMissing, ModelUnreadable, StoreUnavailable
from infer.invocation import KEY, parse
from infer.store import Store
from tests.support.aws.fakes import Context

EVENT: dict[str, Any] = {
    "key": "lite/cats/0123456789ab.tflite",
    "sha256": "0" * 64,
    "request": {"instances": [[1]]},
    "request_id": "r-1",
}


def test_an_event_names_the_model_as_its_key_does() -> None:
    found = parse(EVENT)
    assert (found.key, found.model) == (lite_key("cats", "0123456789ab"), "cats/0123456789ab")
    assert parse({**EVENT, "request_id": ""}).request_id == ""
    del (without := dict(EVENT))["request_id"]
    assert parse(without).request_id == ""
    assert (parse(EVENT).seconds, parse({**EVENT, "seconds": 2.5}).seconds) == (math.inf, 2.5)


@pytest.mark.parametrize(
    "key", ["lite/cats/0123456789ab.tflite", "lite/cats/0.tflite", "lite/-/0123456789ab.tflite"]
)
def test_keys_are_those_of_the_other_functions(key: str) -> None:
    assert bool(KEY.fullmatch(key)) == bool(parse_lite_key(key))


@pytest.mark.parametrize(
    "change",
    [
        {"key": "mme/cats/0123456789ab.tar.gz"},
        {"key": "lite/../0123456789ab.tflite"},
        {"key": "lite/cats/0123456789ab.tflite\n"},
        {"key": None},
        {"sha256": "0" * 63},
        {"sha256": "../" + "0" * 61},
        {"sha256": 0},
        {"request": "text"},
        {"request": None},
        {"request_id": "a b"},
        {"request_id": "x" * 65},
        {"seconds": 0},
        {"seconds": math.nan},
        {"seconds": True},
        {"seconds": "25"},
    ],
)
def test_another_event_is_refused_and_names_its_field(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(BadEvent, match=rf"^the event's {name} must "):
        parse({**EVENT, **change})


def test_every_error_that_is_an_answer_has_a_status() -> None:
    assert STATUS.keys() == {*errors.InferError.__subclasses__()} - {errors.ModelUnreadable}


def test_answers_have_a_code_where_callers_decide_by_it() -> None:
    assert failure(errors.ModelMissing("gone")) == {
        "status": 404,
        "response": {"error": "gone", "code": "lite-missing"},
    }
    assert failure(errors.StoreUnavailable("busy"))["response"] == {"error": "busy"}
    large = success(Result(507, b'{"error": "large"}', {}))
    assert large["response"] == {"error": "large", "code": "too-large"}


def test_scores_that_are_no_numbers_pass_as_the_container_writes_them() -> None:
    (row,) = success(Result(200, b'{"predictions": [[NaN, Infinity]]}', {}))["response"][
        "predictions"
    ]
    assert str(row) == "[nan, inf]"


ROLE = "User: arn:aws:sts::123456789012:assumed-role/infer/x is not authorized to perform: "
BECAUSE = " because no identity-based policy allows the action"
LIST = f'{ROLE}s3:ListBucket on resource: "arn:aws:s3:::bucket"{BECAUSE}'
GET = f'{ROLE}s3:GetObject on resource: "arn:aws:s3:::bucket/lite/cats" with an explicit deny'
DECRYPT = f"{ROLE}kms:Decrypt on resource: arn:aws:kms:us-east-1:123456789012:key/1{BECAUSE}"


def raises(s3: Any, code: str, status: int, text: str) -> Stubber:
    """S3 that answers with an error."""
    stub = Stubber(s3)
    stub.add_client_error("get_object", code, text, status)
    return stub


@pytest.mark.parametrize(
    ("code", "status", "text", "expected"),
    [
        ("NoSuchKey", 404, "why", ModelMissing),
        ("AccessDenied", 403, "Access Denied", ModelMissing),
        ("AccessDenied", 403, LIST, ModelMissing),
        ("AccessDenied", 403, GET, ModelUnreadable),
        ("AccessDenied", 403, DECRYPT, ModelUnreadable),
        ("KMS.DisabledException", 400, "arn:aws:kms:…:key/1 is disabled.", ModelUnreadable),
        ("KMS.NotFoundException", 400, "Key is deleted", ModelUnreadable),
        ("SlowDown", 503, "why", StoreUnavailable),
        ("NoSuchBucket", 404, "why", StoreUnavailable),
    ],
)
def test_what_the_bucket_answers(
    code: str, status: int, text: str, expected: type[Exception]
) -> None:
    """Without s3:ListBucket, S3 answers 403 for what does not exist, and for what is denied."""
    s3 = boto3.client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with (
        raises(s3, code, status, text),
        pytest.raises(expected, match="lite/cats"),
        Store(s3, "bucket").open("lite/cats"),
    ):
        pass


def test_an_object_that_may_not_be_read_is_an_error_of_the_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lambda counts it, and the alarm shows it; missing objects are answers, and stored again."""

    class Denied:
        def run(self, *_: object) -> None:
            raise ModelUnreadable("The function may not read lite/cats")

    monkeypatch.setattr(app, "inference", Denied)
    with pytest.raises(ModelUnreadable, match="lite/cats"):
        app.handler(EVENT, Context(25))


def test_a_bucket_out_of_reach_is_no_fault_of_the_models() -> None:
    class Away:
        def get_object(self, **_: str) -> None:
            raise ConnectTimeoutError(endpoint_url="https://s3")

    away: Any = Away()
    with pytest.raises(StoreUnavailable), Store(away, "bucket").open("lite/cats"):
        pass
