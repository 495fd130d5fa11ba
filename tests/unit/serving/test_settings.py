"""The container's settings."""

import re
from pathlib import Path

import pytest

from serving.batching import Batching
from serving.settings import from_environment

ROOT = Path(__file__).resolve().parents[3]


def test_defaults() -> None:
    settings = from_environment({})
    assert (settings.port, settings.memory, settings.load_timeout) == (8080, None, 55)
    assert (settings.load_limit, settings.compute_limit) == (120, 55)
    assert settings.batching == Batching(rows=8, wait=0)
    assert (settings.state, settings.weight_cache) == (None, None)


def test_no_bytes_of_packed_weights_are_not_the_default() -> None:
    assert from_environment({"FACET_SERVING_WEIGHT_CACHE": "0"}).weight_cache == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SAGEMAKER_TFS_ENABLE_BATCHING": "false"}, Batching(rows=1)),
        ({"SAGEMAKER_TFS_MAX_BATCH_SIZE": "32"}, Batching(rows=32)),
        ({"SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "500"}, Batching(rows=8, wait=0.0005)),
    ],
)
def test_batching_uses_the_variables_of_the_aws_image(
    environment: dict[str, str], expected: Batching
) -> None:
    assert from_environment(environment).batching == expected


def test_names_the_variable_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="FACET_SERVING_MEMORY must be a whole number, not '2GB'"):
        from_environment({"FACET_SERVING_MEMORY": "2GB"})


def test_every_setting_is_documented() -> None:
    source = (ROOT / "serving" / "settings.py").read_text()
    document = (ROOT / "docs" / "serving.md").read_text()
    names = set(re.findall(r'"((?:SAGEMAKER|FACET)_[A-Z_]+)"', source))
    assert len(names) > 8
    assert {name for name in names if f"`{name}`" not in document} == set()


def test_the_dockerfile_copies_every_module() -> None:
    lines = (ROOT / "serving" / "Dockerfile").read_text().splitlines()
    copied = {
        path
        for line in lines
        if (copy := re.fullmatch(r"COPY (serving\S*/)\*\.py /opt/facet/(\S+)", line))
        and copy[1] == copy[2]
        for path in (ROOT / copy[1]).glob("*.py")
    }
    assert copied == set((ROOT / "serving").rglob("*.py"))
