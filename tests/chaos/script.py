"""What goes wrong, and when, as a seed says.

``C2DKIT_CHAOS_SEEDS`` is how many scripts each pair of transports gets, 2 by default, and ``C2DKIT_CHAOS_SEED`` the
first seed, 0 by default. The name of a test that fails ends with its seed; to repeat it, as far as the machine does:
``C2DKIT_CHAOS_SEED=17 C2DKIT_CHAOS_SEEDS=1 pytest tests/chaos -k amqp-mqtt``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from c2dkit.hub import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from tests.accounts.ledger import Ledger

SEEDS: Final = int(os.environ.get("C2DKIT_CHAOS_SEEDS", "2"))
FIRST_SEED: Final = int(os.environ.get("C2DKIT_CHAOS_SEED", "0"))
STEPS: Final = 8
MOST_ANSWERS: Final = 40
"""How many answers the hub may give before the next thing goes wrong."""


class Kill(StrEnum):
    """What does not survive."""

    HUB = "kill hub"
    DEVICE = "kill device"


Deed: TypeAlias = "Fault | Kill"


@dataclass(frozen=True)
class Step:
    """One thing that goes wrong, after so many answers of the hub and then some seconds."""

    answers: int
    seconds: float
    deed: Deed

    def __str__(self) -> str:
        return f"after {self.answers} answers and {self.seconds:.3f} s {self.deed}"

    @property
    def kind(self) -> str:
        if not isinstance(self.deed, Fault):
            return self.deed
        return f"{self.deed.kind} until found" if self.has_to_be_found else self.deed.kind

    @property
    def has_to_be_found(self) -> bool:
        """Whether it leaves links dead that only their clients can find, to go on over others."""
        return isinstance(self.deed, Fault) and self.deed.kind is FaultKind.HALF_OPEN and self.deed.duration is None


async def wait_for(step: Step, ledger: Ledger) -> None:
    """Wait for a step's time, but not for answers that the steps before it keep from coming."""
    with anyio.move_on_after(1):
        await ledger.until(step.answers)
    await anyio.sleep(step.seconds)


def seeds(*, of: int = 1) -> Sequence[int]:
    """Return the seeds of this run, or the first half of them and so on."""
    return range(FIRST_SEED, FIRST_SEED - (-SEEDS // of))


def faults(random: Random, device_id: str, *, dead_links: bool) -> list[Step]:
    """Return a script of faults, one of which may leave links dead until their clients find it."""
    steps = [_step(random, _fault(random, device_id)) for _ in range(STEPS - 2)]
    if dead_links:
        steps[random.randrange(len(steps))] = _step(random, _dead_links(random, device_id))
    position = random.randint(0, len(steps))
    steps[position:position] = _lost_answers(random)
    return steps


def faults_and_kills(random: Random, device_id: str) -> list[Step]:
    """Return a script of faults in which the hub and the device are killed twice each."""
    kills: list[Deed] = [Kill.HUB, Kill.HUB, Kill.DEVICE, Kill.DEVICE]
    steps = [_step(random, kill) for kill in kills]
    steps += [_step(random, _fault(random, device_id)) for _ in range(STEPS - len(kills))]
    random.shuffle(steps)
    return steps


def most_duplicates(script: Sequence[Step]) -> int:
    """Return how many messages a script may duplicate."""
    deeds = [step.deed for step in script if isinstance(step.deed, Fault)]
    return sum(deed.limit or 0 for deed in deeds if deed.kind is FaultKind.DUPLICATE)


def _lost_answers(random: Random) -> list[Step]:
    """Have the hub do what it is asked to, and everybody lose the answers."""
    late = Fault(FaultKind.DELAY, by=timedelta(seconds=0.2), duration=timedelta(seconds=0.3))
    cut = Step(0, random.uniform(0.02, 0.1), Fault(FaultKind.RESET))
    return [Step(random.randrange(MOST_ANSWERS), 0, late), cut]


def _dead_links(random: Random, device_id: str) -> Fault:
    # One time: the links that there are, and not those that are made in their place.
    return Fault(FaultKind.HALF_OPEN, device=random.choice((None, device_id)), times=1)


def _step(random: Random, deed: Deed) -> Step:
    # Half of them come while the one before still goes on.
    answers = random.choice((0, random.randrange(MOST_ANSWERS)))
    return Step(answers, random.uniform(0, 0.04), deed)


def _fault(random: Random, device_id: str) -> Fault:
    kind = random.choice(tuple(_FAULTS))
    return _FAULTS[kind](random, kind, random.choice((None, device_id)))


def _once(_: Random, kind: FaultKind, device: str | None) -> Fault:
    return Fault(kind, device=device)


def _sometimes(random: Random, kind: FaultKind, device: str | None) -> Fault:
    return Fault(kind, device=device, times=random.randint(1, 4))


def _for_a_while(random: Random, kind: FaultKind, device: str | None) -> Fault:
    return Fault(kind, device=device, duration=_moment(random))


def _late(random: Random, kind: FaultKind, device: str | None) -> Fault:
    return Fault(kind, device=device, duration=_moment(random), by=_moment(random) / 4)


def _moment(random: Random) -> timedelta:
    return timedelta(milliseconds=random.randint(20, 300))


_FAULTS: Final[Mapping[FaultKind, Callable[[Random, FaultKind, str | None], Fault]]] = {
    FaultKind.DROP: _once,
    FaultKind.RESET: _once,
    FaultKind.CLOSE: _once,
    FaultKind.DETACH: _once,
    FaultKind.END_SESSION: _once,
    FaultKind.REFUSE: _sometimes,
    FaultKind.QUOTA: _sometimes,
    FaultKind.DUPLICATE: _sometimes,
    FaultKind.HALF_OPEN: _for_a_while,
    FaultKind.THROTTLE: _for_a_while,
    FaultKind.REJECT_TOKEN: _for_a_while,
    FaultKind.DELAY: _late,
}
"""All of them."""
