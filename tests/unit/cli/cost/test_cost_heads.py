"""What tenants cost as heads on one backbone, by hand, and beside whole models."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.cost.heads import (
    KEPT_MB,
    ROOM_MB,
    TEACH_MB,
    TITLES,
    Bill,
    bills,
    teaching,
)
from cli.cost.model import HOURS, Case, Terms, Traffic
from cli.cost.prices import read
from cli.cost.report import money
from tests.support.stacks import ROOT
from tests.unit.cli.cost.test_cost import table

PRICES = read().region("us-east-1")
CASE = Case(PRICES.instance("ml.m5.xlarge"), PRICES, Terms())
REQUESTS = 10 * 3600 * HOURS


def bill(name: str, models: int, case: Case = CASE) -> Bill:
    found = bills(case, models, Traffic(10))[name]
    assert found
    return found


def test_a_thousand_heads_by_hand() -> None:
    here = bill("function_heads", 1000)
    assert here.computing == bill("function_whole", 1).computing
    assert here.records == pytest.approx(REQUESTS * 2 / 1e6 * 0.125)
    assert here.weights == 0, "the predict function keeps all of them"
    stored = (1000 * 0.028 + 5.4) / 1e3 * 0.023 + 1000 * 0.0025 / 1e3 * 0.25
    assert here.storage == pytest.approx(stored)
    assert here.dollars == here.computing + here.records + here.storage
    assert bill("endpoint_heads", 1000).computing == pytest.approx(0.23 * HOURS)


def test_more_heads_than_are_kept_are_read_from_s3() -> None:
    room = int(ROOM_MB / KEPT_MB)
    assert bill("function_heads", 2 * room).weights == pytest.approx(REQUESTS / 2 / 1e6 * 0.4)


def test_heads_never_need_another_instance() -> None:
    many = 100_000
    assert bill("endpoint_heads", many).computing == bill("endpoint_heads", 1).computing
    assert bill("endpoint_whole", many).computing > 30 * bill("endpoint_heads", many).computing
    assert bills(CASE, 1000, Traffic(10))["function_whole"]
    small = Case(CASE.instance, PRICES, replace(Terms(), model_mb=1e5))
    assert bills(small, 1, Traffic(10)) == dict.fromkeys(TITLES)


def test_a_teaching_by_hand() -> None:
    gb_seconds = (2 * 3008 + 3 * 256 + 0.1 * 1769) / 1024
    requests = 20 * 0.2 + 205 * 0.4 + 209 * 5 + 16 * 0.125 + 36 * 0.625
    assert teaching(CASE) == pytest.approx(gb_seconds * 0.00001667 + requests / 1e6)


def test_a_price_file_without_the_registry_leaves_it_out() -> None:
    case = Case(CASE.instance, PRICES.model_copy(update={"registry": None}), Terms())
    assert bill("function_heads", 1000, case).records == 0
    assert teaching(case) < teaching(CASE)


def test_memory_is_that_of_the_template() -> None:
    template = (ROOT / "template.yaml").read_text()
    assert f'FACET_HEAD_CACHE: "{ROOM_MB * 1e6:.0f}"' in template
    function = template.partition("\n  TeachFunction:\n")[2].partition("Timeout:")[0]
    assert f"MemorySize: {TEACH_MB}\n" in function


def test_the_page_has_a_thousand_tenants() -> None:
    done = CliRunner().invoke(app, ["cost", "--models", "1000", "--json"])
    (found,) = json.loads(done.stdout)["heads"]
    for name, *cells in table("Heads"):
        if name == "sum":
            name = "dollars"
        key = {"registry, reads": "records", "weights from S3": "weights"}.get(name, name)
        assert cells[:4] == [money(found["bills"][each][key]) for each in TITLES], name
    words = " ".join((ROOT / "docs/cost.md").read_text().split())
    once = teaching(CASE)
    assert f"Teaching each of them once costs {money(1000 * once)} in all, ${once:.4f} for" in words
    assert f"{int(ROOM_MB / KEPT_MB):,} heads" in words
