"""The shared access policies of one hub.

Sources: IoT Hub developer guide, "Control access to IoT Hub with shared access signatures"; "IoT Hub quotas and throttling".
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError
from c2dkit.hub._identities import Policy, Right
from c2dkit.hub._keys import Keys, new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from c2dkit.hub._keys import KeyName

__all__ = ["BUILT_IN", "MAX_POLICIES", "Policies"]

BUILT_IN: Final[Mapping[str, frozenset[Right]]] = {
    "iothubowner": frozenset(Right),
    "service": frozenset({Right.SERVICE_CONNECT}),
    "device": frozenset({Right.DEVICE_CONNECT}),
    "registryRead": frozenset({Right.REGISTRY_READ}),
    "registryReadWrite": frozenset({Right.REGISTRY_READ, Right.REGISTRY_WRITE}),
}
"""The policies that every IoT hub is born with."""

MAX_POLICIES: Final = 16
"""That the built-in ones count is inferred."""

NAME: Final = re.compile(r"[A-Za-z0-9_\-@.]{1,64}")
"""The alphabet is that of the .NET SDK's connection strings; the length is inferred."""


class Policies:
    """The policies of one hub.

    Args:
        keys: Makes and checks their keys.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._subscribers: list[Callable[[Policy], None]] = []
        self._policies = {name: self._new(name, rights) for name, rights in BUILT_IN.items()}

    @property
    def by_name(self) -> Mapping[str, Policy]:
        """All policies, a live view."""
        return MappingProxyType(self._policies)

    def subscribe(self, subscriber: Callable[[Policy], None]) -> None:
        """Have every policy told that is new or has changed."""
        self._subscribers.append(subscriber)

    def policy(self, name: str) -> Policy:
        """Return a policy.

        Raises:
            InvalidInputError: There is none of that name.
        """
        policy = self._policies.get(name)
        if policy is None:
            raise InvalidInputError(f"the hub has no shared access policy {name!r}; it has {', '.join(self._policies)}")
        return policy

    def restore(self, policies: Iterable[Policy]) -> None:
        """Have the policies that were saved, and no other; nobody is told."""
        self._policies = {policy.name: policy for policy in policies}

    def add(self, name: str, rights: Iterable[Right]) -> None:
        """Add a policy, whose keys are made up.

        Raises:
            InvalidInputError: The name is taken or breaks the rules, or there are 16 policies.
        """
        if name in self._policies:
            raise InvalidInputError(f"there is a shared access policy {name!r} already")
        self.put(self._new(name, frozenset(rights)))

    def put(self, policy: Policy) -> None:
        """Take a policy in, in the place of the one of its name.

        Raises:
            InvalidInputError: The name breaks the rules, the hub may not have such a key, or there are 16 policies.
        """
        if not NAME.fullmatch(policy.name):
            raise InvalidInputError("the name of a shared access policy is 1 to 64 of A-Z a-z 0-9 _ - @ .")
        if policy.name not in self._policies and len(self._policies) >= MAX_POLICIES:
            raise InvalidInputError(
                f"a hub has at most {MAX_POLICIES} shared access policies, the built-in ones included"
            )
        self._keys.check(policy.primary_key)
        self._keys.check(policy.secondary_key)
        self._policies[policy.name] = policy
        for subscriber in self._subscribers:
            subscriber(policy)

    def rotate(self, name: str, key: KeyName) -> None:
        """Put a random key in the place of one.

        Raises:
            InvalidInputError: There is no such policy.
        """
        policy = self.policy(name)
        if key == "primary":
            self.put(replace(policy, primary_key=new_key()))
        else:
            self.put(replace(policy, secondary_key=new_key()))

    def _new(self, name: str, rights: frozenset[Right]) -> Policy:
        return Policy(name=name, rights=rights, primary_key=self._keys.make(), secondary_key=self._keys.make())
