import hashlib
import io
from collections import Counter

import pytest

from facet.artifact import archive, validation
from tests.support.inputs.hostile import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_gets_exactly_its_violations(case: Case) -> None:
    data = case.made()
    found = archive.read(io.BytesIO(data))
    violations = validation.run(found)[1]
    assert {each.code for each in violations} == case.codes
    assert all(each.place or "name of nothing" in case.name for each in violations)
    assert all(each.problem and each.remedy for each in violations)
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_the_corpus_is_large_and_without_duplicates() -> None:
    assert len(CASES) >= 60
    assert Counter(case.name for case in CASES).most_common(1)[0][1] == 1
