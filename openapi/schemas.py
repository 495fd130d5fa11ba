"""JSON Schemas of the request and response models: `components/schemas` of the document."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)

from openapi import models
from openapi.operations import Content, Operation


def schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """Returns the schemas of all models that the operations use, directly or nested, by name."""
    used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (models.Problem, "serialization"): None,
        (models.GatewayError, "serialization"): None,
    }
    for operation in operations:
        used |= dict.fromkeys((each, "validation") for each in _models(operation.request))
        used |= dict.fromkeys((each, "serialization") for each in _models(operation.response))
    _, generated = models_json_schema(
        list(used), ref_template="#/components/schemas/{model}", schema_generator=_Generator
    )
    return dict(sorted(generated["$defs"].items()))


def _models(content: Content) -> Iterator[type[BaseModel]]:
    for body in content.values():
        if isinstance(body, tuple):
            yield from body
        elif isinstance(body, type):
            yield body


class _Generator(GenerateJsonSchema):
    """Omits titles that repeat names. A response requires each field whose default is not None."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_is_required(self, field: Any, total: bool) -> bool:
        if self.mode == "serialization":
            return bool(field["schema"].get("default", ...) is not None)
        return super().field_is_required(field, total)
