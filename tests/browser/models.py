"""Models in each state that the gallery shows."""

from dataclasses import replace

from facet.registry.models import Canary, Mode, Model, Place, Policy, Status, Version
from tests.browser.site import Site
from tests.support.versions import NOW, VIOLATION, pending, ready, rejected

LABELS = [f"class {number}" for number in range(30)]
GREY = {"tensor": "image", "height": 28, "width": 28, "channels": 1, "fit": "pad"}


def live(name: str, *, metrics: dict[str, float] | None = None) -> tuple[Model, Version]:
    """A model with one live version."""
    version = replace(
        pending(1, name, metrics=metrics or {}),
        status=Status.READY,
        proof="golden",
        proven_in={Place.FUNCTION: NOW, Place.ENDPOINT: NOW},
        litert_size=9,
        function_seconds=0.01,
    )
    return Model(name, live=version.id), version


def fill(site: Site) -> None:
    """Adds one model in each state."""
    site.add(*live("cifar", metrics={"test_accuracy": 0.8334, "test_loss": 0.9}))
    site.add(Model("refused"), rejected(1, "refused"))
    site.add(Model("arriving"), pending(1, "arriving"))

    waits = replace(
        pending(1, "waiting"), postponed_at=NOW, not_proven={Place.FUNCTION: (VIOLATION,)}
    )
    site.add(Model("waiting"), waits)

    site.add(Model("held-back"), ready(1, "held-back"))
    site.add(Model("gone"), replace(ready(1, "gone"), status=Status.RETIRED))

    before, after = ready(1, "tried-out"), ready(2, "tried-out")
    canary = Canary(after.id, 10, 100, candidate_good=37, candidate_bad=1)
    policy = Policy(Mode.CANARY, 10, 100)
    site.add(Model("tried-out", live=before.id, policy=policy, canary=canary), after, before)

    kept = pending(1, "wide", labels=LABELS, input=GREY)
    kept = replace(kept, status=Status.READY, proof="smoke", size=4_600_000)
    site.add(Model("wide", live=kept.id), rejected(2, "wide"), kept)
