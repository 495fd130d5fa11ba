"""Print results on standard output and remarks on standard error."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text


@dataclass(frozen=True)
class Output:
    """Prints text for people, or with `as_json` one JSON document.

    Texts may come from untrusted models and images, so nothing is interpreted as markup.
    """

    as_json: bool = False
    results: Console = field(
        default_factory=lambda: Console(highlight=False, emoji=False, soft_wrap=True)
    )
    remarks: Console = field(
        default_factory=lambda: Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
    )

    def result(self, document: Mapping[str, object], lines: Iterable[str | Text]) -> None:
        """Print the command's result: the document with `as_json`, else the lines."""
        if self.as_json:
            self.results.print(json.dumps(document, indent=2), markup=False)
            return
        for line in lines:
            self.results.print(line, markup=False)

    def remark(self, text: str) -> None:
        """Print something beside the result."""
        self.remarks.print(text, markup=False)


def facts(rows: Mapping[str, str]) -> list[Text]:
    """Format names and values, a line each."""
    width = max(map(len, rows)) + 2
    return [Text.assemble((name.ljust(width), "bold"), value) for name, value in rows.items()]
