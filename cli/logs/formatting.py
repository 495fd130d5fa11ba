"""Format log lines as text and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.text import Text

from cli.logs.line import LAMBDA, PREFIX, Level, Line
from cli.terminal.formatting import printable

STYLES = {
    Level.DEBUG: "dim",
    Level.INFO: "",
    Level.WARNING: "yellow",
    Level.ERROR: "red",
    Level.CRITICAL: "bold red",
}
KNOWN = ("level", "location", "message", "service", "timestamp", "xray_trace_id")
"""Powertools' fields that are printed elsewhere in the line, or not at all."""

METRICS = "_aws"
"""The field that marks a line of metrics (CloudWatch's embedded metric format)."""

TRACE = ("exception", "stack_trace")


def document(line: Line) -> str:
    """Format as one line of JSON: the log's own fields, or the text as `message`."""
    fields: Mapping[str, Any] = {"message": line.text} if line.fields is None else line.fields
    time = {"time": line.moment.isoformat(timespec="milliseconds")} if line.timed else {}
    return json.dumps({"source": line.source, **time, **fields})


def readable(line: Line, width: int) -> Iterator[Text]:
    """Format as text, with a traceback on further lines.

    `width` is the length of the longest source's name, 0 to omit the source.
    """
    head = Text(_moment(line), "dim")
    source = f"{line.source:{width}}  " if width else ""
    first, *rest = _text_lines(line)
    quiet = LAMBDA.match(line.text) or (line.fields is not None and METRICS in line.fields)
    style = "dim" if quiet else STYLES[line.level]
    yield Text.assemble(head, (source, "cyan"), (f"{line.level:8}  ", style), (first, style))
    yield from (Text(f"    {each}", style) for each in rest)


def _moment(line: Line) -> str:
    if not line.timed:
        return ""
    return f"{line.moment:%Y-%m-%d %H:%M:%S}.{line.moment.microsecond // 1000:03}  "


def _text_lines(line: Line) -> list[str]:
    if line.fields is None:
        known = PREFIX.match(line.text)
        text = line.text[known.end() :] if known else line.text
        return [printable(each) for each in text.expandtabs(4).splitlines()] or [""]
    traces = (str(line.fields[name]) for name in TRACE if isinstance(line.fields.get(name), str))
    below = [printable(each) for trace in traces for each in trace.splitlines()]
    return [printable(" ".join(_in_line(line.fields))), *below]


def _in_line(fields: Mapping[str, Any]) -> Iterable[str]:
    if METRICS in fields:
        yield "metrics"
    elif "message" in fields:
        yield str(fields["message"])
    for name, value in fields.items():
        if name not in (*KNOWN, *TRACE, METRICS):
            yield f"{name}={_value(value)}"


def _value(value: object) -> str:
    match value:
        case [float(number)] | float(number):
            return f"{number:.5g}"
        case str(text):
            return text
        case _:
            return json.dumps(value)
