"""AWS's own handler answers as container/aws_answers.py says; runs if FACET_AWS_HANDLER is set.

Its name is that of the folder scripts/docker/tensorflow/inference/sagemaker in a clone of
aws/deep-learning-containers.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.container.aws_answers import ANSWERS, HANDLER, Answer
from tests.support.container.aws_handler import AwsHandler, aws_handler

ROWS = [row for row in ANSWERS if row.source == HANDLER]
SERVED = {
    "invalid": "rejects the input",
    "internal": "fails",
    "exhausted": "has no memory",
    "unavailable": "is busy",
    "overran": "'s limit of 30 seconds is over",
    "hangs": "does not answer",
    "dies": "ends",
}
"""Cases by the behaviour of the stand-in."""

Seen = dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """What the handler answers, by case."""
    with aws_handler(tmp_path_factory.mktemp("aws-handler")) as handler:
        handler.memory(40)
        served = handler.model("served", "answers")
        yield _loads(handler, served) | _predictions(handler) | _full(handler, served)


def _loads(handler: AwsHandler, served: str) -> Seen:
    broken = handler.model("broken", "does not load")
    slow = handler.model("slow", "loads slowly")
    seen = {
        "load: the SavedModel cannot be loaded": handler.load("broken", broken),
        "load: it takes longer than the limit": handler.load("slow", slow),
        "load: no folder with a number": handler.load("empty", "/run/handler/empty"),
    }
    for name, call in (
        ("load: another load holds the lock", lambda: handler.load("served", served)),
        ("invoke: a load holds the lock", lambda: handler.invoke("served")),
    ):
        seen[name] = _while_another_loads(handler, slow, call)
    assert handler.load("served", served)[0] == 200
    assert handler.invoke("served") == (200, '{"predictions": [[1.0]]}')
    seen["load: already loaded"] = handler.load("served", served)
    assert handler.unload("served")[0] == 200
    seen["invoke: not loaded"] = handler.invoke("served")
    handler.memory(75)
    seen["load: it cannot be loaded, memory 75 % used"] = handler.load("broken", broken)
    seen["load: it takes too long, memory 75 % used"] = handler.load("slow", slow)
    return seen


def _while_another_loads(
    handler: AwsHandler, slow: str, call: Callable[[], tuple[int, str]]
) -> tuple[int, str]:
    """The second answer; the lock's wait ends before the slow load does."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(handler.load, "slow", slow)
        answers = [pool.submit(call).result()]
        while first.running() and answers[-1][0] != 500:
            answers.append(pool.submit(call).result())
        assert first.result()[0] == 408
    return answers[-1]


def _predictions(handler: AwsHandler) -> Seen:
    seen = {}
    for behaviour, case in SERVED.items():
        url = handler.model(behaviour, behaviour)
        assert handler.load(behaviour, url)[0] == 200
        separator = "" if case.startswith("'") else " "
        seen[f"invoke: the model server{separator}{case}"] = handler.invoke(behaviour)
        if behaviour == "dies":
            seen["invoke: the model server has ended"] = handler.invoke(behaviour)
        else:
            handler.unload(behaviour)
    return seen


def _full(handler: AwsHandler, served: str) -> Seen:
    for number in range(3):
        assert handler.load(f"served-{number}", served)[0] == 200
    return {"load: no ports are left": handler.load("served-3", served)}


@pytest.mark.parametrize("row", ROWS, ids=[row.case for row in ROWS])
def test_aws_handler_answers_as_recorded(seen: Seen, row: Answer) -> None:
    assert seen[row.case] == (row.status, row.body)


def test_each_answer_of_the_handler_has_a_row(seen: Seen) -> None:
    assert seen.keys() == {row.case for row in ROWS}
