"""What the shell is offered, through the protocol of its completion (bash's)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.terminal.completion import before
from facet.recipes import RECIPES
from facet.registry.store import Registry
from tests.support import deployed
from tests.support.aws.fakes import BUCKET
from tests.support.deployed import STACK
from tests.support.stacks import ROOT
from tests.support.versions import make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

DEPLOYED = f"--stack {STACK}"


@pytest.fixture
def stack(table: "Table") -> None:
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    for number, model in enumerate(("car", "cat", "cat-2", "dog")):
        make_live(table, pending(number, model))


def offered(typed: str) -> list[str]:
    """For the last word of what was typed, which may be empty."""
    environment = {
        "_FACET_COMPLETE": "complete_bash",
        "COMP_WORDS": f"facet {typed}",
        "COMP_CWORD": str(typed.count(" ") + 1),
    }
    done = CliRunner().invoke(app, env=environment, prog_name="facet")
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("command", ["show", "predict", "watch", "promote", "push a --model"])
def test_models(command: str) -> None:
    name, *rest = command.split(" ", 1)
    given = " ".join([name, DEPLOYED, *rest])
    assert offered(f"{given} ") == ["car", "cat", "cat-2", "dog"]
    assert offered(f"{given} cat") == ["cat", "cat-2"]
    assert offered(f"{given} e") == []


@pytest.mark.usefixtures("stack")
def test_versions(table: "Table") -> None:
    old, new = f"{2:012x}", f"{9:012x}"
    make_live(table, pending(9, "cat-2"))
    Registry(table).reject(rejected(10, "cat-2"))
    for command in ("promote", "rollback", "retire"):
        assert offered(f"{command} {DEPLOYED} cat-2 ") == [new, old]
    assert offered(f"predict {DEPLOYED} cat-2 a.png --version 0000000000") == [new, old]
    assert f"{10:012x}" in offered(f"watch {DEPLOYED} cat-2 ")


@pytest.mark.usefixtures("stack")
def test_recipes_and_data_sets(s3: "S3Client") -> None:
    for name in ("lights", "lamps", "pets"):
        s3.put_object(Bucket=BUCKET, Key=f"datasets/{name}/train/a/1.png", Body=b"")
    assert offered("train ") == [*RECIPES]
    assert offered(f"train {DEPLOYED} image-folder ") == ["lamps", "lights", "pets"]
    assert offered(f"train {DEPLOYED} image-folder l") == ["lamps", "lights"]


@pytest.mark.usefixtures("stack")
def test_functions_and_their_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert offered(f"invoke {DEPLOYED} P") == ["PredictFunction"]
    events = offered(f"invoke {DEPLOYED} PredictFunction ")
    assert "events/predict-raw.json" in events
    assert "events/page.json" not in events
    assert offered(f"invoke {DEPLOYED} PredictFunction events/predict-m") == [
        "events/predict-multipart.json"
    ]


@pytest.mark.usefixtures("stack")
def test_logs(tmp_path: Path) -> None:
    assert offered(f"logs {DEPLOYED} ") == ["PredictFunction", "endpoint", "training"]
    (tmp_path / "logs/training").mkdir(parents=True)
    for name in ("SweepFunction", "stack", "training/cats-1", "training/dogs-1"):
        (tmp_path / f"logs/{name}.log").touch()
    os.utime(tmp_path / "logs/training/cats-1.log", (1, 1))
    assert offered(f"logs --home {tmp_path} ") == ["SweepFunction", "endpoint", "training"]
    assert offered(f"logs --home {tmp_path} training ") == ["dogs-1", "cats-1"]
    assert offered(f"logs --home {tmp_path} endpoint ") == []


@pytest.mark.usefixtures("aws")
def test_nothing_where_there_is_no_stack(tmp_path: Path) -> None:
    assert offered(f"show --home {tmp_path} ") == []
    assert offered(f"show {DEPLOYED} ") == []
    assert offered(f"invoke {DEPLOYED} ") == []


@pytest.mark.parametrize("prefix", ["cat", "a", "z-", "0", "-"])
def test_what_comes_before(prefix: str) -> None:
    start = before(prefix)
    assert start
    assert f"{start}z" < prefix
    last = prefix[:-1] + chr(ord(prefix[-1]) - 1)
    assert start > f"{last}zz"


def test_commands() -> None:
    assert offered("pro") == ["promote"]
