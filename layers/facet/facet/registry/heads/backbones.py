"""The backbones of a stack, among all of its models."""

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key

from facet.errors import BadRequest
from facet.heads.errors import NotABackbone
from facet.keys import MODEL_NAME, VERSION_ID
from facet.registry.models import MODEL_ITEM, Version
from facet.registry.store import Registry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

PAGES = 10
"""Pages of DynamoDB that are looked through: about 30,000 models."""

SOME = 5
"""Backbones that a message names."""

SHOWN = 100
"""Characters of a client's text in a message."""


class Backbones:
    """Finds backbones. Raises botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def names(self) -> list[str]:
        """The names of the backbones with a live version, by name.

        Models are looked through one by one, by name, up to PAGES of DynamoDB's pages of 1 MB.
        """
        query: dict[str, Any] = {
            "IndexName": "models",
            "KeyConditionExpression": Key("kind").eq(MODEL_ITEM),
            "FilterExpression": Attr("artifact_kind").eq("backbone") & Attr("live").exists(),
        }
        names: list[str] = []
        for _ in range(PAGES):
            page = self._table.query(**query)
            names += [str(item["model"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return names

    def choose(self, text: str | None) -> Version:
        """The version of `NAME` or `NAME@VERSION`; without a text, of the only backbone.

        Raises BadRequest, UnknownModel, UnknownVersion, NoLiveVersion, NotABackbone.
        """
        if text is None:
            names = self.names()
            if len(names) != 1:
                if not names:
                    raise BadRequest("There is no backbone; `facet pack --backbone` makes one.")
                more = " …" if len(names) > SOME else ""
                raise BadRequest(
                    f"There are several backbones, so the option backbone must name one: "
                    f"{', '.join(names[:SOME])}{more}."
                )
            (text,) = names
        name, version = _parsed(text)
        registry = Registry(self._table)
        found = registry.ready(name, version) if version else registry.live(name)
        if found.kind != "backbone":
            raise NotABackbone(name)
        return found


def _parsed(text: str) -> tuple[str, str | None]:
    """The model and the version in `NAME` or `NAME@VERSION`. Raises BadRequest."""
    name, at, version = text.partition("@")
    if not MODEL_NAME.fullmatch(name) or (at and not VERSION_ID.fullmatch(version)):
        raise BadRequest(
            f"backbone must be NAME or NAME@VERSION, not '{text[:SHOWN]}'; a version has 12 hex "
            "digits."
        )
    return name, version or None
