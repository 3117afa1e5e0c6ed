"""Every operation of the Engine API document is served, and as the document says."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moorage.api import binding, not_implemented, routing, swarm
from moorage.api.operations import OPERATIONS, OWN
from moorage.api.routing import Route

# The document itself is not ours to carry along; where it lies beside the tree it is read.
DOCUMENT = Path(__file__).parents[3] / "shared" / "engine-api" / "v1.55.yaml"

ROUTES = {route.operation: route for route in routing.load()}
MISSING = {operation for _, _, operation in not_implemented.missing()}
SERVED = sorted(set(ROUTES) - MISSING - {name for _, _, name in swarm.MANAGER_OPERATIONS})


def _query_type(route: Route) -> type[Any]:
    only = type("Only", (), {"__annotations__": {"query": route.handler.__annotations__["query"]}})
    module = vars(inspect.getmodule(route.handler))
    resolved: type[Any] = typing.get_type_hints(only, globalns=module)["query"]
    return resolved


OWN_NAMES = {operation for _, _, operation in OWN}
WITH_QUERY = [
    name
    for name in SERVED
    if "query" in ROUTES[name].handler.__annotations__ and name not in OWN_NAMES
]

# Parameters that dockerd has though its document is silent, or had once and old clients send.
UNDOCUMENTED = {
    "BuildPrune": {"keep-storage"},
    "ContainerAttach": {"detachKeys"},
    "ContainerList": {"since", "before"},
    "ContainerLogs": {"details"},
    "ImageBuild": {
        "buildid",
        "cgroupparent",
        "cpusetmems",
        "isolation",
        "securityopt",
        "session",
        "ulimits",
    },
    "ImageList": {"filter"},
}
# Parameters without a meaning here: nothing of a build is left behind in any case, digests are
# always told, and there are no identities.
WITHOUT_MEANING = {
    "ImageBuild": {"rm", "forcerm", "version", "outputs"},
    "ImageList": {"digests", "identity"},
}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS + OWN)
def test_each_operation_has_one_route(method: str, path: str, operation: str) -> None:
    found = [route for route in routing.load() if route.operation == operation]
    assert len(found) == 1
    assert (found[0].method, found[0].document_path) == (method, path)


def test_a_route_outside_the_document_is_on_the_list_of_our_own() -> None:
    assert set(ROUTES) == {operation for _, _, operation in OPERATIONS + OWN}


@pytest.mark.parametrize("operation", SERVED)
def test_a_handler_is_named_after_its_operation_and_says_its_statuses(operation: str) -> None:
    route = ROUTES[operation]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
    assert route.handler.__name__ == snake
    assert re.match(r"\d{3}", inspect.getdoc(route.handler) or ""), "the docstring names statuses"


@pytest.mark.parametrize("operation", SERVED)
def test_a_handler_can_be_bound(operation: str) -> None:
    binding.bind(ROUTES[operation])


@pytest.fixture(scope="module")
def document() -> dict[str, dict[str, Any]]:
    """Return the operations of the document by their id."""
    if not DOCUMENT.exists():
        pytest.skip("the Engine API document is not beside the tree")
    yaml = pytest.importorskip("yaml")
    loaded = yaml.load(DOCUMENT.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {
        operation["operationId"]: {**operation, "method": method.upper(), "path": path}
        for path, methods in loaded["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "delete", "head"}
    }


def test_the_list_of_operations_is_the_document_s(document: dict[str, dict[str, Any]]) -> None:
    assert set(OPERATIONS) == {(o["method"], o["path"], name) for name, o in document.items()}


@pytest.mark.parametrize("operation", WITH_QUERY)
def test_query_parameters_are_those_of_the_document(
    document: dict[str, dict[str, Any]], operation: str
) -> None:
    query = _query_type(ROUTES[operation])
    known = {field.encode_name for field in msgspec.structs.fields(query)}
    documented = _documented(document[operation])
    shared = [other for other in WITH_QUERY if _query_type(ROUTES[other]) is query]
    anywhere = set[str]().union(*(_documented(document[other]) for other in shared))
    assert documented - known <= WITHOUT_MEANING.get(operation, set()), "not understood"
    assert known - anywhere <= UNDOCUMENTED.get(operation, set()), "not in the document"


def _documented(operation: dict[str, Any]) -> set[str]:
    parameters = operation.get("parameters", ())
    return {parameter["name"] for parameter in parameters if parameter.get("in") == "query"}
