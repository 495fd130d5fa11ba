"""Records of many models in the registry, written as those of one that was onboarded.

They go into moto's memory directly, because its API would take an hour for 100,000 models. These
functions run in the account's process.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from benchmarks.heads.tenants import Named
from local.moto import ACCOUNT, REGION

OWN = (
    *("uploaded_at", "dropped_at", "updated_at", "newest", "proven_in"),
    *("object_version", "drop", "sequencer", "size"),
)
"""Attributes that differ between two uploads for other reasons than their names: times, and the
size of a compressed file."""

Attributes = Mapping[str, Any]
"""An item as DynamoDB's API has it."""


@dataclass(frozen=True)
class Example:
    """The items that an onboarding wrote, as JSON, and the names in them."""

    items: str
    named: Named

    def of(self, named: Named) -> list[Attributes]:
        """The items of another model."""
        text = self.items
        for old, new in zip(astuple(self.named), astuple(named), strict=True):
            text = text.replace(old, new)
        items: list[Attributes] = json.loads(text)
        return items


def items(table: str, model: str | None = None) -> list[Attributes]:
    """All items, or those of one model."""
    return [
        each.to_json()["Attributes"]
        for each in _table(table).all_items()
        if model in (None, each.hash_key.value)
    ]


def names(item: Attributes, model: str) -> bool:
    """Whether it is about this model, also in the partition of its backbone. The backbone's own
    item changes with each head, but predictions do not look at what changes there.
    """
    return model in json.dumps(item)


def write_like(table: str, example: Example, named: Sequence[Named]) -> None:
    """Writes the items of these models."""
    backend = _table(table)
    for each in named:
        for attributes in example.of(each):
            item = Item(
                DynamoType(attributes[backend.hash_key_attr]),
                DynamoType(attributes[backend.range_key_attr]),
                {},
            )
            made = {name: DynamoType(value) for name, value in attributes.items()}
            dict.update(item.attrs, made)  # its own update computes the item's size each time
            backend.items[item.hash_key][item.range_key] = item


def differences(example: Example, named: Named, real: Sequence[Attributes]) -> list[str]:
    """Names the attributes in which items written like the example's differ from real ones."""
    written, onboarded = (
        {(str(each["model"]), str(each["item"])): each for each in group}
        for group in (example.of(named), real)
    )
    if written.keys() != onboarded.keys():
        return [f"{key}" for key in written.keys() ^ onboarded.keys()]
    return [
        f"{name} of {key}"
        for key, one in written.items()
        for name in one.keys() | onboarded[key].keys()
        if name not in OWN and one.get(name) != onboarded[key].get(name)
    ]


def _table(name: str) -> Any:
    return dynamodb_backends[ACCOUNT][REGION].get_table(name)
