"""The CloudWatch metrics that the template's alarms and dashboard query."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local import template

STACK = template.load(Path(__file__).parents[3] / "template.yaml")
ALARMS = {
    name: STACK.resources[name]["Properties"] for name in STACK.of_type("AWS::CloudWatch::Alarm")
}
SEARCH = re.compile(
    r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\" service=\"([^\"]+)\"', '(\w+)', \d+\)"
)
"""A SEARCH expression of CloudWatch's metric math."""


class MetricQuery(NamedTuple):
    """One metric. `dimensions` has values, or None if searched; `by` is the alarm or widget."""

    by: str
    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str | None]


def resolved(value: Any) -> Any:
    """A template's value with every reference replaced by the name it refers to."""
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w.:]+)\}", r"\1", text)
    return {name: resolved(each) for name, each in value.items()}


def dashboard() -> dict[str, Any]:
    """The dashboard's body, parsed."""
    (name,) = STACK.of_type("AWS::CloudWatch::Dashboard")
    body: dict[str, Any] = json.loads(
        resolved(STACK.resources[name]["Properties"]["DashboardBody"])
    )
    return body


def of_alarms() -> Iterator[MetricQuery]:
    """The metrics of all alarms."""
    for name, alarm in ALARMS.items():
        for each in alarm.get("Metrics", [alarm]):
            if "Expression" in each:
                continue
            stat = each.get("MetricStat", {})
            metric = stat.get("Metric", each)
            pairs = resolved(metric["Dimensions"])
            kind = stat.get("Stat") or each.get("Statistic") or each["ExtendedStatistic"]
            dimensions = {pair["Name"]: pair["Value"] for pair in pairs}
            yield MetricQuery(name, metric["Namespace"], metric["MetricName"], kind, dimensions)


def of_widgets() -> Iterator[MetricQuery]:
    """The metrics of the dashboard, including those that it searches for."""
    for widget in dashboard()["widgets"]:
        properties = widget["properties"]
        for row in properties.get("metrics", []):
            options = row[-1] if isinstance(row[-1], dict) else {}
            if "expression" in options:
                yield from _searched(properties["title"], options["expression"])
                continue
            namespace, name, *pairs = [each for each in row if isinstance(each, str)]
            dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
            stat = options.get("stat") or properties["stat"]
            yield MetricQuery(properties["title"], namespace, name, stat, dimensions)


def _searched(title: str, expression: str) -> Iterator[MetricQuery]:
    for schema, name, service, stat in SEARCH.findall(expression):
        namespace, *dimensions = schema.split(",")
        known = dict.fromkeys(dimensions) | {"service": service}
        yield MetricQuery(title, namespace, name, stat, known)
