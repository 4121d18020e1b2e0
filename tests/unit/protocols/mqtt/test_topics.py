from __future__ import annotations

import pytest

from c2dkit._protocols.mqtt._topics import check_filter, check_topic, matches


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("#", "a/b"),
        ("a/#", "a"),
        ("a/#", "a/b/c"),
        ("a/+", "a/b"),
        ("a/+", "a/"),
        ("+/+", "/b"),
        ("/+", "/b"),
        ("a/+/c", "a/b/c"),
        ("$iothub/twin/res/#", "$iothub/twin/res/200/?$rid=1"),
        ("devices/d/messages/devicebound/#", "devices/d/messages/devicebound/%24.mid=1"),
    ],
)
def test_a_filter_matches(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic)


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("a", "A"),
        ("a", "a/"),
        ("a/+", "a"),
        ("a/+", "a/b/c"),
        ("+", "/b"),
        ("a/b", "a"),
        ("b/#", "a/b"),
        ("#", "$iothub/x"),
        ("+/x", "$iothub/x"),
    ],
)
def test_a_filter_does_not_match(topic_filter: str, topic: str) -> None:
    assert not matches(topic_filter, topic)


@pytest.mark.parametrize("topic", ["a", "/", "a//b", "$x", " ", "é"])
def test_a_topic_is_accepted(topic: str) -> None:
    check_topic(topic)
    check_filter(topic)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0"])
def test_a_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="MQTT-"):
        check_topic(topic)


@pytest.mark.parametrize("topic_filter", ["#", "+", "+/+", "a/#", "/#", "+/a/#"])
def test_a_filter_is_accepted(topic_filter: str) -> None:
    check_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a\0", "a#", "#/a", "a/#/b", "a+", "+a/b", "##", "a/b#"])
def test_a_filter_is_refused(topic_filter: str) -> None:
    with pytest.raises(ValueError, match="MQTT-"):
        check_filter(topic_filter)
