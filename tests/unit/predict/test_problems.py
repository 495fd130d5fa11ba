import json
import re
from pathlib import Path
from typing import Any

import pytest

from facet import errors
from facet.errors import FacetError, NoLiveVersion, UnknownModel, Violation
from facet.heads import errors as heads
from facet.http import problems
from predict.http import responses

VIOLATION = Violation("no-manifest", "facet.json", "there is none", "add one")


def subclasses(base: type[FacetError] = FacetError) -> set[type[FacetError]]:
    below = set(base.__subclasses__())
    return below.union(*map(subclasses, below))


def document(error: FacetError) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        str(responses.problem(problems.problem_of(error), str(error), "id-1", error).body)
    )
    return found


def test_every_error_has_a_row_and_every_row_has_an_error() -> None:
    modules = {errors.__name__, heads.__name__}
    declared = {kind for kind in subclasses() if kind.__module__ in modules}
    assert declared == set(problems.TABLE)


def test_the_api_page_has_a_section_for_every_problem_and_no_other() -> None:
    rows = {*problems.TABLE.values(), problems.NO_ROUTE, problems.BUG}
    page = (Path(__file__).parents[3] / "docs/api.md").read_text()
    _, _, errors_of_page = page.partition("\n## Errors\n")
    sections = re.findall(r"^### (\S+)\n\n(\d+)\. ", errors_of_page, re.MULTILINE)
    assert sorted(sections) == sorted((row.name, str(row.status)) for row in rows)


def test_problem_names_are_distinct_lower_case_words() -> None:
    names = [row.name for row in {*problems.TABLE.values(), problems.NO_ROUTE, problems.BUG}]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalpha() and name.islower() for name in names)


@pytest.mark.parametrize("row", dict.fromkeys(problems.TABLE.values()), ids=lambda row: row.name)
def test_retryable_problems_have_a_retry_after(row: problems.Problem) -> None:
    assert (row.retry_after is not None) == (row.status in (429, 503))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequest, 400),
        (errors.UnknownModel, 404),
        (errors.UnknownVersion, 404),
        (errors.NoLiveVersion, 409),
        (errors.WaitsForEndpoint, 503),
        (heads.NotAClassifier, 409),
        (errors.NothingToRollBack, 409),
        (errors.RegistryConflict, 409),
        (errors.VersionInUse, 409),
        (errors.BodyTooLarge, 413),
        (errors.UnsupportedImage, 415),
        (errors.BrokenImage, 422),
        (errors.EndpointThrottled, 429),
        (errors.ModelFailed, 502),
        (errors.ModelLoading, 503),
        (errors.EndpointUnavailable, 503),
    ],
)
def test_http_statuses_of_errors(error: type[FacetError], status: int) -> None:
    assert problems.TABLE[error].status == status


def test_a_subclass_has_the_row_of_its_base_class() -> None:
    class SpecialCase(UnknownModel):
        pass

    assert problems.problem_of(SpecialCase("x")).name == "unknown-model"


def test_the_problem_document() -> None:
    assert document(UnknownModel("cifar")) == {
        "type": "urn:facet:problem:unknown-model",
        "title": "Model not found",
        "status": 404,
        "detail": str(UnknownModel("cifar")),
        "request_id": "id-1",
    }


@pytest.mark.parametrize("violations", [(), (VIOLATION,)])
def test_no_live_version_includes_the_violations(violations: tuple[Violation, ...]) -> None:
    found = document(NoLiveVersion("cifar", violations))
    assert [Violation(**each) for each in found["violations"]] == list(violations)
    assert ("was rejected" in found["detail"]) == bool(violations)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NoLiveVersion("cifar"), "still being validated"),
        (NoLiveVersion("cifar", pending=False), "upload an artifact to mme/cifar.tar.gz"),
        (NoLiveVersion("cifar", (VIOLATION,), proven="0a1b"), "facet promote cifar 0a1b"),
    ],
)
def test_no_live_version_says_what_to_do(error: NoLiveVersion, advice: str) -> None:
    assert advice in document(error)["detail"]


def test_the_response_is_a_problem_document_with_retry_after() -> None:
    row = problems.Problem("busy", 503, "Busy", retry_after=7)
    answer = responses.problem(row, "later", "id-1")
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
