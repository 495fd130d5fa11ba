"""Which models can be taught: new ones, and those whose versions are heads."""

from facet.errors import UnknownModel
from facet.heads.errors import OtherKind
from facet.registry.store import Registry

HEAD = "head"


def check_name(registry: Registry, model: str) -> None:
    """Raises OtherKind if the model has versions that are no heads."""
    try:
        known = registry.model(model)
    except UnknownModel:
        return
    if known.newest is not None and known.kind != HEAD:
        raise OtherKind(model, known.kind)
