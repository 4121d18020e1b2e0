"""``c2dkit demo`` as a user runs it: a process of its own, judged by its exit status and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import anyio
import pytest

from c2dkit import ConnectError, FeedbackRecord, FeedbackStatus
from c2dkit.cli.demo import DeviceTransportName, play, what_went_wrong

STEPS = """\
     hub  local, in this process, no cloud: listening on localhost:{port}, AMQP and MQTT over TLS
  device  dev-1 connected over {transport}, waiting for messages
back end  sent Reboot(delay_s=5) as 'My Message ID', acknowledgment full: queued by the hub
  device  received 'My Message ID': Reboot(delay_s=5) (the bytes are b'{{"delay_s":5}}')
  device  completed it
back end  waiting for the delivery acknowledgment
back end  feedback: message 'My Message ID' to dev-1: Success

What to try next:
"""


@pytest.mark.parametrize(("arguments", "transport"), [((), "AMQP"), (("--transport", "mqtt"), "MQTT")])
def test_the_story_ends_well(arguments: tuple[str, ...], transport: str) -> None:
    command = [sys.executable, "-c", "from c2dkit.cli import main; main()", "demo", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert result.stderr == ""
    port = result.stdout.partition("localhost:")[2].partition(",")[0]
    assert port.isdigit()
    assert result.stdout.startswith(STEPS.format(port=port, transport=transport))
    assert result.returncode == 0


def test_a_failure_is_one_line_and_exit_status_1() -> None:
    no_files = 'ulimit -f 0 && exec "$0" -c "from c2dkit.cli import main; main()" demo'
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it writes a file
    command = ["bash", "-c", no_files, sys.executable]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert result.stderr.startswith("c2dkit demo failed: FileNotFoundError: ")
    assert result.stderr.count("\n") == 1
    assert result.returncode == 1


@pytest.mark.parametrize("transport", list(DeviceTransportName))
async def test_play_returns_the_record_of_its_message(transport: DeviceTransportName) -> None:
    said: list[str] = []
    with anyio.fail_after(20):
        record = await play(transport, lambda who, _what: said.append(who))
    assert (record.original_message_id, record.status) == ("My Message ID", FeedbackStatus.SUCCESS)
    assert said == ["hub", "device", "back end", "device", "device", "back end", "back end"]


def record(status: FeedbackStatus) -> FeedbackRecord:
    return FeedbackRecord(
        original_message_id="My Message ID",
        device_id="dev-1",
        device_generation_id="1",
        status=status,
        description="",
        enqueued_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("status", [status for status in FeedbackStatus if status is not FeedbackStatus.SUCCESS])
def test_only_success_is_success(status: FeedbackStatus) -> None:
    async def story() -> FeedbackRecord:
        return record(status)

    assert what_went_wrong(story) == f"the feedback says {status}, not Success"


def test_success_is_nothing_wrong() -> None:
    async def story() -> FeedbackRecord:
        return record(FeedbackStatus.SUCCESS)

    assert what_went_wrong(story) is None


def test_an_error_is_told_by_its_name() -> None:
    async def story() -> FeedbackRecord:
        raise ConnectError("nobody there")

    assert what_went_wrong(story) == "ConnectError: nobody there"


def test_a_story_that_never_ends_is_ended() -> None:
    async def story() -> FeedbackRecord:
        await anyio.sleep_forever()
        raise AssertionError

    assert what_went_wrong(story, timeout_seconds=0.01) == "the story did not end within 0.01 s"
