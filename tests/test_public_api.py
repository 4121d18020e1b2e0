"""The public import paths, each with a sorted ``__all__``; everything else begins with an underscore."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import c2dkit
from c2dkit import _errors

if TYPE_CHECKING:
    from types import ModuleType

PUBLIC = (
    "c2dkit",
    "c2dkit.hub",
    "c2dkit.testing",
    "c2dkit.testing.contract",
    "c2dkit.testing.contract.device",
    "c2dkit.testing.contract.service",
    "c2dkit.testing.contract.story",
    "c2dkit.transports",
)
COMMAND_LINE = "c2dkit.cli"  # has no underscore because ``c2dkit.cli:main`` is the entry point; it is not API


def modules() -> list[str]:
    return ["c2dkit", *(info.name for info in pkgutil.walk_packages(c2dkit.__path__, "c2dkit."))]


def public_names(module: ModuleType) -> set[str]:
    """What a user sees: what has no underscore, or "@" by which pytest adds to a plugin, and is not a submodule."""
    submodules = {name.rpartition(".")[2] for name in modules() if name.rpartition(".")[0] == module.__name__}
    return {name for name in vars(module) if name[0] not in "_@"} - submodules - {"annotations", "TYPE_CHECKING"}


def is_empty(module: ModuleType) -> bool:
    assert module.__file__ is not None
    return Path(module.__file__).stat().st_size == 0


def test_every_other_module_is_private() -> None:
    exposed = {name for name in modules() if not any(part.startswith("_") for part in name.split("."))}
    assert {name for name in exposed if not f"{name}.".startswith(f"{COMMAND_LINE}.")} == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_is_what_is_visible(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert public_names(module) == set(module.__all__)


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    exported: list[str] | None = getattr(module, "__all__", None)
    assert (exported is None) == is_empty(module)
    assert set(exported or ()) <= set(vars(module))


def test_every_error_is_exported() -> None:
    assert set(_errors.__all__) <= set(c2dkit.__all__)


def test_the_docstring_tree_names_every_error() -> None:
    assert _errors.__doc__ is not None
    assert [name for name in _errors.__all__ if name not in _errors.__doc__] == []
