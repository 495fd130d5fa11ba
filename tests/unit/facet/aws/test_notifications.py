"""facet/aws/notifications.py: events about versions, on the event bus and by SNS."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from facet.aws.notifications import SENTENCES, EventPublisher, EventType
from facet.registry.models import Version
from facet.registry.placement import Placement
from tests.support import versions
from tests.support.aws.fakes import Events, Topic

TOPIC = "arn:aws:sns:eu-central-1:123456789012:news"
READY = versions.ready(1, "cats")
REJECTED = versions.rejected(2, "cats")
OF = {"model": "cats", "version": READY.id}


def publisher(events: Events, topic: Topic, arn: str = "") -> EventPublisher:
    return EventPublisher(events, topic, arn)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("publish", "expected"),
    [
        (
            lambda to: to.ready(READY, Placement.CANDIDATE),
            [
                (
                    "ModelReady",
                    OF | {"proof": "smoke", "proven_in": ["endpoint"], "placement": "candidate"},
                )
            ],
        ),
        (
            lambda to: to.ready(READY, Placement.LIVE),
            [
                (
                    "ModelReady",
                    OF | {"proof": "smoke", "proven_in": ["endpoint"], "placement": "live"},
                ),
                ("ModelPromoted", OF | {"by": "onboarding"}),
            ],
        ),
        (
            lambda to: to.rejected(REJECTED),
            [
                (
                    "ModelRejected",
                    {
                        "model": "cats",
                        "version": REJECTED.id,
                        "violations": ["no-manifest"],
                        "report": f"rejected/cats/{REJECTED.id}.json",
                    },
                )
            ],
        ),
        (
            lambda to: to.promoted("cats", READY.id, by="command", previous=None),
            [("ModelPromoted", OF | {"by": "command", "previous": None})],
        ),
        (
            lambda to: to.rolled_back("cats", READY.id, by="canary", live="a", live_bad=1),
            [("ModelRolledBack", OF | {"by": "canary", "live": "a", "live_bad": 1})],
        ),
        (
            lambda to: to.retired("cats", READY.id, reason="more than 5 versions"),
            [("ModelRetired", OF | {"reason": "more than 5 versions"})],
        ),
    ],
)
def test_events_have_the_documented_fields(
    publish: Callable[[EventPublisher], None], expected: list[tuple[str, dict[str, object]]]
) -> None:
    events, topic = Events(), Topic()
    publish(publisher(events, topic))
    assert events.told == expected
    assert topic.published == []


@pytest.mark.parametrize(
    ("event_type", "publish"),
    [
        (EventType.READY, lambda to, of: to.ready(of, Placement.READY)),
        (EventType.REJECTED, lambda to, of: to.rejected(of)),
        (EventType.PROMOTED, lambda to, of: to.promoted(of.model, of.id, by="command")),
        (EventType.ROLLED_BACK, lambda to, of: to.rolled_back(of.model, of.id, by="x", live="y")),
        (EventType.RETIRED, lambda to, of: to.retired(of.model, of.id, by="command")),
    ],
)
def test_the_topic_gets_a_sentence_and_the_fields(
    event_type: EventType, publish: Callable[[EventPublisher, Version], None]
) -> None:
    topic, version = Topic(), versions.rejected(1, "c" * 63)
    publish(publisher(Events(), topic, TOPIC), version)
    ((subject, message),) = topic.published
    assert (event_type in subject, "c" * 63 in subject, len(subject) <= 100) == (True,) * 3
    sentence, *fields = message.split("\n")
    assert sentence == f"Version {version.id} of model '{'c' * 63}' {SENTENCES[event_type]}."
    assert all(": " in line for line in fields)


def test_lists_are_joined_in_the_message_to_the_topic() -> None:
    topic = Topic()
    twice = replace(REJECTED, violations=REJECTED.violations * 2)
    publisher(Events(), topic, TOPIC).rejected(twice)
    assert "violations: no-manifest, no-manifest" in topic.published[0][1]


def test_an_event_that_the_bus_does_not_accept_is_an_error() -> None:
    topic = Topic()
    to = publisher(Events(error="ThrottlingException"), topic, TOPIC)
    with pytest.raises(ClientError, match="ThrottlingException"):
        to.rejected(REJECTED)
    assert topic.published == []
