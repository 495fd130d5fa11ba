"""`facet cost`: tables, bars, images, JSON, and files of prices."""

import json
import sys
from datetime import UTC, datetime
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from PIL import Image
from typer.testing import CliRunner, Result

from cli.app import app
from cli.client import stack
from cli.cost.containers import CONTAINERS
from cli.cost.model import FUNCTION_MB
from cli.cost.places import PLACES
from cli.cost.prices import DEFAULT_PRICES, read
from cli.cost.report import money
from tests.support.stacks import ROOT

UNVERIFIED = ["ml.m5", "storage", "watching", "fargate", "balancer", "registry"]


def cost(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", *arguments])


def own(tmp_path: Path, change: dict[str, Any]) -> str:
    """A price file with one region, `moon`, some members of which are replaced."""
    document = json.loads(DEFAULT_PRICES.read_text())
    moon = document["regions"]["us-east-1"]
    document["sources"]["crater"] = {"date": "2025-01-02", "verified": True, "source": "a friend"}
    document |= {"regions": {"moon": moon | change}}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_the_default_is_a_thousand_models() -> None:
    done = cost()
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["an", "endpoint", "for", "each", "1,000", "167,900.00"] in lines
    assert ["one", "multi-model", "endpoint", "1", "167.90"] in lines
    assert ["saved", "99.9%", "167,732.10"] in lines
    date = json.loads(DEFAULT_PRICES.read_text())["sources"]["ml.m5"]["date"]
    assert f"(prices of {date})" in done.stdout
    assert (
        "not read on AWS's own pages: ml.m5, storage, watching, fargate, balancer, registry."
        in done.stdout
    )


def test_bars_are_to_scale() -> None:
    lines = cost("--models", "50").stdout.splitlines()
    bars = [line for line in lines if "endpoint  " in line or "an endpoint each " in line]
    each = [line for line in bars if "an endpoint each" in line]
    assert [line.split()[0] for line in each] == ["1", "10", "50", "100", "1,000"]
    assert [line.count("█") for line in each] == [0, 0, 2, 4, 40]
    assert [part in line for line, part in zip(each, "▏▍  ", strict=False)] == [True] * 4
    assert all("▏ $168" in line for line in bars if "one endpoint" in line)


def test_json_has_all_numbers() -> None:
    document = json.loads(cost("--models", "20", "--hours", "100", "--json").stdout)
    assert document["models"] == 20
    assert document["each"] == {"instances": 20, "dollars": pytest.approx(20 * 0.23 * 100)}
    assert document["one"] == {"instances": 1, "dollars": pytest.approx(23)}
    assert document["saved"] == pytest.approx(0.95)
    assert set(document["around"]) == {"api", "function", "storage", "watching"}
    assert [row["models"] for row in document["by_models"]] == [1, 10, 20, 100, 1000]
    assert document["prices"]["date"]
    assert document["prices"]["unverified"] == UNVERIFIED
    assert document["terms"]["hours"] == 100


def test_every_option_counts() -> None:
    def both(*arguments: str) -> tuple[int, int]:
        document = json.loads(cost("--models", "100", *arguments, "--json").stdout)
        return document["each"]["instances"], document["one"]["instances"]

    assert both() == (100, 1)
    assert both("--minimum", "2") == (200, 2)
    assert both("--requests-per-second", "2000") == (100, 5)
    assert both("--requests-per-second", "2000", "--popularity", "zipf") == (100, 5)
    assert both("--requests-per-second", "4000", "--popularity", "zipf") == (101, 10)
    assert both("--requests-per-second", "2000", "--traffic", "burst") == (100, 60)
    assert both("--requests-per-second", "2000", "--instance-type", "ml.m5.large") == (100, 10)
    assert both("--requests-per-second", "2000", "--requests-per-vcpu", "500") == (100, 1)
    assert both("--model-mb", "1000") == (100, 8)
    assert both("--model-mb", "1000", "--loaded", "0.25") == (100, 2)
    assert both("--serving", "aws") == (100, 2)
    assert both("--serving", "aws", "--model-mb", "100") == (100, 1)


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (
            [],
            "Facet's container holds 2,545 models of 5.4 MB on it.\n"
            "Limited by memory: docs/benchmarks.md, Loading, and memory.\n",
        ),
        (
            ["--serving", "aws"],
            "AWS's TensorFlow image holds 67 models of 204 MB on it.\n"
            "Limited by memory: docs/benchmarks.md, Loading, and memory: AWS Multi Model Server",
        ),
        (
            ["--serving", "aws", "--model-mb", "10"],
            "AWS's TensorFlow image holds 449 models of 10 MB on it.\nLimited by its ports: ",
        ),
        (["--model-mb", "10"], "holds 1,374 models of 10 MB on it.\nLimited by memory.\n"),
    ],
)
def test_it_names_the_container_with_its_models_and_their_source(
    arguments: list[str], holds: str
) -> None:
    assert holds in cost(*arguments).stdout


@pytest.mark.parametrize(
    ("image", "container"),
    [
        ("", "AWS's TensorFlow image"),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.20-cpu",
            "AWS's TensorFlow image",
        ),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/facet@sha256:0a", "Facet's container"),
    ],
)
def test_the_container_of_a_stack_is_assumed(
    image: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("BucketName", "RegistryName", "UndeliveredUploadsUrl", "OnboardFunctionName")
    described = {
        "StackName": "facet",
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": name, "OutputValue": name} for name in names],
        "Parameters": [{"ParameterKey": "ServingImageUri", "ParameterValue": image}],
    }
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    cloudformation = session.client("cloudformation")
    monkeypatch.setattr(session, "client", lambda _: cloudformation)
    monkeypatch.setattr(stack, "account", lambda: session)
    with Stubber(cloudformation) as stub:
        stub.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": "facet"})
        assert container in cost("--stack", "facet").stdout
    assert "Facet's container" in cost("--stack", "facet", "--serving", "facet").stdout


def test_scaled_endpoints_cost_less_where_traffic_varies() -> None:
    def dollars(*arguments: str) -> float:
        office = ["--requests-per-second", "2000", "--traffic", "office"]
        found = json.loads(cost(*office, *arguments, "--json").stdout)["one"]["dollars"]
        return float(found)

    assert dollars("--scaled") < dollars()
    assert "at peak" in cost("--scaled").stdout


def test_reads_a_price_file_of_the_user(tmp_path: Path) -> None:
    mine = own(tmp_path, {"instances": {"crater": {"hour": 3, "vcpus": 1, "memory_gib": 1}}})
    where = ["--prices", mine, "--region", "moon", "--instance-type", "crater"]
    done = cost(*where, "--models", "2", "--hours", "10")
    assert ["an", "endpoint", "for", "each", "2", "60.00"] in [
        line.split() for line in done.stdout.splitlines()
    ]
    assert "(prices of 2025-01-02)" in done.stdout
    assert "pages: storage, watching, fargate, balancer, registry." in done.stdout


def test_compares_all_places_side_by_side() -> None:
    lines = cost().stdout.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("place "))
    rows = [line.split("  ") for line in lines[at : at + 8]]
    table = [[cell.strip() for cell in row if cell] for row in rows]
    assert table[0] == ["place", "holds", "10 models", "1,000 models", "10,000 models"]
    assert table[3] == ["multi-model, Facet", "2,545", "$168 (1)", "$168 (1)", "$672 (4)"]
    assert table[4][1:] == ["102", "$168 (1)", "$1,679 (10)", "$16,622 (99)"]
    assert table[7] == ["cheapest", "function", "Fargate", "function"]
    assert max(map(len, lines[at : at + 8])) <= 80


def test_all_places_as_json() -> None:
    document = json.loads(cost("--models", "500", "--models", "20", "--json").stdout)
    assert document["models"] == 500
    assert document["requests_per_second"] == 10
    assert [column["models"] for column in document["places"]] == [20, 500]
    few, more = document["places"]
    assert few["cheapest"] == "function"
    assert few["needs"]["endpoints"]["instances"] == 20
    assert few["needs"]["fargate"]["size"] == "0.25 vCPU, 0.5 GB"
    assert few["needs"]["function"]["missed"] == 0
    assert more["needs"]["function"]["missed"] == pytest.approx(1 - 274 / 500)
    assert set(few["function_cheaper_below"]) == set(few["needs"]) - {"function"}
    assert document["api"] == {
        "rest": pytest.approx(91.98),
        "http": pytest.approx(26.28),
        "function_url": 0,
    }


def test_names_rates_and_times_either_way() -> None:
    def same(first: list[str], second: list[str]) -> bool:
        return cost(*first, "--json").stdout == cost(*second, "--json").stdout

    assert same(["--requests-per-minute", "120"], ["--requests-per-second", "2"])
    assert same(["--milliseconds", "5"], ["--requests-per-vcpu", "200"])
    assert not same(["--milliseconds", "5"], [])


def test_nothing_is_paid_for_a_function_while_nobody_asks() -> None:
    document = json.loads(cost("--requests-per-second", "0", "--json").stdout)
    for column in document["places"]:
        assert column["cheapest"] == "function"
        assert column["needs"]["function"]["dollars"] == 0
        assert column["needs"]["facet"]["dollars"] > 100


def test_a_place_without_room_for_a_model_is_left_out() -> None:
    """Neither 1,769 MB nor a second copy of TensorFlow has room for 1,500 MB."""
    done = cost("--model-mb", "1500", "--instance-type", "ml.c5.large", "--models", "3")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["function", "-"] in rows
    assert ["multi-model,", "Facet", "2", "$149", "(2)"] in rows
    assert "costs less below" not in done.stdout


def test_says_when_a_function_needs_a_larger_quota() -> None:
    assert "quota" not in cost().stdout
    assert (
        "27 functions run at once"
        in cost("--requests-per-minute", "10000", "--popularity", "zipf").stdout
    )


def test_a_price_file_from_before_the_other_places_is_read(tmp_path: Path) -> None:
    document = json.loads(DEFAULT_PRICES.read_text())
    for name in (
        *("api_above_million", "http_api", "fargate", "registry"),
        *("storage_million_reads", "storage_million_writes"),
    ):
        del document["regions"]["us-east-1"][name]
    for name in ("fargate", "balancer", "registry"):
        del document["sources"][name]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    done = cost("--prices", str(path))
    assert done.exit_code == 0, done.output
    assert (
        "lacks http_api, storage_million_reads, storage_million_writes, registry, fargate: "
        "what needs them is left out"
    ) in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["Fargate", "-", "-", "-"] in rows
    assert "As a function's URL 0.00" in done.stdout
    found = json.loads(cost("--prices", str(path), "--json").stdout)
    assert found["api"]["http"] is None
    assert found["prices"]["unverified"] == ["ml.m5", "storage", "watching"]


@pytest.mark.parametrize("page", ["cost.md", "cli.md"])
def test_the_pages_show_what_it_prints(page: str) -> None:
    lines = (ROOT / "docs" / page).read_text().splitlines()
    commands = [at for at, line in enumerate(lines) if line.startswith("    $ facet cost")]
    assert commands
    for at in commands:
        shown = takewhile(lambda line: not line or line.startswith("    "), lines[at + 1 :])
        printed = cost(*lines[at].split()[3:]).stdout.splitlines()
        assert [line[4:] for line in shown][:-1] == [line.rstrip() for line in printed]


def table(after: str) -> list[list[str]]:
    """The rows of the first table below a heading of docs/cost.md."""
    lines = (ROOT / "docs/cost.md").read_text().partition(f"## {after}\n")[2].splitlines()
    rows = takewhile(
        lambda line: line.startswith("|"), dropwhile(lambda line: line[:1] != "|", lines)
    )
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows][2:]


def document(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cost(*arguments, "--json").stdout)
    return found


def test_the_page_names_the_cheapest_places() -> None:
    for rate, *cells in table("The cheapest place"):
        columns = document("--requests-per-minute", rate.replace(",", ""))["places"]
        assert cells == [
            f"{PLACES[each['cheapest']].title}, {money(each['needs'][each['cheapest']]['dollars'])}"
            for each in columns
        ]


def test_the_page_has_what_a_vcpu_costs() -> None:
    region = read().region("us-east-1")
    instance = region.instance("ml.m5.xlarge")
    assert region.fargate
    seconds = (
        instance.hour / instance.vcpus / 3600,
        region.fargate.vcpu_hour / 3600,
        region.lambda_gb_second * FUNCTION_MB / 1024,
    )
    words = " ".join((ROOT / "docs/cost.md").read_text().split())
    here, fargate, function = (f"${each * 1e5:.2f}" for each in seconds)
    assert (
        f"{here} per 100,000 seconds on `ml.m5.xlarge`, {fargate} on Fargate and {function} in a"
    ) in words


def test_the_page_has_what_api_gateway_costs() -> None:
    for rate, *cells in table("API Gateway"):
        api = document("--requests-per-minute", rate.replace(",", ""), "--models", "1")["api"]
        assert cells == [f"${api[name]:,.2f}" for name in ("rest", "http", "function_url")]


def test_the_page_has_how_many_models_an_instance_holds() -> None:
    *instances, by_ports = table("Facet's container, or AWS's image")
    assert by_ports[2] == str(CONTAINERS["aws"].most)
    for name, *cells in instances:
        arguments = ["--instance-type", name.split("`")[1], "--models", "1"]
        needs = document(*arguments)["places"][0]["needs"]
        assert cells == [f"{needs[each]['holds']:,}" for each in ("facet", "aws")]


def test_the_page_has_the_article_s_thousand_models() -> None:
    common = ["--instance-type=ml.m5.2xlarge", "--minimum=2", "--requests-per-second=100"]
    for size, each, one, saved in table("The article's thousand models"):
        found = document(*common, "--model-mb", size.split()[0], "--models", "1000")
        for cell, fleet in ((each, found["each"]), (one, found["one"])):
            count, dollars = cell.split(" instances, $")
            assert count.replace(",", "") == str(fleet["instances"])
            assert float(dollars.replace(",", "")) == pytest.approx(fleet["dollars"], abs=0.006)
        assert saved == f"{found['saved']:.1%}".replace("%", " %")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--region", "mars"], 1, "no prices for the region mars; choose us-east-1"),
        (
            ["--instance-type", "ml.p5"],
            1,
            "no prices for the instance type ml.p5; choose ml.m5.large",
        ),
        (["--model-mb", "20000"], 1, "choose a larger --instance-type"),
        (["--prices", "{}/none.json"], 1, "none.json: No such file"),
        (["--models", "0"], 2, "0 is less than 1"),
        (["--models=1", *[f"--models={n}" for n in range(2, 8)]], 2, "7 numbers of models"),
        (["--minimum", "1" + 20 * "0"], 2, "'--minimum': "),
        (["--model-mb", "nan"], 2, "'--model-mb': "),
        (["--function-mb", "100"], 2, "100 is less than 512"),
        (["--requests-per-minute=1", "--requests-per-second=1"], 2, "not both"),
        (["--milliseconds=1", "--requests-per-vcpu=1"], 2, "not both"),
        (["--requests-per-second", "inf"], 2, "'--requests-per-second': "),
        (["--traffic", "never"], 2, "never"),
        (["--chart", "{}/none/x.png"], 1, "x.png: No such file"),
    ],
)
def test_rejects_wrong_arguments(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    failed = cost(*[each.format(tmp_path) for each in arguments])
    assert failed.exit_code == code
    assert message in failed.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"api_million_requests": -1}, "regions.moon.api_million_requests: "),
        ({"instances": {}}, "regions.moon.instances: "),
        ({"instances": {"ml.x9.big": {"hour": 1, "vcpus": 1, "memory_gib": 1}}}, "lacks ml.x9"),
        ({"extra": 1}, "regions.moon.extra: "),
        ({"fargate": {"vcpu_hour": 1}}, "regions.moon.fargate.gb_hour: "),
    ],
)
def test_rejects_a_wrong_price_file(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    failed = cost("--prices", own(tmp_path, change), "--region", "moon")
    assert failed.exit_code == 1
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_the_bars_as_an_image(tmp_path: Path) -> None:
    assert cost("--chart", str(tmp_path / "cost.png")).exit_code == 0
    with Image.open(tmp_path / "cost.png") as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (700, 400))
        assert len(drawn.convert("RGB").getcolors(1 << 24) or []) > 10


def test_without_matplotlib_there_is_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    failed = cost("--chart", str(tmp_path / "cost.png"))
    assert failed.exit_code == 1
    assert "--chart needs matplotlib" in failed.stderr
    assert "run `make training`" in failed.stderr
    assert list(tmp_path.iterdir()) == []
