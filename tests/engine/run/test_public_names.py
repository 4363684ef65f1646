"""The public surface: what a module lists is there, in order, and nothing of ours is left out."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import flowbook


def public_modules() -> list[str]:
    """flowbook and the modules at its top that list names; the packages below them are machinery."""
    top = [module.name for module in pkgutil.iter_modules(flowbook.__path__, "flowbook.") if not module.ispkg]
    return ["flowbook", *(name for name in top if hasattr(importlib.import_module(name), "__all__"))]


@pytest.fixture(params=public_modules())
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_there_are_public_modules() -> None:
    expected = ("cache_policies", "flows", "futures", "logging", "results", "runs", "states", "task_runners", "tasks")
    assert {f"flowbook.{name}" for name in expected} <= set(public_modules())


def test_listed_names_are_sorted_and_listed_once(module: ModuleType) -> None:
    def order(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name  # constants, classes, functions, as ruff sorts them

    assert list(module.__all__) == sorted(set(module.__all__), key=order)


def test_listed_names_can_be_imported(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_what_a_module_defines_in_public_is_listed(module: ModuleType) -> None:
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    hooks = {name for name in defined if name.endswith("_ipython_extension")}
    assert defined - set(module.__all__) - hooks - INTERNAL.get(module.__name__, set()) == set()


#: Names that other modules of flowbook use, and users do not.
INTERNAL = {
    "flowbook.cache_policies": {"check_key", "fingerprint_of_inputs"},
    "flowbook.deployments": {"build", "deploy_one", "serve_one"},
    "flowbook.engine": {"begin_flow"},
    "flowbook.entrypoints": {"is_loading", "load_from_code", "place_of"},
    "flowbook.flow_runs": {"resume_with_texts", "show_subflow"},
}


def test_every_public_name_has_a_docstring(module: ModuleType) -> None:
    listed = {name: getattr(module, name) for name in module.__all__}
    ours = {name: value for name, value in listed.items() if getattr(value, "__module__", "").startswith("flowbook")}
    assert [name for name, value in ours.items() if not inspect.getdoc(value)] == []


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flowbook' has no attribute 'nothing'"):
        _ = flowbook.nothing
    assert set(flowbook.__all__) <= set(dir(flowbook))
