"""The runner of each place, made from the function's settings."""

from functools import cache

from facet.places import endpoint, function
from facet.places.choice import Runner
from facet.registry.models import Place
from facet.settings import settings


@cache
def runner(place: Place, timeout: float) -> Runner:
    """The endpoint or the function, through a client that times out after so many seconds."""
    if place is Place.FUNCTION:
        return function.Function(function.client(timeout), settings().infer_function, timeout)
    return endpoint.Endpoint(endpoint.client(timeout), settings().endpoint)
