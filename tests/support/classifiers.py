"""Classifiers of tests, whose versions run where these have them run."""

from typing import Any, cast

from facet.image.decoding import MAX_PIXELS
from facet.places.choice import Choice, Runners
from facet.registry.models import RunIn
from predict.classification.classifier import Classifier
from predict.classification.network import Networks


def classifier(runners: Runners, versions: object = None, weights: object = None) -> Classifier:
    """A classifier. `versions` and `weights` find what heads need."""
    choice = Choice(RunIn.ENDPOINT)
    networks = Networks(choice, cast("Any", versions), cast("Any", weights))
    return Classifier(networks, choice, runners, 25, MAX_PIXELS)
