"""facet/notifications.py: what became of versions, on the event bus and for people."""

import pytest
from botocore.exceptions import ClientError

from facet.notifications import WORDS, EventPublisher, EventType
from tests.support.fakes import Events, Topic

TOPIC = "arn:aws:sns:eu-central-1:123456789012:news"


def test_a_happening_is_an_event_with_its_detail() -> None:
    events, topic = Events(), Topic()
    EventPublisher(events, topic, "").publish(  # type: ignore[arg-type]
        EventType.READY, "cats", "0123456789ab", proof="golden"
    )
    detail = {"model": "cats", "version": "0123456789ab", "proof": "golden"}
    assert events.told == [("ModelReady", detail)]
    assert topic.published == []


@pytest.mark.parametrize("happening", EventType)
def test_a_topic_hears_it_in_plain_words(happening: EventType) -> None:
    topic = Topic()
    EventPublisher(Events(), topic, TOPIC).publish(  # type: ignore[arg-type]
        happening, "c" * 63, "0123456789ab", violations=["code", "no-manifest"]
    )
    ((subject, message),) = topic.published
    assert (happening in subject, "c" * 63 in subject, len(subject) <= 100) == (True,) * 3
    assert f"Version 0123456789ab of model '{'c' * 63}' {WORDS[happening]}." in message
    assert "violations: code, no-manifest" in message


def test_an_event_that_the_bus_does_not_take_is_an_error() -> None:
    topic = Topic()
    publisher = EventPublisher(Events(error="ThrottlingException"), topic, TOPIC)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match="ThrottlingException"):
        publisher.publish(EventType.READY, "cats", "0123456789ab")
    assert topic.published == []
