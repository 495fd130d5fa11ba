"""A DynamoDB table in memory that knows the requests of facet's registry, and no others.

About a hundred times as fast as moto's: for tests that make thousands of requests.
"""

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Item = dict[str, Any]
CLAUSE = re.compile(r"(SET|REMOVE|ADD) (.+?)(?= SET | REMOVE | ADD |$)")
TERM = re.compile(r"attribute_(not_)?exists\(([#\w]+)\)|([#\w]+) (=|<>) (:\w+)")
DEFAULT = re.compile(r"if_not_exists\(([#\w]+), (:\w+)\)")


class Failed(ClientError):
    """A condition that does not hold."""

    def __init__(self, code: str) -> None:
        super().__init__({"Error": {"Code": code}}, "Write")


def memory_table() -> "Table":
    """An empty one."""
    return cast("Table", _Table())


class _Table:
    name = "registry"

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        exceptions = SimpleNamespace(ConditionalCheckFailedException=Failed)
        self.meta = SimpleNamespace(
            client=SimpleNamespace(
                exceptions=exceptions, transact_write_items=self._transact_write_items
            )
        )

    def get_item(self, **request: Any) -> dict[str, Any]:
        found = self._items.get(_key(request["Key"]))
        return {"Item": dict(found)} if found else {}

    def query(self, *, KeyConditionExpression: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        """A model's versions, by their keys."""
        assert ConsistentRead
        model, prefix = (
            each.get_expression()["values"][1]
            for each in KeyConditionExpression.get_expression()["values"]
        )
        found = sorted(key for key in self._items if key[0] == model and key[1].startswith(prefix))
        return {"Items": [dict(self._items[key]) for key in found]}

    def put_item(self, **request: Any) -> None:
        self._write("Put", request, "ConditionalCheckFailedException")

    def update_item(self, **request: Any) -> dict[str, Any]:
        self._write("Update", request, "ConditionalCheckFailedException")
        return {"Attributes": dict(self._items[_key(request["Key"])])}

    def _transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        before = {key: dict(item) for key, item in self._items.items()}
        try:
            for (kind, request), *rest in map(list, map(dict.items, TransactItems)):
                assert not rest
                self._write(kind, request, "TransactionCanceledException")
        except Failed:
            self._items = before
            raise

    def _write(self, kind: str, request: Mapping[str, Any], code: str) -> None:
        key = _key(request.get("Key") or request["Item"])
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        item = self._items.get(key, {})
        if not _holds(request.get("ConditionExpression", ""), item, names, values):
            raise Failed(code)
        if kind == "Put":
            self._items[key] = dict(request["Item"])
        elif kind == "Update":
            changed = {"model": key[0], "item": key[1]} | item
            _update(request["UpdateExpression"], changed, names, values)
            self._items[key] = changed


def _key(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["model"], of["item"]


def _holds(condition: str, item: Item, names: Mapping[str, str], values: Item) -> bool:
    def term(text: str) -> bool:
        match = TERM.fullmatch(text)
        assert match, text
        absent, subject, left, sign, right = match.groups()
        if subject:
            return (names.get(subject, subject) in item) != bool(absent)
        name = names.get(left, left)
        return (name in item) and ((item[name] == values[right]) == (sign == "="))

    if " OR " in condition:
        return any(map(term, condition.split(" OR ")))
    return all(map(term, filter(None, condition.split(" AND "))))


def _update(expression: str, item: Item, names: Mapping[str, str], values: Item) -> None:
    old = dict(item)
    for clause, parts in CLAUSE.findall(expression):
        for part in re.split(r", (?![^(]*\))", parts):
            name, _, value = part.partition(" ")
            name, value = names.get(name, name), value.removeprefix("= ")
            if clause == "REMOVE":
                item.pop(name, None)
            elif clause == "ADD":
                item[name] = old.get(name, 0) + values[value]
            elif default := DEFAULT.fullmatch(value):
                item[name] = old.get(names.get(default[1], default[1]), values[default[2]])
            else:
                item[name] = values[value]
