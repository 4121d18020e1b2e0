"""Takes the steps of one case."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ._credentials import device_credential, service_credential
from ._expect import CaseError, body_of, check_fields, shown
from ._peers import ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from ._hub_side import HubSide
    from ._model import Case, Fields, Leg, Role, Step
    from ._peers import Peer

__all__ = ["Story"]

BODY_FIELDS: Final = ("text", "base64", "size")
LAST: Final = ""
RENEWAL: Final = {"token_seconds": 125, "renewal_margin_seconds": 120}
"""A token that is renewed after 5 s; azure-iot-device takes no other margin than 120 s."""


class Story:
    """One case on one leg: who takes part, how long a step may take, and what the devices hold."""

    def __init__(self, case: Case, leg: Leg, hub: HubSide, peers: Mapping[Role, Peer], seconds: float) -> None:
        self._case = case
        self._leg = leg
        self._hub = hub
        self._peers = peers
        self._seconds = seconds
        self._started = hub.hub.clock.now().replace(microsecond=0)
        self._held: dict[str, int] = {}
        self._takers: Mapping[str, Callable[[Step], Awaitable[None]]] = {
            "receive": self._receive,
            "receive_all": self._receive_all,
            "complete": self._settle,
            "abandon": self._settle,
            "reject": self._settle,
            "send_all": self._send_all,
        }

    async def tell(self) -> str | None:
        """Take every step; returns the error by which the SDK has refused what the case needs, if it has.

        Raises:
            CaseError: Something else has happened than the case expects, or nothing within a bounded time.
        """
        for alias, device in self._case.devices.items():
            self._hub.make_device(self._id(alias), device)
        for number, step in enumerate(self._case.steps, 1):
            try:
                if (word := self._refusal(step)) is not None:
                    return self._error(step, word, await self._say(step, number=self._of(step)))
                await self._take(step)
            except CaseError as error:
                raise CaseError(f"step {number}, {step.by} {step.do}: {error}") from None
        return None

    async def _take(self, step: Step) -> None:
        if step.by == "hub":
            await self._hub.take(step, self._id(step.device))
        else:
            await self._takers.get(step.do, self._ask)(step)

    def _refusal(self, step: Step) -> str | None:
        """The word of the error, where the SDK has the call that the case is about and refuses it."""
        under_test = step.by == self._leg.role and step.do in self._case.needs
        return self._leg.about.refuses.get(step.do) if under_test else None

    async def _ask(self, step: Step) -> None:
        """Have a peer take the step, and check what has happened."""
        answer = await self._say(step, **self._arguments(step))
        if step.error is not None:
            self._error(step, step.error, answer)
        else:
            self._check(step, self._ok(answer))

    async def _receive(self, step: Step) -> None:
        message = self._ok(await self._say(step))
        self._held[LAST] = self._held[step.save_as or LAST] = message["number"]
        self._check(step, message)

    async def _settle(self, step: Step) -> None:
        if not self._completes_by_itself(step):
            answer = await self._say(step, number=self._of(step))
            if step.error is None:
                self._ok(answer)
            else:
                self._error(step, step.error, answer)

    async def _send_all(self, step: Step) -> None:
        for number in range(1, step.count + 1):
            self._ok(await self._say(step, do="send", message=self._message({"message_id": f"m-{number}"})))

    async def _receive_all(self, step: Step) -> None:
        for number in range(1, step.count + 1):
            message = self._ok(await self._say(step, do="receive"))
            if message["message_id"] != f"m-{number}":
                raise CaseError(f"message {number} is {message['message_id']}")
            if not self._completes_by_itself(step):
                self._ok(await self._say(step, do="complete", number=message["number"]))

    def _completes_by_itself(self, step: Step) -> bool:
        return step.by == self._leg.role and self._leg.about.completes_by_itself

    async def _say(self, step: Step, **arguments: object) -> Fields:
        """Have a peer take a step; returns what has happened."""
        assert step.by != "hub"
        line = {"do": step.do, "client": step.client or step.by, "device_id": self._id(step.device), **arguments}
        return await ask(self._peers[step.by], line, seconds=self._seconds)

    def _arguments(self, step: Step) -> Fields:
        if step.do in {"connect", "refused"}:
            return self._connection(step)
        if step.do == "send":
            return {"message": self._message(step.message)}
        if step.by == "registry":
            return {**step.identity, "devices": [{"device_id": self._id(alias)} for alias in step.devices]}
        return {}

    def _connection(self, step: Step) -> Fields:
        if step.by != "device":
            return service_credential(self._hub.hub, step.credential)
        fields = device_credential(self._hub, self._id(step.device), step.credential)
        return {"reconnect": step.reconnect, **fields, **(RENEWAL if step.renew else {})}

    def _message(self, fields: Fields) -> Fields:
        message = {name: value for name, value in fields.items() if name not in BODY_FIELDS} | {"body": body_of(fields)}
        if "expires_in" in message:
            moment = self._moment(float(message.pop("expires_in")))
            message |= {"expires_at": moment.isoformat(), "expires_at_ms": int(moment.timestamp() * 1000)}
        return message

    def _moment(self, seconds: float) -> datetime:
        return self._started + timedelta(seconds=seconds)

    def _check(self, step: Step, happened: Any) -> None:
        if isinstance(step.expect, dict):
            hidden = self._leg.about.hides if step.by == self._leg.role else ()
            check_fields(self._expected(step.expect), happened, hidden=hidden)
        elif step.do == "list" and sorted(happened) != sorted(map(self._id, step.devices)):
            raise CaseError(f"there are {shown(happened)}")

    def _expected(self, fields: Fields) -> Fields:
        expected = {name: value for name, value in fields.items() if name not in BODY_FIELDS}
        if "expires_in" in expected:
            expected["expires_at"] = self._moment(float(expected.pop("expires_in")))
        if any(name in fields for name in BODY_FIELDS):
            expected["body"] = body_of(fields)
        if "errors" in expected:
            expected["errors"] = [self._id(alias) for alias in expected["errors"]]
        return expected

    def _id(self, alias: str) -> str:
        return self._case.id + self._case.devices[alias].id

    def _of(self, step: Step) -> int:
        """The driver's number of the message that a step settles: the one it names, or else the one received last."""
        return self._held[step.of or LAST]

    def _ok(self, answer: Fields) -> Any:
        if "error" in answer:
            raise CaseError(f"{answer['error']}: {answer['text']}")
        return answer["ok"]

    def _error(self, step: Step, word: str, answer: Fields) -> str:
        """Check the error that the SDK has told, and return its name."""
        names = self._leg.about.errors.get(word, ())
        if names is None:
            self._ok(answer)
            return "nothing"
        if answer.get("error") not in names:
            raise CaseError(f"{shown(answer)}, where the SDK's word for {word} is {' or '.join(names) or 'unknown'}")
        return str(answer["error"])
