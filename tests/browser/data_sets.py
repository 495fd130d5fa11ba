"""Invented data sets and teachings: the routes of the API, kept in memory."""

import io
import json
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from facet.registry.models import Model, Version
from tests.support.versions import pending, proven

if TYPE_CHECKING:
    from tests.browser.site import Site

STEPS = ("reading", "features", "fitting", "publishing")
STARTED = "2026-01-15T00:00:00.000+00:00"
BACKBONE = {"model": "backbone", "version": "0123456789ab"}

Found = tuple[int, Any]
"""A status, and a JSON document or bytes."""


@dataclass
class DataSets:
    """`images` by data set, label and name. A teaching needs a request for each step.

    S3 refuses the next `refuse_uploads` forms; a teaching that `is_held` stays at its step; the API
    refuses the next one with the detail `refuse_teaching`.
    """

    images: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    teachings: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=lambda: {"status": "PUBLISHED"})
    refuse_uploads: int = 0
    refuse_teaching: str = ""
    is_held: bool = False

    def handle(self, method: str, path: str, body: bytes, url: str) -> Found | None:
        """The response to a request, or None for a route that is not of data sets or teaching."""
        address = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        match address.path.split("/"):
            case ["", "datasets", name, *rest]:
                sent = json.loads(body or b"null")
                self.asked.append((method, path, sent))
                return self._data_set(method, name, rest, query, sent, url)
            case ["", "models", name, "teach"]:
                sent = json.loads(body or b"null")
                self.asked.append((method, path, sent))
                return self._teach(method, name, sent)
        return None

    def upload(self, content_type: str, body: bytes) -> int:
        """S3's status for a form."""
        if self.refuse_uploads:
            self.refuse_uploads -= 1
            return 403
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        parts = message_from_bytes(head + body, policy=policy.HTTP).iter_parts()
        fields: dict[Any, Any] = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in parts
        }
        _, name, _, label, file = fields["key"].decode().split("/")
        self.images.setdefault(name, {}).setdefault(label, {})[file] = fields["file"]
        return 204

    def _data_set(
        self, method: str, name: str, rest: list[str], query: dict[str, str], sent: Any, url: str
    ) -> Found:
        labels = self.images.setdefault(name, {})
        match method, rest:
            case "GET", []:
                at = int(query.get("after", 0))
                shown = [*labels.items()][at : at + 1]  # one label a page
                return 200, {
                    "dataset": name,
                    "images": sum(len(of) for _, of in shown),
                    "labels": [{"label": each, "images": len(of)} for each, of in shown],
                    "next": str(at + 1) if at + 1 < len(labels) else None,
                }
            case "GET", ["images"]:
                listed = [
                    {"name": each, "size": len(content)}
                    for each, content in labels[query["label"]].items()
                    if each > query.get("after", "")
                ]
                following = listed[1]["name"] if len(listed) > 2 else None  # two a page
                return 200, {"images": listed[:2], "next": following}
            case "GET", ["image"]:
                return 200, labels[query["label"]][query["name"]]
            case "POST", ["images"]:
                forms = [
                    {
                        "name": each["name"],
                        "url": url,
                        "fields": {"key": f"datasets/{name}/train/{sent['label']}/{each['name']}"},
                    }
                    for each in sent["images"]
                ]
                return 201, {"uploads": forms}
            case "DELETE", ["images"]:
                names = sent.get("names") or list(labels[sent["label"]])
                for each in names:
                    del labels[sent["label"]][each]
                if not labels[sent["label"]]:
                    del labels[sent["label"]]
                return 200, {"dataset": name, "deleted": len(names)}
            case "PATCH", []:
                old, new = sent["rename"]["from"], sent["rename"]["to"]
                labels.setdefault(new, {}).update(labels.pop(old))
                return 200, {"dataset": name, "moved": len(labels[new])}
        raise LookupError(f"{method} {rest}")

    def _teach(self, method: str, name: str, sent: Any) -> Found:
        if method == "GET" and name not in self.teachings:
            return 404, None
        if method == "POST" and self.refuse_teaching:
            detail, self.refuse_teaching = self.refuse_teaching, ""
            return 400, {"type": "urn:facet:problem:bad-request", "detail": detail}
        if method == "POST":
            self.teachings[name] = begun(name, sent)
            return 202, self.teachings[name]
        found = self.teachings[name]
        if found["status"] == "RUNNING" and not self.is_held:
            following = STEPS[STEPS.index(found["step"]) + 1 :]
            if following:
                found.update(step=following[0], done=3, total=6)
            else:
                found.update({"step": "done", "version": f"{1:012x}"} | self.outcome)
        return 200, found


def begun(name: str, sent: dict[str, Any]) -> dict[str, Any]:
    """The API's response to a request to teach."""
    return {
        "model": name,
        "teaching": "t-1",
        "status": "RUNNING",
        "step": STEPS[0],
        "done": 0,
        "total": 0,
        "dataset": sent.get("dataset", name),
        "backbone": BACKBONE,
        "started_at": STARTED,
        "version": None,
        "problems": [],
        "report": None,
    }


def picture(number: int) -> bytes:
    """A PNG unlike that of any other number."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (40 * number % 256, 90, number)).save(file, "PNG")
    return file.getvalue()


def taught(name: str, *labels: str) -> tuple[Model, Version]:
    """A model with one live version of a head."""
    version = proven(pending(1, name, labels=list(labels)))
    return Model(name, live=version.id, kind="head"), version


def report(**changes: Any) -> dict[str, Any]:
    """The report of a teaching in which one image went wrong."""
    usual = {
        "images": 6,
        "accuracy": 0.8333,
        "accuracy_low": 0.4365,
        "accuracy_high": 0.9699,
        "calibration_error": {"before": 0.21, "after": 0.08},
        "temperature": 1.3,
        "labels": [
            {"label": "cat", "images": 3, "correct": 2},
            {"label": "dog", "images": 3, "correct": 3},
        ],
        "confused": [{"label": "cat", "as": "dog", "images": 1}],
        "more_images": ["cat", "dog"],
        "mistakes": [{"label": "cat", "name": "1.png", "answered": "dog", "score": 0.71}],
        "skipped": [{"image": "cat/torn.jpg", "problem": "the file is cut short"}],
        "duplicates": [["dog/1.png", "dog/2.png"]],
    }
    return usual | changes


def fill_data_set(site: "Site") -> None:
    """Adds a head, `pets`, that was taught with three images of each of two labels."""
    site.add(*taught("pets", "cat", "dog"))
    site.data_sets.images["pets"] = {
        label: {f"{each}.png": picture(each) for each in numbers}
        for label, numbers in (("cat", range(3)), ("dog", range(3, 6)))
    }


def taught_with_report(site: "Site") -> None:
    """As `fill_data_set`, with the report of its teaching."""
    fill_data_set(site)
    teaching = begun("pets", {})
    teaching.update(status="PUBLISHED", step="done", version=f"{1:012x}", report=report())
    site.data_sets.teachings["pets"] = teaching
