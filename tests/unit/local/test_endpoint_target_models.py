"""Which target models may be unloaded."""

import asyncio
from contextlib import ExitStack

from local.endpoint.target_models import UNLOAD_SHARE, TargetModels

GENERATION = 7


def loaded(count: int) -> TargetModels:
    models = TargetModels(lambda: GENERATION)
    for number in range(count):
        with models.use(str(number), f"model-{number}") as model:
            models.set_loaded(model, GENERATION)
    return models


def unused(models: TargetModels) -> list[str]:
    return [model.target for model in models.least_recently_used()]


def test_unloads_the_least_recently_used_and_several_of_many() -> None:
    models = loaded(3)
    assert unused(models) == ["model-0"]
    with models.use("0", "model-0"):
        assert unused(models) == ["model-1"]
    assert unused(models) == ["model-1"]
    assert models.loaded() == ["model-1", "model-2", "model-0"]
    assert unused(loaded(3 * UNLOAD_SHARE)) == ["model-0", "model-1", "model-2"]


def test_unloads_no_model_in_use() -> None:
    models = loaded(2)
    with ExitStack() as requests:
        for number in (0, 1):
            requests.enter_context(models.use(str(number), f"model-{number}"))
        assert unused(models) == []
        with models.use("new", "new") as new:
            assert models.others_may_make_room(new)


def test_a_load_that_waits_for_room_makes_no_room_for_another() -> None:
    async def scenario() -> None:
        models = TargetModels(lambda: GENERATION)
        with models.use("a", "a") as model, models.use("b", "b") as other:
            assert not models.others_may_make_room(model)
            other.loading = asyncio.create_task(asyncio.sleep(0))
            assert models.others_may_make_room(model)
            other.waits_for_room = True
            assert not models.others_may_make_room(model)
            await other.loading

    asyncio.run(scenario())


def test_forgets_what_an_earlier_container_had_loaded() -> None:
    now = [GENERATION]
    models = TargetModels(lambda: now[0])
    for number in range(3):
        with models.use(str(number), f"model-{number}") as model:
            models.set_loaded(model, GENERATION)
    now[0] += 1
    assert models.loaded() == []
    with models.use("1", "model-1") as model:
        models.set_loaded(model, now[0])
    assert models.loaded() == ["model-1"]
    now[0] = GENERATION
    assert models.loaded() == [], "the other models are gone"
