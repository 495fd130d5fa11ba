"""What a job leaves to be chosen: the backbone, by the weights that it has or can download, and the
method, by the number of images."""

import json
from collections.abc import Callable
from dataclasses import replace

from facet.effects import ineffective
from facet.recipes import FROM_SCRATCH, Hyperparameters
from training.dataset import Dataset
from training.fitting.workers import Workers
from training.job import Job
from training.networks import BadWeights, pretrained
from training.weights import identify

Download = Callable[[Hyperparameters, None], object]
"""Gets a backbone with Keras's weights. Raises BadWeights."""

DEFAULT = "mobilenet"
SCRATCH = "cnn"

MANY = 150
"""Images of a class, validation images included, from which fine-tuning is worth its time: it was
no better than a head with 122 ants or bees, and better with 171 hand signs (.98 against .95).
Nothing between was measured."""

FEW = "docs/training.md#few-images"


def with_backbone(job: Job, workers: Workers, download: Download = pretrained) -> Job:
    """Replaces the backbone `auto`: by the one whose weights the job has; without any, by one that
    Keras downloads; if that fails, by one from scratch. The first host chooses.

    Raises BadWeights.
    """
    if job.settings.backbone != "auto":
        return job
    own = _available(job, download) if workers.rank == 0 else {}
    chosen = json.loads(workers.all_gather(json.dumps(own).encode())[0])
    only = {"backbone": chosen["backbone"]}
    return replace(job, settings=job.recipe.settings({**chosen, **job.given, **only}))


def with_method(job: Job, data: Dataset) -> Job:
    """Replaces the method `auto`, and warns if a network is trained from few images alone.

    Hyperparameters that are set and that only gradient descent uses ask for it.
    """
    settings = job.settings
    each = (len(data.train) + len(data.validation)) / len(data.labels)
    scratch = settings.backbone in FROM_SCRATCH
    if scratch and each < MANY:
        print(
            f"warning=from-scratch images_per_class={each:.0f} reason=a network that starts from "
            "pretrained weights is far more accurate with few images: on photographs of clothes, "
            "10, 20, 50 of each class, .66 .72 .82 against .24 .36 .46 from scratch. Give "
            f"--weights FILE; see {FEW}",
            flush=True,
        )
    if settings.method != "auto":
        return job
    head = settings.model_copy(update={"method": "head"})
    if scratch:
        method = "gradient"
    elif each < MANY and not any(ineffective(head, job.given)):
        method = "head"
    else:
        method = "fine-tune"
    print(f"method={method} images_per_class={each:.0f}", flush=True)
    return replace(job, settings=settings.model_copy(update={"method": method}))


def _available(job: Job, download: Download) -> dict[str, object]:
    if job.weights:
        return identify(job.weights) or {"backbone": DEFAULT}
    try:
        download(job.recipe.settings({**job.given, "backbone": DEFAULT}), None)
    except BadWeights as error:
        if job.settings.method in ("head", "fine-tune"):
            raise
        print(f"backbone={SCRATCH} reason={error}", flush=True)
        return {"backbone": SCRATCH}
    return {"backbone": DEFAULT}
