"""Classifiers of tests, whose versions run where these have them run."""

from facet.image.decoding import MAX_PIXELS
from facet.places.choice import Choice, Runners
from facet.registry.models import RunIn
from predict.classification.classifier import Classifier
from predict.classification.network import Networks


def classifier(runners: Runners) -> Classifier:
    """A classifier."""
    choice = Choice(RunIn.ENDPOINT)
    return Classifier(Networks(choice), choice, runners, 25, MAX_PIXELS)
