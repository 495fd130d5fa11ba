"""IAM's policy language: whether statements allow a request.

From the IAM user guide, "Policy evaluation logic", "Condition operators" and "Set operators for
multi-valued context keys":
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
moto has an evaluator, too (moto.iam.access_control). It knows few operators, and takes a condition
of an Allow that is not met for a Deny.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Request:
    """One action on one resource. `context` has the values of condition keys."""

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def refusal(request: Request, statements: Iterable[Mapping[str, Any]]) -> str | None:
    """Why the request is refused; None if it is allowed. A Deny wins over every Allow."""
    applying = [each for each in statements if applies(each, request)]
    for each in applying:
        if each["Effect"] == "Deny":
            return f"{each.get('Sid', 'a statement')} denies it"
    return None if applying else "nothing allows it"


def applies(statement: Mapping[str, Any], request: Request) -> bool:
    """Whether a statement speaks of this request."""
    return (
        _names(statement, "Action", request.action, ignore_case=True)
        and _names(statement, "Resource", request.resource)
        and statement.get("Principal", "*") == "*"
        and met(statement.get("Condition", {}), request.context)
    )


def met(condition: Mapping[str, Any], context: Mapping[str, Sequence[str]]) -> bool:
    """Whether all operators of a condition hold. Raises KeyError for one that is not known."""
    given = {key.lower(): values for key, values in context.items()}
    return all(
        _holds(operator, given.get(key.lower()), _many(expected))
        for operator, keys in condition.items()
        for key, expected in keys.items()
    )


def _names(
    statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool = False
) -> bool:
    """Whether Action or Resource lists the value, or NotAction or NotResource does not."""
    listed = element in statement
    patterns = _many(statement[element if listed else f"Not{element}"])
    return any(_pattern(each, ignore_case).fullmatch(value) for each in patterns) is listed


def _holds(operator: str, given: Sequence[str] | None, expected: Sequence[str]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (given is None) is (list(expected) == ["true"])
    if name.endswith("IfExists") and given is None:
        return True
    name = name.removesuffix("IfExists")
    compare, negative = COMPARISONS[name.replace("Not", "")], "Not" in name

    def fits(value: str) -> bool:
        return any(compare(value, each) for each in expected) is not negative

    if quantifier == "ForAllValues":
        return all(map(fits, given or ()))
    if quantifier == "ForAnyValue":
        return any(map(fits, given or ()))
    if given is None:
        return negative
    (value,) = given
    return fits(value)


def _equal(value: str, expected: str) -> bool:
    return value == expected


def _like(value: str, expected: str) -> bool:
    return _pattern(expected, ignore_case=False).fullmatch(value) is not None


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _equal,
}
"""The operators that the template uses; `Not` in a name negates it."""


@cache
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:
    """IAM's wildcards: `*` for any characters, `?` for one."""
    assert "${" not in text, "policy variables are not known here"
    regex = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(regex, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _many(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else [*value]
