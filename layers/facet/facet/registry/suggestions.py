"""Which name was meant: a question after an error that names no model or version."""

from collections.abc import Iterable
from difflib import get_close_matches

from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import FacetError, UnknownModel, UnknownVersion
from facet.registry.models import Status
from facet.registry.store import Registry

MIN_PREFIX = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'cats'?`: up to three known names like this one, or that begin with it.

    Empty if there is none.
    """
    names = sorted(set(known))
    longer = [each for each in names if len(name) >= MIN_PREFIX and each.startswith(name)]
    lower = {each.lower(): each for each in names}
    close = [lower[each] for each in get_close_matches(name.lower(), lower)]
    found = list(dict.fromkeys([*close, *longer]))[:3]
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def suggestion(error: FacetError, registry: Registry) -> str:
    """`did_you_mean` for an UnknownModel or UnknownVersion; empty if the registry fails."""
    try:
        match error:
            case UnknownModel():
                return did_you_mean(error.model, registry.neighbours(error.model.lower()))
            case UnknownVersion():
                versions = registry.versions(error.model)
                ready = [each.id for each in versions if each.status is Status.READY]
                return did_you_mean(error.version, ready)
    except (BotoCoreError, ClientError):
        pass
    return ""
