"""local/moto/aws.py over HTTP: what it keeps, what it makes atomic, how functions are invoked.

This is also the contract test of durable.py, cloudformation.py, server.py and lambda_functions.py
in local/moto: when moto's pin moves, it says which private part of moto has changed.
"""

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.moto.aws import Aws
from local.runtime.worker import Invocation
from local.storage.state import ObjectVersion, State
from tests.support.aws.moto_account import forget

MESSAGE = {"MessageBody": "kept", "MessageAttributes": {}}
NOTHING = Invocation(b"", None, "", b"")
TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "models"}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"ZipFile": "#"},
                "Handler": "app.handler",
                "Runtime": "python3.12",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Environment": {"Variables": {"TABLE": {"Ref": "Table"}}},
            },
        },
    }
}


class Account:
    """A started account with the stack above."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        self.aws = Aws(self.state)
        self.aws.start()
        self.resolve = self.aws.create_stack("test", TEMPLATE)
        self.table = self.resolve({"Ref": "Table"})
        self.function = self.resolve({"Ref": "Function"})
        self.queue = self.resolve({"Ref": "Queue"}).rpartition("/")[2]
        versioned = {"VersioningConfiguration": {"Status": "Enabled"}}
        self.aws.configure_bucket("models", versioned.get)
        self.aws.restore("models", {self.table: "Table"}, {self.queue: "Queue"})

    def close(self) -> None:
        self.aws.close()
        self.state.close()
        forget("s3", "dynamodb", "sqs", "lambda", "cloudformation", "iam", "sagemaker")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    opened = Account(tmp_path)
    yield opened
    opened.close()


def test_an_endpoint_has_the_templates_name(account: Account) -> None:
    sagemaker = account.aws.client("sagemaker")
    sagemaker.create_model(ModelName="model", ExecutionRoleArn="arn:aws:iam::123456789012:role/r")
    variant = {"VariantName": "all", "ModelName": "model", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="config",
        ProductionVariants=[variant | {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0}],
    )
    named = {"EndpointName": {"Ref": "AWS::StackName"}, "EndpointConfigName": "config"}
    endpoint = {"Type": "AWS::SageMaker::Endpoint", "Properties": named}
    resolve = account.aws.create_stack("served", {"Resources": {"Endpoint": endpoint}})
    assert resolve({"Fn::GetAtt": ["Endpoint", "EndpointName"]}) == "served"
    assert sagemaker.describe_endpoint(EndpointName="served")["EndpointConfigName"] == "config"


def test_a_resource_with_a_false_condition_is_not_listed(account: Account) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}}
    account.aws.create_stack(
        "choosing",
        {
            "Conditions": {"Never": {"Fn::Equals": ["yes", "no"]}},
            "Resources": {"Away": {**queue, "Condition": "Never"}, "There": queue},
        },
    )
    asked = {"StackName": "choosing", "LogicalResourceId": "There"}
    cloudformation = account.aws.client("cloudformation")
    found = cloudformation.describe_stack_resource(**asked)["StackResourceDetail"]
    assert found["PhysicalResourceId"].endswith("/made")
    (listed,) = cloudformation.list_stack_resources(StackName="choosing")["StackResourceSummaries"]
    assert listed["LogicalResourceId"] == "There"


def test_restores_objects_items_and_messages_after_a_restart(tmp_path: Path) -> None:
    first = Account(tmp_path)
    s3, dynamodb, sqs = (first.aws.client(each) for each in ("s3", "dynamodb", "sqs"))
    put = s3.put_object(Bucket="models", Key="a/ü b", Body=b"1", ContentType="text/x")
    s3.put_object(Bucket="models", Key="a/ü b", Body=b"2" * 100)
    s3.put_object(Bucket="models", Key="gone", Body=b"3")
    s3.delete_object(Bucket="models", Key="gone")
    dynamodb.put_item(TableName=first.table, Item={"id": {"S": "x"}, "n": {"N": "1"}})
    dynamodb.update_item(
        TableName=first.table,
        Key={"id": {"S": "x"}},
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    written = {"TableName": first.table, "Item": {"id": {"S": "y"}}}
    dynamodb.transact_write_items(TransactItems=[{"Put": written}])
    dynamodb.put_item(TableName=first.table, Item={"id": {"S": "z"}})
    dynamodb.delete_item(TableName=first.table, Key={"id": {"S": "z"}})
    url = first.aws.queue_url(first.queue)
    attributes = {"RequestID": {"DataType": "String", "StringValue": "r"}}
    sqs.send_message(QueueUrl=url, MessageBody="kept", MessageAttributes=attributes)
    sqs.send_message(QueueUrl=url, MessageBody="done")
    for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
        if each["Body"] == "done":
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    before = _versions(s3)
    first.close()

    second = Account(tmp_path)
    s3, dynamodb, sqs = (second.aws.client(each) for each in ("s3", "dynamodb", "sqs"))
    assert _versions(s3) == before
    old = s3.get_object(Bucket="models", Key="a/ü b", VersionId=put["VersionId"])
    assert (old["Body"].read(), old["ContentType"]) == (b"1", "text/x")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="models", Key="gone")
    items = dynamodb.scan(TableName=second.table)["Items"]
    assert sorted(items, key=lambda each: each["id"]["S"]) == [
        {"id": {"S": "x"}, "n": {"N": "2"}},
        {"id": {"S": "y"}},
    ]
    received = sqs.receive_message(
        QueueUrl=second.aws.queue_url(second.queue),
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
    )["Messages"]
    assert [each["Body"] for each in received] == ["kept"]
    assert received[0]["MessageAttributes"]["RequestID"]["StringValue"] == "r"
    second.close()


def test_a_start_with_thousands_of_objects_and_items_takes_seconds(tmp_path: Path) -> None:
    """A client for each item made it a minute; reading each object made it half a minute."""
    state = State(tmp_path)
    content = state.files.write([b"x"])
    moment = "2026-01-02T03:04:05+00:00"
    for number in range(1500):
        key = f"mme/model/{number:012}.tar.gz"
        version = ObjectVersion("models", key, str(number), moment, content)
        state.keep_versions("models", key, [version])
    state.keep_items("Table", [(str(n), {"id": {"S": str(n)}}) for n in range(1500)])
    state.keep_items("Queue", [(str(n), MESSAGE) for n in range(100)])
    state.close()
    began = time.process_time()
    account = Account(tmp_path)
    seconds = time.process_time() - began
    try:
        assert len(account.aws.client("dynamodb").scan(TableName=account.table)["Items"]) == 1500
        listed = account.aws.client("s3").list_objects_v2(Bucket="models")
        assert (listed["KeyCount"], listed["Contents"][0]["Size"]) == (1000, 1)
        assert seconds < 6
    finally:
        account.close()


def test_a_full_disk_fails_writes_of_items_with_an_error_that_says_so(
    account: Account, tmp_path: Path
) -> None:
    dynamodb = account.aws.client("dynamodb")
    dynamodb.put_item(TableName=account.table, Item={"id": {"S": "x"}})
    with sqlite3.connect(tmp_path / "state.db") as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    account.state._database.execute(f"PRAGMA max_page_count = {pages}")
    large = {"id": {"S": "y"}, "text": {"S": "y" * 100_000}}
    with pytest.raises(ClientError, match="The disk is full") as failed:
        dynamodb.put_item(TableName=account.table, Item=large)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert dynamodb.get_item(TableName=account.table, Key={"id": {"S": "x"}})["Item"]
    account.state._database.execute("PRAGMA max_page_count = 1000000")
    dynamodb.put_item(TableName=account.table, Item=large)
    database.close()


def test_reads_a_copy_of_a_multipart_upload(account: Account, tmp_path: Path) -> None:
    """As artifacts over 8 MB are, by every client that uses boto3's transfers."""
    content = bytes(range(256)) * (9 << 12)
    (tmp_path / "large").write_bytes(content)
    s3 = account.aws.client("s3")
    s3.upload_file(str(tmp_path / "large"), "models", "large")
    s3.copy_object(Bucket="models", Key="copy", CopySource="models/large")
    assert s3.get_object(Bucket="models", Key="copy")["Body"].read() == content


def _versions(s3: Any) -> list[tuple[str, str, bool]]:
    listed = s3.list_object_versions(Bucket="models")
    found = [*listed["Versions"], *listed["DeleteMarkers"]]
    return sorted((each["Key"], each["VersionId"], each["IsLatest"]) for each in found)


def test_intrinsic_functions_resolve(account: Account) -> None:
    environment = account.resolve(TEMPLATE["Resources"]["Function"]["Properties"]["Environment"])  # type: ignore[index]
    assert environment == {"Variables": {"TABLE": account.table}}


def test_conditional_writes_are_atomic(account: Account) -> None:
    won: list[int] = []
    lost: list[int] = []

    dynamodb = account.aws.client("dynamodb")

    def claim(number: int) -> None:
        try:
            dynamodb.put_item(
                TableName=account.table,
                Item={"id": {"S": "prize"}, "owner": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(id)",
            )
            won.append(number)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            lost.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 15)


def test_functions_get_s3_events_in_s3s_format(account: Account) -> None:
    events: list[tuple[str, Any]] = []
    configuration = {
        "LambdaConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Function": account.resolve({"Fn::GetAtt": ["Function", "Arn"]}),
                "Filter": {
                    "S3Key": {
                        "Rules": [
                            {"Name": "prefix", "Value": "mme/"},
                            {"Name": "suffix", "Value": ".tar.gz"},
                        ]
                    }
                },
            }
        ]
    }
    account.aws.notify("models", configuration)
    s3 = account.aws.client("s3")
    with account.aws.invoking_functions(
        lambda *_: NOTHING, lambda name, event: events.append((name, json.loads(event)))
    ):
        s3.put_object(Bucket="models", Key="other/a.tar.gz", Body=b"1")
        first = s3.put_object(Bucket="models", Key="mme/a.tar.gz", Body=b"1")
        second = s3.put_object(Bucket="models", Key="mme/a.tar.gz", Body=b"2")
    assert [name for name, _ in events] == [account.function] * 2
    objects = [event["Records"][0]["s3"]["object"] for _, event in events]
    assert [each["key"] for each in objects] == ["mme/a.tar.gz"] * 2
    assert [each["versionId"] for each in objects] == [first["VersionId"], second["VersionId"]]
    assert objects[0]["sequencer"] < objects[1]["sequencer"]


def test_functions_get_removal_events_without_a_filter(account: Account) -> None:
    events: list[Any] = []
    arn = account.resolve({"Fn::GetAtt": ["Function", "Arn"]})
    rule = {"Event": "s3:ObjectRemoved:*", "Function": arn}
    account.aws.notify("models", {"LambdaConfigurations": [rule]})
    s3 = account.aws.client("s3")
    version = s3.put_object(Bucket="models", Key="a", Body=b"1")["VersionId"]
    with account.aws.invoking_functions(
        lambda *_: NOTHING, lambda _, event: events.append(json.loads(event))
    ):
        s3.delete_objects(Bucket="models", Delete={"Objects": [{"Key": "a", "VersionId": version}]})
    ((record,),) = (event["Records"] for event in events)
    assert record["eventName"] == "ObjectRemoved:Delete"
    assert record["s3"]["object"]["versionId"] == version


def test_the_invoke_api_invokes_functions(account: Account) -> None:
    submitted: list[tuple[str, bytes]] = []

    def call(_: str, payload: bytes) -> Invocation:
        error = "Unhandled" if b"bad" in payload else None
        return Invocation(payload.upper(), error, "", b"END\n")

    client = account.aws.client("lambda")
    with account.aws.invoking_functions(call, lambda *event: submitted.append(event)):
        good = client.invoke(FunctionName=account.function, Payload=b'"good"', LogType="Tail")
        bad = client.invoke(FunctionName=account.function, Payload=b'"bad"')
        later = client.invoke(
            FunctionName=account.function, Payload=b'"later"', InvocationType="Event"
        )
        dry = client.invoke(FunctionName=account.function, InvocationType="DryRun")
    assert good["Payload"].read() == b'"GOOD"'
    assert "FunctionError" not in good
    assert base64.b64decode(good["LogResult"]) == b"END\n"
    assert "LogResult" not in bad
    assert bad["FunctionError"] == "Unhandled"
    assert (later["StatusCode"], dry["StatusCode"]) == (202, 204)
    assert submitted == [(account.function, b'"later"')]


def test_a_function_can_write_during_its_invocation(account: Account) -> None:
    """An invocation lasts as long as its function, so it may not hold up what changes state."""

    def call(_: str, payload: bytes) -> Invocation:
        item = {"id": {"S": payload.decode().strip('"')}}
        account.aws.client("dynamodb").put_item(TableName=account.table, Item=item)
        account.aws.client("s3").put_object(Bucket="models", Key="by-function", Body=b"1")
        return NOTHING

    with account.aws.invoking_functions(call, lambda *_: None):
        account.aws.client("lambda").invoke(FunctionName=account.function, Payload=b'"x"')
    assert account.aws.client("dynamodb").scan(TableName=account.table)["Count"] == 1
