"""Which model is refused, when the container keeps ending."""

import asyncio
from dataclasses import dataclass, field

import pytest

from local.endpoint.container import ContainerLost
from local.endpoint.errors import ModelError
from local.endpoint.suspects import REFUSED, REMEMBERED, Suspects


@dataclass
class Container:
    """One that ends whenever it is asked for the guilty model; every call in it then sees so."""

    suspects: Suspects
    generation: int = 1
    together: int = 0
    most: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    guilty: str = "guilty"

    async def ask(self, target: str) -> None:
        async with self.suspects.call(target, self.generation, "loading"):
            generation, ended = self.generation, self.ended
            self.together += 1
            self.most = max(self.most, self.together)
            await asyncio.sleep(0.01)
            self.together -= 1
            if target == self.guilty and not ended.is_set():
                ended.set()
                self.generation, self.ended = generation + 1, asyncio.Event()
            if ended.is_set():
                raise ContainerLost
        self.suspects.acquit(target)

    async def outcome(self, target: str) -> str:
        try:
            await self.ask(target)
        except ContainerLost:
            return "lost"
        except ModelError as error:
            return str(error)
        return "answered"

    async def outcomes(self, *targets: str) -> list[str]:
        return list(await asyncio.gather(*map(self.outcome, targets)))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_only_the_guilty_model_is_refused() -> None:
    async def scenario() -> None:
        container = Container(Suspects())
        innocent = [f"innocent-{number}" for number in range(10)]
        assert await container.outcomes("guilty", *innocent) == ["lost"] * 11
        container.most = 0
        assert await container.outcomes("guilty", *innocent) == ["lost", *["answered"] * 10]
        assert container.most == 1, "suspects are asked alone"
        assert container.generation == 3
        refusal = await container.outcome("guilty")
        assert refusal == (
            "model guilty is refused for 60 seconds: the container ended 2 times while loading it"
        )
        assert await container.outcomes(*innocent) == ["answered"] * 10
        assert container.most > 1, "those that were acquitted are not"
        assert container.generation == 3, "the guilty one was not asked again"

    asyncio.run(scenario())


def test_many_requests_under_one_end_are_one_end() -> None:
    async def scenario() -> None:
        container = Container(Suspects())
        assert await container.outcomes(*["guilty"] * 5) == ["lost"] * 5
        outcomes = await container.outcomes(*["guilty"] * 5)
        assert outcomes[0] == "lost"
        assert all("ended 2 times" in outcome for outcome in outcomes[1:])
        assert container.generation == 3

    asyncio.run(scenario())


def test_a_refused_model_gets_another_chance_and_is_acquitted_by_an_answer() -> None:
    async def scenario() -> None:
        clock = Clock()
        container = Container(Suspects(clock))
        for _ in range(2):
            assert await container.outcome("guilty") == "lost"
        clock.now += REFUSED - 1
        assert "refused for 1 seconds" in await container.outcome("guilty")
        clock.now += 1
        assert await container.outcome("guilty") == "lost"
        assert "refused for 60 seconds" in await container.outcome("guilty")
        clock.now += REFUSED
        container.guilty = "nobody"
        assert await container.outcome("guilty") == "answered"
        container.guilty = "guilty"
        assert await container.outcome("guilty") == "lost"
        assert await container.outcome("guilty") == "lost", "one end is no refusal"

    asyncio.run(scenario())


def test_an_end_is_forgotten() -> None:
    async def scenario() -> None:
        clock = Clock()
        container = Container(Suspects(clock))
        for _ in range(3):
            assert await container.outcome("guilty") == "lost"
            clock.now += REMEMBERED

    asyncio.run(scenario())


def test_others_do_not_wait_for_ever_for_one_that_is_alone() -> None:
    async def scenario() -> None:
        suspects = Suspects(patience=0.01)
        with pytest.raises(ContainerLost):
            async with suspects.call("slow", 1, "loading"):
                raise ContainerLost
        async with (
            suspects.call("slow", 2, "loading"),
            asyncio.timeout(30),
            suspects.call("other", 2, "loading"),
        ):
            pass
        async with (
            suspects.call("other", 2, "loading"),
            asyncio.timeout(30),
            suspects.call("slow", 2, "loading"),
        ):
            pass

    asyncio.run(scenario())
