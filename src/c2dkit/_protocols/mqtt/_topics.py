"""Topic names and topic filters (MQTT 3.1.1, 4.7)."""

from __future__ import annotations

__all__ = ["check_filter", "check_topic", "matches"]


def check_topic(topic: str) -> None:
    """Raise ValueError unless ``topic`` can name what is published."""
    if not topic:
        raise ValueError("a topic has at least one character (MQTT-4.7.3-1)")
    if "+" in topic or "#" in topic:
        raise ValueError("a topic to publish on has no wildcard (MQTT-3.3.2-2)")
    if "\0" in topic:
        raise ValueError("a topic has no U+0000 (MQTT-4.7.3-2)")


def check_filter(topic_filter: str) -> None:
    """Raise ValueError unless ``topic_filter`` can be subscribed to."""
    if not topic_filter:
        raise ValueError("a topic filter has at least one character (MQTT-4.7.3-1)")
    if "\0" in topic_filter:
        raise ValueError("a topic filter has no U+0000 (MQTT-4.7.3-2)")
    levels = topic_filter.split("/")
    if any(len(level) > 1 and ("#" in level or "+" in level) for level in levels):
        raise ValueError("a wildcard is alone in its level (MQTT-4.7.1-2, MQTT-4.7.1-3)")
    if "#" in levels[:-1]:
        raise ValueError("# comes last in a topic filter (MQTT-4.7.1-2)")


def matches(topic_filter: str, topic: str) -> bool:
    """Say whether a valid filter selects a topic."""
    # MQTT-4.7.2-1: a filter that starts with a wildcard does not match topics that begin with $.
    if topic.startswith("$") and topic_filter.startswith(("#", "+")):
        return False
    levels = topic.split("/")
    wanted = topic_filter.split("/")
    for index, level in enumerate(wanted):
        if level == "#":  # 4.7.1.2: it stands for the parent too, so "a/#" matches "a"
            return True
        if index == len(levels) or level not in ("+", levels[index]):
            return False
    return len(levels) == len(wanted)
