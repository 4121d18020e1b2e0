from __future__ import annotations

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._identities import Policy, Right
from c2dkit.hub._keys import DEVELOPMENT_KEY, Keys
from c2dkit.hub._policies import MAX_POLICIES, Policies


def test_the_built_in_policies_have_their_documented_rights() -> None:
    rights = {name: policy.rights for name, policy in Policies(Keys()).by_name.items()}

    assert rights == {
        "iothubowner": {
            Right.SERVICE_CONNECT,
            Right.DEVICE_CONNECT,
            Right.REGISTRY_READ,
            Right.REGISTRY_WRITE,
        },
        "service": {Right.SERVICE_CONNECT},
        "device": {Right.DEVICE_CONNECT},
        "registryRead": {Right.REGISTRY_READ},
        "registryReadWrite": {Right.REGISTRY_READ, Right.REGISTRY_WRITE},
    }


def test_every_hub_has_policy_keys_of_its_own() -> None:
    assert Policies(Keys()).policy("service").primary_key != Policies(Keys()).policy("service").primary_key


def test_policies_are_added_up_to_16() -> None:
    policies = Policies(Keys())
    for number in range(MAX_POLICIES - len(policies.by_name)):
        policies.add(f"p{number}", [Right.SERVICE_CONNECT])
    with pytest.raises(InvalidInputError, match="16"):
        policies.add("more", [])
    policies.rotate("p0", "primary")
    assert len(policies.by_name) == MAX_POLICIES == 16


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a;b", "service"])
def test_a_name_that_is_taken_or_breaks_the_rules_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="policy"):
        Policies(Keys()).add(name, [])


def test_rotation_changes_one_key_and_is_told() -> None:
    policies = Policies(Keys(development=True))
    told: list[Policy] = []
    policies.subscribe(told.append)

    policies.rotate("service", "secondary")

    policy = policies.policy("service")
    assert policy.primary_key == DEVELOPMENT_KEY != policy.secondary_key
    assert told == [policy]


def test_what_carries_the_development_key_is_refused_where_others_can_come_in() -> None:
    policies = Policies(Keys(exposed=True))
    with pytest.raises(InvalidInputError, match="loopback"):
        policies.put(Policy(name="service", rights=frozenset(), secondary_key=DEVELOPMENT_KEY))


def test_an_unknown_policy_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInputError, match="registryReadWrite"):
        Policies(Keys()).policy("nobody")
