"""`facet delete`: what it asks, what it says, and what is left."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from facet.errors import UnknownModel
from facet.heads.errors import BackboneInUse
from local.moto.lambda_functions import invoking_functions
from local.runtime.worker import Invocation
from onboard.removal.deletion import handler
from onboard.uploads import Upload
from tests.support import deployed
from tests.support.aws import fakes
from tests.support.deployed import facet
from tests.support.inputs import artifacts, heads
from tests.support.onboarding import Account, identity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD = artifacts.artifact()


def invoked(_: str, payload: bytes) -> Invocation:
    """The delete function."""
    try:
        answer = handler(json.loads(payload), fakes.Context())  # type: ignore[arg-type]
    except (BackboneInUse, UnknownModel) as error:
        failed = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return Invocation(json.dumps(failed).encode(), "Unhandled", "id", b"")
    return Invocation(json.dumps(answer).encode(), None, "id", b"")


@pytest.fixture
def account(functions: None, s3: "S3Client", table: "Table") -> Iterator[Account]:  # noqa: ARG001
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    account = Account(s3, table)
    for model in ("cats", "walk-1", "walk-2"):
        account.onboard(GOOD, model)
    with invoking_functions(invoked, lambda *_: None):
        yield account


def names(account: Account) -> list[str]:
    return [each.name for each in account.registry.models(10)[0]]


def test_named_models_are_deleted(account: Account) -> None:
    done = facet("delete", "cats", "walk-1", "--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        "cats: deleted, with 1 version, 0 uploads\nwalk-1: deleted, with 1 version, 0 uploads\n"
    )
    assert "images in data sets stay" in done.stderr
    assert names(account) == ["walk-2"]


def test_all_models_that_match_a_pattern_are_deleted(account: Account) -> None:
    done = facet("delete", "--match", "walk-*", "--yes", "--json")
    document = json.loads(done.stdout)
    assert [each["model"] for each in document["models"]] == ["walk-1", "walk-2"]
    assert all(each["deleted"] for each in document["models"])
    assert names(account) == ["cats"]
    assert facet("delete", "--match", "walk-*", "--yes").stdout == "no model matches\n"


def test_a_dry_run_says_what_would_be_deleted(account: Account) -> None:
    done = facet("delete", "--match", "*", "--dry-run")
    assert done.stdout.splitlines()[0] == "cats: would be deleted, with 1 version, 0 uploads"
    assert names(account) == ["cats", "walk-1", "walk-2"]


def test_without_a_terminal_the_confirmation_is_an_option(account: Account) -> None:
    failed = facet("delete", "cats")
    assert failed.exit_code == 2
    assert "--yes is missing. Delete cats for good, 1 model with 1 version?" in failed.stderr
    assert names(account) == ["cats", "walk-1", "walk-2"]


def test_one_unknown_name_deletes_nothing(account: Account) -> None:
    failed = facet("delete", "cats", "dogs", "--yes")
    assert failed.exit_code == 1
    assert "There is no model 'dogs'" in failed.stderr
    assert names(account) == ["cats", "walk-1", "walk-2"]


@pytest.mark.usefixtures("account")
def test_something_must_be_named() -> None:
    assert facet("delete", "--yes").exit_code == 2


def test_a_backbone_is_deleted_after_the_heads_on_it(account: Account) -> None:
    backbone = artifacts.packed(artifacts.backbone_members())
    account.runtime.scores = artifacts.FEATURES
    account.onboard(backbone, "mobilenet")
    account.onboard(heads.artifact(identity(backbone)), "taught")
    planned = facet("delete", "mobilenet", "--dry-run")
    assert planned.stdout == (
        "mobilenet: would be deleted after the heads on it (1 version), with 1 version, 0 uploads\n"
    )
    refused = facet("delete", "mobilenet", "--yes")
    assert refused.exit_code == 1
    assert "mobilenet was not deleted: 1 version of a head depends on 'mobilenet': taught" in (
        " ".join(refused.stderr.split())
    )
    assert names(account) == ["cats", "mobilenet", "taught", "walk-1", "walk-2"]
    assert facet("delete", "mobilenet", "taught", "--yes").exit_code == 0
    assert names(account) == ["cats", "walk-1", "walk-2"]


def test_uploads_that_were_rejected_for_their_name_match_too(account: Account) -> None:
    key = "mme/My Model.tar.gz"
    answer = account.s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=GOOD)
    account.process(Upload("My Model", answer["VersionId"], misnamed=key))
    assert facet("delete", "--match", "My*", "--yes").exit_code == 0
    assert account.stored("rejected/") == set()
