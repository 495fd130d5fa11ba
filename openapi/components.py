"""JSON Schemas of the models, as they are named in the OpenAPI document's components."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)

from openapi import bodies
from openapi.operations import Bodies, Operation


def components(operations: Iterable[Operation]) -> dict[str, Any]:
    """The schemas of all the models that operations name, and of those within."""
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (bodies.Problem, "serialization"): None,
        (bodies.Refusal, "serialization"): None,
    }
    for operation in operations:
        models |= dict.fromkeys((each, "validation") for each in _models(operation.body))
        models |= dict.fromkeys((each, "serialization") for each in _models(operation.content))
    _, made = models_json_schema(
        list(models), ref_template="#/components/schemas/{model}", schema_generator=_Schemas
    )
    return dict(sorted(made["$defs"].items()))


def _models(bodies: Bodies) -> Iterator[type[BaseModel]]:
    for body in bodies.values():
        if isinstance(body, tuple):
            yield from body
        elif isinstance(body, type):
            yield body


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat names. Answers have all fields but those that are None."""

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
