"""Starts a teaching: checks what can be checked at once, records it, and hands the work over."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

import boto3
import orjson
from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import UnknownDataSet, Violation
from facet.registry.heads.backbones import Backbones
from facet.registry.store import Registry
from facet.registry.teachings import State, Teaching, Teachings, utc_now
from facet.settings import settings
from teach.clients import data_sets, registry, table, teachings
from teach.data_sets import DataSets
from teach.kinds import check_name
from teach.requests import TeachRequest

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

NOT_HANDED_OVER = Violation(
    "failed", "teaching", "the function that teaches could not be invoked", "teach again"
)


class Start:
    """Starts teachings in one stack. `hand_over` has the work done for a model and a teaching."""

    def __init__(
        self,
        data_sets: DataSets,
        registry: Registry,
        backbones: Backbones,
        teachings: Teachings,
        hand_over: Callable[[str, str], object],
    ) -> None:
        self._data_sets = data_sets
        self._registry = registry
        self._backbones = backbones
        self._teachings = teachings
        self._hand_over = hand_over

    def start(self, model: str, request: TeachRequest, teaching_id: str) -> Teaching:
        """Starts to teach a model. Raises UnknownDataSet, OtherKind, TeachingRunning, BadRequest,
        and for the backbone UnknownModel, UnknownVersion, NoLiveVersion, NotABackbone.
        """
        dataset = request.dataset or model
        if not self._data_sets.exists(dataset):
            raise UnknownDataSet(dataset)
        check_name(self._registry, model)
        backbone = self._backbones.choose(request.backbone)
        now = utc_now()
        teaching = Teaching(
            model=model,
            id=teaching_id,
            dataset=dataset,
            backbone=backbone.model,
            backbone_version=backbone.id,
            min_accuracy=request.min_accuracy,
            started_at=now,
            updated_at=now,
        )
        self._teachings.start(teaching)
        try:
            self._hand_over(model, teaching_id)
        except (BotoCoreError, ClientError):
            failed = replace(teaching, state=State.FAILED, problems=(NOT_HANDED_OVER,))
            self._teachings.record(failed)
            raise
        return teaching


@cache
def start() -> Start:
    """Starts teachings."""
    hand_over = partial(invoke, boto3.client("lambda"), settings().teach_function)
    return Start(data_sets(), registry(), Backbones(table()), teachings(), hand_over)


def invoke(client: "LambdaClient", function: str, model: str, teaching: str) -> None:
    """Has the function that teaches do the work, without waiting for it."""
    event = orjson.dumps({"model": model, "teaching": teaching})
    client.invoke(FunctionName=function, InvocationType="Event", Payload=event)
