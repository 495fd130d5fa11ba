"""Which requests are computed together, and that each gets its own answer or error."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np

from serving.batching import Batching, BatchQueue, Results, predict_batch
from serving.errors import BadInput, InferenceFailed, Overran
from serving.metrics import Metrics
from serving.rest.request import Request
from serving.runtimes.runtime import Array, Signature, TensorSpec
from serving.workers import Workers
from tests.support.processes.waiting import LONG

ROW = TensorSpec(np.dtype("int64"), (None, 2))
ANY = TensorSpec(np.dtype("int64"), (None, None))


class Sums:
    """Answers the sum of each row. `calls` has the rows of every call."""

    kind = "litert"
    mapped = 40
    parallel = 1

    def __init__(self, *, batchable: bool = True) -> None:
        self.signatures: Mapping[str, Signature] = {
            "serving_default": Signature({"x": ROW}, batchable),
            "any": Signature({"x": ANY}, batchable),
            "total": Signature({"x": ROW}, batchable),
        }
        self.calls: list[int] = []
        self.threads: list[int] = []
        self.work = 0.0  # seconds of computing
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        values = inputs["x"]
        self.calls.append(len(values))
        self.threads.append(threading.get_ident())
        until = time.thread_time() + self.work
        while time.thread_time() < until:
            pass
        assert self.gate.wait(LONG)
        if (values == 13).any():
            raise InferenceFailed("LiteRT: thirteen")
        return {"sum": np.array(values.sum(axis=None if signature == "total" else 1))}

    def cancel(self) -> None: ...

    def close(self) -> None: ...


def body(*rows: list[int], form: str = "instances", signature: str = "serving_default") -> Request:
    return Request(json.dumps({"signature_name": signature, form: rows}).encode())


def read(results: Results) -> list[Any]:
    return [json.loads(each) if isinstance(each, bytes) else each for each in results]


def test_requests_of_one_form_are_one_call() -> None:
    model = Sums()
    requests = [body([1, 2]), body([3, 4], [5, 6]), body([7, 8], form="inputs")]
    assert read(predict_batch(model, requests, 8)) == [
        {"predictions": [3]},
        {"predictions": [7, 11]},
        {"outputs": [15]},
    ]
    assert model.calls == [4]


def test_no_call_has_more_rows_than_allowed_unless_one_request_has() -> None:
    model = Sums()
    predict_batch(model, [body([1, 1], [1, 1]), body([1, 1]), body([1, 1]), body(*[[1, 1]] * 5)], 3)
    assert model.calls == [3, 1, 5]


def test_a_signature_that_is_not_batchable_has_one_call_per_request() -> None:
    model = Sums(batchable=False)
    assert read(predict_batch(model, [body([1, 2]), body([3, 4])], 8)) == [
        {"predictions": [3]},
        {"predictions": [7]},
    ]
    assert model.calls == [1, 1]


def test_different_signatures_or_shapes_are_different_calls() -> None:
    model = Sums()
    requests = [body([1, 2]), body([1, 2], signature="any"), body([1, 2, 3], signature="any")]
    assert read(predict_batch(model, requests, 8)) == [
        {"predictions": [3]},
        {"predictions": [3]},
        {"predictions": [6]},
    ]
    assert model.calls == [1, 1, 1]


def test_an_error_fails_only_its_own_request() -> None:
    model = Sums()
    good, bad, broken = read(predict_batch(model, [body([1, 2]), Request(b"{}"), body([13, 0])], 8))
    assert good == {"predictions": [3]}
    assert isinstance(bad, BadInput)
    assert isinstance(broken, InferenceFailed)
    assert model.calls == [2, 1, 1]


def test_requests_are_computed_alone_if_an_output_is_not_one_value_per_row() -> None:
    model = Sums()
    requests = [body([1, 2], form="inputs", signature="total")] * 2
    assert read(predict_batch(model, requests, 8)) == [{"outputs": 3}] * 2
    assert model.calls == [2, 1, 1]


async def _flood(
    model: Sums, batching: Batching, first: int, later: int, metrics: Metrics | None = None
) -> list[bytes]:
    """`first` requests, then `later` ones while the model computes."""
    with closing(Workers(4)) as workers:
        queue = BatchQueue(model, workers, batching, formed=(metrics or Metrics()).batched)
        model.gate.clear()
        requests = [asyncio.create_task(queue.predict(body([1, n]))) for n in range(first)]
        while not model.calls:
            await asyncio.sleep(0.001)
        requests += [asyncio.create_task(queue.predict(body([1, n]))) for n in range(later)]
        await asyncio.sleep(0.01)
        model.gate.set()
        return await asyncio.wait_for(asyncio.gather(*requests), LONG)


def test_requests_that_arrive_during_a_computation_are_the_next_batch() -> None:
    model, metrics = Sums(), Metrics()
    results = asyncio.run(_flood(model, Batching(rows=4), first=1, later=6, metrics=metrics))
    assert [json.loads(each) for each in results] == [
        {"predictions": [1 + n]} for n in (0, 0, 1, 2, 3, 4, 5)
    ]
    assert model.calls == [1, 4, 2]
    text = asyncio.run(metrics.text()).decode()
    assert "facet_batch_requests_count 3.0\nfacet_batch_requests_sum 7.0\n" in text


def test_batches_of_one_row_are_one_call_per_request() -> None:
    model = Sums()
    asyncio.run(_flood(model, Batching(rows=1), first=1, later=3))
    assert model.calls == [1, 1, 1, 1]


def test_with_a_wait_requests_to_a_free_model_are_one_batch() -> None:
    model = Sums()
    asyncio.run(_flood(model, Batching(rows=8, wait=0.02), first=3, later=0))
    assert model.calls == [3]


def test_a_full_batch_does_not_wait() -> None:
    model = Sums()
    asyncio.run(_flood(model, Batching(rows=2, wait=60), first=2, later=2))
    assert model.calls == [2, 2]


def test_a_cancelled_request_leaves_the_rest_of_its_batch_alone() -> None:
    model = Sums()

    async def scenario() -> None:
        with closing(Workers(1)) as workers:
            queue = BatchQueue(model, workers, Batching(rows=4))
            model.gate.clear()
            requests = [asyncio.create_task(queue.predict(body([1, n]))) for n in range(3)]
            await asyncio.sleep(0.01)
            requests[1].cancel()
            model.gate.set()
            assert json.loads(await requests[2]) == {"predictions": [3]}

    asyncio.run(asyncio.wait_for(scenario(), LONG))


def test_all_requests_of_a_stopped_model_are_answered_at_once() -> None:
    model = Sums()

    async def scenario() -> None:
        with closing(Workers(1)) as workers:
            queue = BatchQueue(model, workers, Batching(rows=2))
            model.gate.clear()
            requests = [asyncio.create_task(queue.predict(body([1, n]))) for n in range(3)]
            while not model.calls:
                await asyncio.sleep(0.001)
            queue.fail(Overran("never ends"))
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert [str(each) for each in results] == ["never ends"] * 3
            drained = asyncio.create_task(queue.drain())
            await asyncio.sleep(0.01)
            assert not drained.done(), "the thread still computes"
            model.gate.set()
            await drained

    asyncio.run(asyncio.wait_for(scenario(), LONG))
    assert model.calls == [2], "the other one is not computed"


async def _ask(model: Sums, *, steady: bool, work: list[float]) -> list[bool]:
    """Whether each request was computed on the event loop; the model works so long for each."""
    with closing(Workers(1)) as workers:
        queue = BatchQueue(model, workers, Batching(rows=4), is_steady=lambda: steady)
        for model.work in work:
            await queue.predict(body([1, 2]))
    return [thread == threading.get_ident() for thread in model.threads]


def test_a_model_that_was_quick_is_computed_on_the_event_loop() -> None:
    on_loop = asyncio.run(_ask(Sums(), steady=True, work=[0.0] * 4))
    assert on_loop[:2] == [False, False], "how long they take is not known"
    assert on_loop[-1] is True


def test_a_model_whose_time_depends_on_the_input_never_holds_the_event_loop() -> None:
    assert asyncio.run(_ask(Sums(), steady=False, work=[0.0] * 4)) == [False] * 4


def test_a_model_that_becomes_slow_leaves_the_event_loop_until_it_is_quick_again() -> None:
    slow = asyncio.run(_ask(Sums(), steady=True, work=[0.0, 0.0, 0.0, 0.01, 0.0, 0.0]))
    assert slow[2:4] == [True, True]
    assert slow[4:] == [False, False]
    again = asyncio.run(_ask(Sums(), steady=True, work=[0.01, *[0.0] * 80]))
    assert again[1] is False
    assert again[-1] is True


def test_many_rows_of_a_quick_model_are_computed_in_a_thread() -> None:
    model = Sums()

    async def scenario() -> None:
        with closing(Workers(1)) as workers:
            queue = BatchQueue(model, workers, Batching(rows=4), is_steady=lambda: True)
            for _ in range(3):
                await queue.predict(body([1, 2]))
            await queue.predict(body(*[[1, 2]] * 5000))

    asyncio.run(scenario())
    assert model.threads[-2] == threading.get_ident()
    assert model.threads[-1] != threading.get_ident()


def test_a_request_whose_client_has_left_is_not_computed() -> None:
    model = Sums()

    async def scenario() -> None:
        with closing(Workers(1)) as workers:
            queue = BatchQueue(model, workers, Batching(rows=4, wait=0.02))
            left = asyncio.create_task(queue.predict(body([1, 2])))
            await asyncio.sleep(0)
            left.cancel()
            await queue.drain()
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert model.calls == [], "its model may be closed by then"


def test_requests_that_arrive_together_are_one_batch() -> None:
    model = Sums()

    async def scenario() -> list[bytes]:
        with closing(Workers(1)) as workers:
            queue = BatchQueue(model, workers, Batching(rows=4))
            return await asyncio.gather(*(queue.predict(body([1, n])) for n in range(3)))

    assert [json.loads(each) for each in asyncio.run(scenario())] == [
        {"predictions": [1 + n]} for n in range(3)
    ]
    assert model.calls == [3]
