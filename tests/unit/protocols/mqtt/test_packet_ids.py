from __future__ import annotations

import pytest

from c2dkit._protocols.mqtt._packet_ids import PacketIds

PUBACK, SUBACK = 0x40, 0x90


def test_ids_are_counted_and_skip_those_in_use() -> None:
    ids = PacketIds(3)
    for expected in (1, 2):
        assert ids.unused() == expected
        ids.expect(expected, PUBACK)
    assert ids.release(1, PUBACK) == 1
    ids.expect(65_535, PUBACK)
    assert ids.unused() == 1
    ids.expect(1, PUBACK)
    ids.release(65_535, PUBACK)
    assert ids.unused() == 3


def test_the_search_for_an_id_goes_round() -> None:
    ids = PacketIds(4)
    for taken in (1, 2, 65_535, 65_534):
        ids.expect(taken, PUBACK)
    ids.release(2, PUBACK)
    assert ids.unused() == 2


def test_an_id_is_taken_by_expect_only() -> None:
    ids = PacketIds(1)
    assert ids.unused() == ids.unused() == 1


def test_no_more_than_the_limit_are_in_use() -> None:
    ids = PacketIds(1)
    ids.expect(ids.unused(), PUBACK)
    with pytest.raises(RuntimeError, match="1 packets are not acknowledged"):
        ids.unused()


def test_only_the_expected_answer_frees_an_id() -> None:
    ids = PacketIds(5)
    ids.expect(7, SUBACK, 2)
    assert ids.release(7, PUBACK) is None
    assert ids.release(8, SUBACK) is None
    assert ids.release(7, SUBACK) == 2
    assert ids.release(7, SUBACK) is None
