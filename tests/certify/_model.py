"""What a case and a leg are made of; README.md explains the words. Data with any other word is refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ._words import CREDENTIALS, ERRORS, NEEDS, VERBS

__all__ = ["DEVICE", "Case", "CaseFile", "Device", "Fields", "Leg", "Role", "Sdk", "Step"]

Fields: TypeAlias = dict[str, Any]
"""What a line of the driver protocol holds, or a part of it."""
Role: TypeAlias = Literal["device", "service", "registry"]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$")]
Sentence: TypeAlias = Annotated[str, Field(min_length=5, pattern=r"\S$")]

DEVICE: Final = "device"
"""The device that a step is about where it names none."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Data):
    """One thing that one side does, and what has to come of it."""

    by: Literal["device", "service", "registry", "hub"]
    do: str
    device: str = DEVICE
    devices: tuple[str, ...] = ()
    client: str | None = None
    credential: Word = Field(default="key", alias="with")
    message: Fields = Field(default_factory=dict)
    identity: Fields = Field(default_factory=dict)
    count: int = Field(default=0, ge=0, le=50)
    seconds: int = Field(default=0, ge=0, le=300)
    save_as: str | None = Field(default=None, alias="as")
    of: str | None = None
    renew: bool = False
    reconnect: bool = True
    expect: Fields | int | None = None
    error: str | None = None

    @model_validator(mode="after")
    def _is_of_the_vocabulary(self) -> Self:
        verb = VERBS.get((self.by, self.do))
        if verb is None:
            raise ValueError(f"{self.by} does not {self.do!r}")
        aliases = {name: field.alias or name for name, field in type(self).model_fields.items()}
        given = {aliases[name] for name in self.model_fields_set} - {"by", "do"}
        if missing := verb.must - given:
            raise ValueError(f"{self.do!r} needs {sorted(missing)}")
        if strange := given - verb.must - verb.may:
            raise ValueError(f"{self.do!r} knows no {sorted(strange)}")
        if "with" in given and self.credential not in CREDENTIALS[self.by]:
            raise ValueError(f"a {self.by} does not connect with {self.credential!r}")
        if self.error is not None and self.error not in ERRORS:
            raise ValueError(f"there is no error {self.error!r}")
        return self


class Device(_Data):
    """A device that the hub has when the case begins."""

    id: str = ""
    """What is put behind the case's id to make the device's."""
    sign_in: Literal["key", "thumbprint", "authority"] = "key"
    enabled: bool = True
    exists: bool = True


class Case(_Data):
    """A story, and whom it certifies: the clients under test take one role in turn, the reference takes the others."""

    id: Word
    says: Sentence
    source: Sentence
    certifies: tuple[Role, ...] = Field(min_length=1)
    needs: tuple[str, ...] = ()
    devices: dict[str, Device] = Field(default_factory=lambda: {DEVICE: Device()})
    steps: tuple[Step, ...] = Field(min_length=1)
    checked_on_a_real_hub: str = "never"

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if unknown := set(self.needs) - set(NEEDS):
            raise ValueError(f"{self.id}: there is nothing called {sorted(unknown)} to need")
        if strange := {name for step in self.steps for name in (step.device, *step.devices)} - set(self.devices):
            raise ValueError(f"{self.id}: there is no device {sorted(strange)}")
        if idle := set(self.certifies) - {step.by for step in self.steps}:
            raise ValueError(f"{self.id}: {sorted(idle)} does nothing in it")
        if lost := {step.of for step in self.steps} - {step.save_as for step in self.steps} - {None}:
            raise ValueError(f"{self.id}: nothing is received as {sorted(map(str, lost))}")
        refused = {step.by for step in self.steps if step.error is not None}
        if refused and refused != set(self.certifies):
            raise ValueError(f"{self.id}: only the side under test can be refused, for each SDK has its own errors")
        return self


class CaseFile(_Data):
    """The cases of one area."""

    area: Sentence
    cases: tuple[Case, ...]


class Sdk(_Data):
    """One SDK in one role, over transports of which the same holds: its driver, and what it says that it does not do."""

    sdk: str
    short: str
    """What heads its columns, before the transport."""
    role: Role
    transports: tuple[str, ...] = Field(min_length=1)
    driver: str
    """The program: a file of ``drivers/`` for Node, or a module of it."""
    reference: bool = False
    """Whether it is c2dkit's own, which needs no foreign package and is on no page."""
    completes_by_itself: bool = False
    lacks: dict[str, Sentence] = Field(default_factory=dict)
    """Why a case does not apply, by what it needs."""
    refuses: dict[str, str] = Field(default_factory=dict)
    """The error that the SDK gives where it has the call and not the thing, by what a case needs."""
    hides: tuple[str, ...] = ()
    """Fields that the SDK does not hand out."""
    errors: dict[str, tuple[str, ...] | None] = Field(default_factory=dict)
    """The SDK's names for an error; None where it says nothing."""

    @model_validator(mode="after")
    def _speaks_of_known_things(self) -> Self:
        if unknown := (set(self.lacks) | set(self.refuses)) - set(NEEDS):
            raise ValueError(f"{self.sdk}: there is nothing called {sorted(unknown)} to lack")
        if unknown := (set(self.errors) | set(self.refuses.values())) - set(ERRORS):
            raise ValueError(f"{self.sdk}: there is no error {sorted(unknown)}")
        return self


class Leg(NamedTuple):
    """One SDK in one role over one transport."""

    about: Sdk
    transport: str

    @property
    def role(self) -> Role:
        """Which side of a case it takes."""
        return self.about.role

    @property
    def name(self) -> str:
        """Tells it from every other leg."""
        return f"{self.about.sdk} {self.role} {self.transport}"
