"""docs/manifest.md documents every field with its default, and shows a valid manifest."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from facet.manifest import BackboneManifest, BackboneRef, HeadManifest, Manifest, parse
from facet.specs import FeatureSpec, GoldenFeatures, GoldenSample, InputSpec, MapSpec, OutputSpec

TEXT = (Path(__file__).parents[3] / "docs/manifest.md").read_text()
SECTIONS = re.split(r"^##? .+$", TEXT, flags=re.MULTILINE)[1:]
PARTS = dict(
    zip(
        (
            *(Manifest, InputSpec, OutputSpec, GoldenSample),
            *(BackboneManifest, FeatureSpec, MapSpec, GoldenFeatures),
            *(HeadManifest, BackboneRef),
        ),
        SECTIONS,
        strict=True,
    )
)
EMPTY: dict[str, object] = {"mean": 0, "std": 1, "fill": None}
"""What an empty default stands for."""


def written(default: object) -> str:
    """A default as the page writes it."""
    match default:
        case None:
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case str():
            return f"`{default}`" if default else '`""`'
        case bool():
            return f"`{str(default).lower()}`"
        case int() | float():
            return f"{default:g}"
    return f"`{default}`"


def rows(text: str) -> dict[str, str]:
    """The default of each field in the table."""
    found: dict[str, str] = {}
    for fields, default in re.findall(r"^\| (`.+?`) \| (.+?) \|", text, re.MULTILINE):
        names = re.findall(r"`(\w+)`", fields)
        defaults = default.split(", ") if default.count(", ") else [default] * len(names)
        found |= dict(zip(names, defaults, strict=True))
    return found


@pytest.mark.parametrize("part", PARTS, ids=lambda each: each.__name__)
def test_every_field_is_in_the_table_with_its_default(part: type[BaseModel]) -> None:
    documented = rows(PARTS[part])
    if part is BackboneManifest:
        documented = rows(PARTS[Manifest]) | documented
        del documented["labels"]
    if part is HeadManifest:
        documented = rows(PARTS[Manifest]) | documented
        del documented["output"]
    fields = {field.alias or name: field for name, field in part.model_fields.items()}
    assert sorted(documented) == sorted(fields)
    for name, field in fields.items():
        default = EMPTY.get(name, field.get_default(call_default_factory=True))
        assert documented[name] == ("required" if field.is_required() else written(default))


def test_the_manifests_that_it_shows_are_valid() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert [parse(block).kind for block in blocks] == ["classifier", "backbone", "head"]
    assert all(parse(block).golden for block in blocks)
