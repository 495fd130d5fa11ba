"""The IAM requests that one call of an AWS client makes, with their condition keys.

From the Service Authorization Reference of each service, and S3's pages of each operation.
Resources are named as in tests.support.template.choosing: `Bucket.Arn` is the bucket's ARN.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from tests.support.template.choosing import EVERYTHING
from tests.support.template.iam.language import Request

Parameters = Mapping[str, Any]

ACCOUNT = "us-east-1:123456789012"

EXPRESSIONS = ("Condition", "Filter", "KeyCondition", "Projection", "Update")
WORD = re.compile(r"[:#]?[A-Za-z_]\w*")
NOT_ATTRIBUTES = {
    *("SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN", "if_not_exists"),
    *("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"),
    *("size", "list_append"),
}
"""Keywords and functions of DynamoDB's expressions."""

ENCRYPTION = {
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "StorageClass": "s3:x-amz-storage-class",
}
"""Condition keys of s3:PutObject, by the parameter that sets their header."""


def of_call(service: str, operation: str, parameters: Parameters) -> Iterator[Request]:
    """The requests of a call. Raises KeyError for one that is not known here."""
    yield from CALLS[service, operation](parameters)


def _object(action: str) -> Callable[[Parameters], Iterator[Request]]:
    """An action on one object, which is another one if the call names a version."""

    def requests(parameters: Parameters) -> Iterator[Request]:
        yield Request(_of_version(action, parameters), _arn(parameters["Key"]))
        if action == "s3:GetObject":
            yield _key("kms:Decrypt", "s3")

    return requests


def _of_version(action: str, parameters: Parameters) -> str:
    if "VersionId" not in parameters:
        return action
    return action.replace("Object", "ObjectVersion", 1)


def _put(parameters: Parameters) -> Iterator[Request]:
    context = {key: [parameters[name]] for name, key in ENCRYPTION.items() if name in parameters}
    yield Request("s3:PutObject", _arn(parameters["Key"]), context)
    yield _key("kms:GenerateDataKey", "s3")
    if "Tagging" in parameters:
        yield Request("s3:PutObjectTagging", _arn(parameters["Key"]))


def _form(parameters: Parameters) -> Iterator[Request]:
    """What a presigned form allows. botocore reads its address from CreateBucket's parameters,
    which lack the key; the recorder adds it.
    """
    yield from _put(parameters)


def _copy(parameters: Parameters) -> Iterator[Request]:
    """Tags of the source are copied unless they are replaced."""
    path, _, version = unquote(parameters["CopySource"]).partition("?versionId=")
    source = {"Key": path.partition("/")[2]} | ({"VersionId": version} if version else {})
    yield from _object("s3:GetObject")(source)
    if parameters.get("TaggingDirective") != "REPLACE":
        yield Request(_of_version("s3:GetObjectTagging", source), _arn(source["Key"]))
        yield Request("s3:PutObjectTagging", _arn(parameters["Key"]))
    yield from _put(parameters)


def _delete(parameters: Parameters) -> Iterator[Request]:
    for each in parameters["Delete"]["Objects"]:
        yield Request(_of_version("s3:DeleteObject", each), _arn(each["Key"]))


def _list(action: str) -> Callable[[Parameters], Iterator[Request]]:
    def requests(parameters: Parameters) -> Iterator[Request]:
        keys = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}
        context = {key: [str(parameters[name])] for name, key in keys.items() if name in parameters}
        yield Request(action, "Bucket.Arn", context)

    return requests


def _arn(key: str) -> str:
    return f"Bucket.Arn/{key}"


def _key(action: str, service: str) -> Request:
    """What a service does with the stack's own KMS key in the caller's name."""
    return Request(
        action, EVERYTHING["KmsKeyArn"], {"kms:ViaService": [f"{service}.us-east-1.amazonaws.com"]}
    )


def _item(operation: str) -> Callable[[Parameters], Iterator[Request]]:
    """An operation on the registry or, with an IndexName, on its index."""

    def requests(parameters: Parameters, **context: list[str]) -> Iterator[Request]:
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        key = parameters.get("Key", parameters.get("Item", {}))
        keys = {
            "dynamodb:Attributes": sorted(_attributes(parameters)),
            "dynamodb:LeadingKeys": [*key.get("model", {}).values()],
            **context,
        }
        yield Request(f"dynamodb:{operation}", f"Registry.Arn{index}", keys)
        yield _key("kms:Decrypt", "dynamodb")

    return requests


def _transaction(parameters: Parameters) -> Iterator[Request]:
    operations = {
        "ConditionCheck": "ConditionCheckItem",
        "Delete": "DeleteItem",
        "Put": "PutItem",
        "Update": "UpdateItem",
    }
    for each in parameters["TransactItems"]:
        ((name, write),) = each.items()
        yield from _item(operations[name])(write)


def _attributes(parameters: Parameters) -> set[str]:
    """The names of attributes that a request names."""
    names: Mapping[str, str] = parameters.get("ExpressionAttributeNames", {})
    text = " ".join(parameters.get(f"{each}Expression", "") for each in EXPRESSIONS)
    words = {names.get(word, word) for word in WORD.findall(text)} - NOT_ATTRIBUTES
    in_item = {*parameters.get("Key", {}), *parameters.get("Item", {})}
    return in_item | {word for word in words if not word.startswith(":")}


def _invoke_endpoint(parameters: Parameters) -> Iterator[Request]:
    arn = f"arn:aws:sagemaker:{ACCOUNT}:endpoint/facet"
    context = {"sagemaker:TargetModel": [parameters["TargetModel"]]}
    yield Request("sagemaker:InvokeEndpoint", arn, context)


def _put_events(parameters: Parameters) -> Iterator[Request]:
    for each in parameters["Entries"]:
        context = {"events:source": [each["Source"]], "events:detail-type": [each["DetailType"]]}
        yield Request("events:PutEvents", f"arn:aws:events:{ACCOUNT}:event-bus/default", context)


def _publish(_: Parameters) -> Iterator[Request]:
    yield Request("sns:Publish", EVERYTHING["NotificationTopicArn"])


def _invoke(parameters: Parameters) -> Iterator[Request]:
    yield Request("lambda:InvokeFunction", INVOKED[parameters["FunctionName"]])


def _stack(action: str) -> Callable[[Parameters], Iterator[Request]]:
    def requests(_: Parameters) -> Iterator[Request]:
        arn = f"arn:aws:cloudformation:{ACCOUNT}:stack/facet/1"
        yield Request(f"cloudformation:{action}", arn)

    return requests


INVOKED = {
    "teach": "TeachFunction.Arn",
    "onboard": "OnboardFunction.Arn",
    "infer": "InferFunction.Arn",
}
"""The functions by the names that tests/integration/conftest.py gives them."""


CALLS: dict[tuple[str, str], Callable[[Parameters], Iterator[Request]]] = {
    ("s3", "GetObject"): _object("s3:GetObject"),
    ("s3", "HeadObject"): _object("s3:GetObject"),
    ("s3", "GetObjectTagging"): _object("s3:GetObjectTagging"),
    ("s3", "PutObjectTagging"): _object("s3:PutObjectTagging"),
    ("s3", "DeleteObject"): _object("s3:DeleteObject"),
    ("s3", "DeleteObjects"): _delete,
    ("s3", "PutObject"): _put,
    ("s3", "CreateBucket"): _form,
    ("s3", "CopyObject"): _copy,
    ("s3", "ListObjectsV2"): _list("s3:ListBucket"),
    ("s3", "ListObjectVersions"): _list("s3:ListBucketVersions"),
    **{
        ("dynamodb", each): _item(each)
        for each in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
    },
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("sagemaker-runtime", "InvokeEndpoint"): _invoke_endpoint,
    ("events", "PutEvents"): _put_events,
    ("sns", "Publish"): _publish,
    ("lambda", "Invoke"): _invoke,
    ("cloudformation", "DescribeStacks"): _stack("DescribeStacks"),
    ("cloudformation", "UpdateStack"): _stack("UpdateStack"),
}
"""The calls of the functions, by service and operation."""
