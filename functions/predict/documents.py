"""The bodies of the API's answers, before they are JSON."""

from dataclasses import asdict

from facet.registry.models import Model, Version
from predict.classify import Classified


def predictions(answer: Classified, many: bool, top_k: int) -> dict[str, object]:
    """The body of a prediction's answer: `predictions` of one picture, or `results` of many."""
    results = [[asdict(each) for each in ranked] for ranked in answer.ranked(top_k)]
    head: dict[str, object] = {"model": answer.version.model, "version": answer.version.id}
    if many:
        return head | {"results": [{"predictions": each} for each in results]}
    return head | {"predictions": results[0]}


def listed(model: Model) -> dict[str, object]:
    """A model in the body of GET /models."""
    return {"name": model.name, **_alias(model)}


def described(model: Model, versions: list[Version]) -> dict[str, object]:
    """The body of GET /models/{model}."""
    live = next((each for each in versions if each.id == model.live), None)
    manifest = live.manifest.model_dump(mode="json") if live and live.manifest else {}
    return {
        "model": model.name,
        **_alias(model),
        "description": manifest.get("description"),
        "labels": manifest.get("labels"),
        "input": manifest.get("input"),
        "versions": [_summary(each) for each in versions],
    }


def _alias(model: Model) -> dict[str, object]:
    return {
        "live": model.live,
        "previous": model.previous,
        "policy": asdict(model.policy),
        "canary": asdict(model.canary) if model.canary else None,
        "rolled_back": model.rolled_back,
        "updated_at": model.updated_at,
    }


def _summary(version: Version) -> dict[str, object]:
    return {
        "version": version.id,
        "status": version.status,
        "size": version.size,
        "dropped_at": version.dropped_at,
        "updated_at": version.updated_at,
        "proof": version.proof,
        "metrics": version.manifest.metrics if version.manifest else {},
        "violations": [asdict(each) for each in version.violations],
    }
