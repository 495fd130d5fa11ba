"""`facet push`, `watch`, `status` on a deployed stack whose onboarding runs beside them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from facet.registry.store import Registry
from onboard.uploads import Upload
from tests.support import artifacts, deployed, fakes
from tests.support.deployed import facet
from tests.support.fakes import BUCKET
from tests.support.onboarding import Account, identity
from tests.support.versions import make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD = artifacts.artifact(model="cifar")
BAD = artifacts.packed({"facet.json": b"{}"})


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    return Account(s3, table)


@pytest.fixture
def packed(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes an artifact; its path."""

    def write(data: bytes) -> str:
        path = tmp_path / "model.tar.gz"
        path.write_bytes(data)
        return str(path)

    return write


@contextmanager
def onboarded(account: Account, model: str = "cifar") -> Iterator[None]:
    """Takes the next upload of the model's as soon as it is there, as its event would.

    What onboarding logs meanwhile may stand among the command's output.
    """
    over = threading.Event()

    def take() -> None:
        while not over.wait(0.05):
            try:
                found = account.s3.head_object(Bucket=BUCKET, Key=f"mme/{model}.tar.gz")
            except ClientError:
                continue
            account.take(Upload(model, found["VersionId"], "1"))
            return

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_push_uploads_and_waits_until_it_is_live(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    with onboarded(account):
        done = facet("push", packed(GOOD))
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(f"cifar {identity(GOOD)}: READY (proof: smoke), and live\n")
    account.assert_live(GOOD)


def test_the_same_bytes_again_are_not_uploaded(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    account.onboard(GOOD)
    done = facet("push", packed(GOOD), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["version"], document["unchanged"]) == (identity(GOOD), True)
    assert "mme/cifar.tar.gz" not in account.stored()
    assert "UNCHANGED, is READY already" in facet("push", packed(GOOD)).stdout


def test_what_onboarding_would_refuse_is_not_uploaded(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    refused = facet("push", packed(BAD), "--model", "cifar")
    assert refused.exit_code == 1
    assert "nothing was uploaded" in refused.stdout
    assert "facet.json.labels: " in refused.stdout
    assert account.stored() == set()
    document = json.loads(facet("push", packed(BAD), "--model", "cifar", "--json").stdout)
    assert "manifest-field" in {each["code"] for each in document["violations"]}


def test_no_check_lets_onboarding_refuse(account: Account, packed: Callable[[bytes], str]) -> None:
    with onboarded(account):
        refused = facet("push", packed(BAD), "--model", "cifar", "--no-check")
    assert refused.exit_code == 1
    assert f"cifar {identity(BAD)}: REJECTED\n" in refused.stdout
    assert "  facet.json.labels: Field required [manifest-field]\n    → docs/" in refused.stdout
    assert "manifest-field" in account.assert_rejected(BAD)


def test_what_was_rejected_before_waits_for_a_new_outcome(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    account.runtime.error = fakes.refusal(
        "ModelError", OriginalStatusCode=500, OriginalMessage="no"
    )
    assert account.onboard(GOOD) == "REJECTED"
    account.runtime.error = None
    with onboarded(account):
        done = facet("push", packed(GOOD))
    assert done.exit_code == 0, done.output
    account.assert_live(GOOD)


def test_no_wait_only_uploads(account: Account, packed: Callable[[bytes], str]) -> None:
    done = facet("push", packed(GOOD), "--no-wait")
    assert done.exit_code == 0, done.output
    assert f"facet watch cifar {identity(GOOD)}" in done.stdout
    assert account.content("mme/cifar.tar.gz") == GOOD


@pytest.mark.parametrize(
    ("data", "arguments", "told"),
    [
        (
            artifacts.artifact(),
            [],
            "--model NAME is missing. Neither its manifest nor model.tar.gz",
        ),
        (GOOD, ["--model", "No Name"], "--model No Name: a name has a-z"),
    ],
)
@pytest.mark.usefixtures("account")
def test_a_name_is_needed(
    packed: Callable[[bytes], str], data: bytes, arguments: list[str], told: str
) -> None:
    failed = facet("push", packed(data), *arguments)
    assert failed.exit_code == 1
    assert told in failed.stderr


@pytest.mark.usefixtures("account")
def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "No such file" in facet("push", str(tmp_path / "none")).stderr
    assert "facet pack makes an artifact" in facet("push", str(tmp_path)).stderr


def test_what_the_deployment_demands_is_checked_here(
    s3: "S3Client",  # noqa: ARG001
    table: "Table",
    packed: Callable[[bytes], str],
) -> None:
    deployed.deploy("http://127.0.0.1:9/v1", table.name, GoldenRequired="true", MoreOps="Foo")
    refused = facet("push", packed(GOOD))
    assert refused.exit_code == 1
    assert "[golden-required]" in refused.stdout


def test_watch_tells_how_it_ended(account: Account) -> None:
    account.onboard(GOOD)
    version = identity(GOOD)
    done = facet("watch", "cifar")
    assert (done.exit_code, done.stdout) == (
        0,
        f"cifar {version}: READY (proof: smoke), and live\n",
    )
    Registry(account.table).reject(rejected(9))
    refused = facet("watch", "cifar", f"{9:012x}")
    assert refused.exit_code == 1
    assert "REJECTED\n  facet.json: there is none [no-manifest]\n    → add one" in refused.stdout


def test_watch_gives_up(account: Account) -> None:
    account.put(GOOD)
    failed = facet("watch", "cifar", "--timeout", "0")
    assert failed.exit_code == 1
    assert "after 0 s this is how it stands: the upload is being checked" in failed.stderr


@pytest.mark.usefixtures("account")
def test_watch_of_nothing() -> None:
    for name in ("nothing", "a/b", "[/x]"):
        assert f"There is no model '{name}'" in facet("watch", name).stderr
    assert "has no version" in facet("watch", "nothing", "0" * 12).stderr


@pytest.mark.usefixtures("functions")
def test_status_of_a_healthy_stack(s3: "S3Client", table: "Table") -> None:
    with deployed.gateway() as gateway:
        deployed.deploy(gateway.url, table.name)
        make_live(table, pending(1))
        Registry(table).begin(pending(2, "new"))
        s3.put_object(Bucket=BUCKET, Key="mme/other.tar.gz", Body=b"")
        done = facet("status", "--json")
        shown = facet("status").stdout
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "stack": "facet-test in eu-central-1",
        "url": gateway.url,
        "bucket": BUCKET,
        "api": "ok",
        "endpoint": "InService",
        "models": {"live": 1, "canary": 0, "none_live": 1},
        "being_checked": 1,
        "being_proven": 1,
        "given_up": 0,
        "healthy": True,
    }
    assert "1 live, 1 without a live version" in shown


def test_status_tells_the_rest_where_something_is_wrong(account: Account) -> None:
    boto3.client("sagemaker").delete_endpoint(EndpointName="endpoint")
    (url,) = boto3.client("sqs").list_queues()["QueueUrls"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    account.onboard(GOOD)
    done = facet("status")
    assert done.exit_code == 1
    told = " ".join(done.stdout.split())
    assert "api unknown: http://127.0.0.1:9/v1 cannot be reached" in told
    assert "endpoint unknown: An error occurred" in told
    assert "models 1 live" in told
    assert "given up 1 in the dead-letter queue; facet redrive tries again" in told
