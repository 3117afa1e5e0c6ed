"""From a request to the call of its handler: path, query and body become typed arguments.

Values are read as dockerd reads them: a boolean is true unless it is empty, ``0``, ``no``,
``false`` or ``none``; an empty number is absent.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from moorage.api import versions
from moorage.api.request import Request
from moorage.api.routing import Route
from moorage.api.versions import Change
from moorage.lib.errors import InvalidParameter, NotImplemented_
from moorage.spec import gojson
from moorage.spec.engine.filters import Filters

Convert = Callable[[list[str]], object]
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}\Z")
_LARGEST: Final = (1 << 63) - 1  # as of a number of Go's
_SHOWN: Final = 40  # characters of what is refused
_FALSE: Final = frozenset({"", "0", "no", "false", "none"})


@dataclass(slots=True)
class Binding:
    """How one route is called."""

    route: Route
    domain: str | None  # attribute of the engine that goes first
    query: QueryBinding | None
    body: type[Any] | None
    wants_request: bool
    is_coroutine: bool

    @property
    def is_immediate(self) -> bool:
        """Whether a response can be had without waiting."""
        return not self.is_coroutine and self.body is None

    def arguments(self, engine: object, request: Request, path: Mapping[str, str]) -> _Call:
        """Collect all arguments but the body.

        Raises: InvalidParameter; NotImplemented_, if the engine lacks the domain.
        """
        positional: list[object] = []
        if self.domain is not None:
            domain = getattr(engine, self.domain, None)
            if domain is None:
                raise NotImplemented_(f"{self.route.operation}: not implemented yet")
            positional.append(domain)
        named: dict[str, object] = dict(path)
        if self.query is not None:
            query = versions.lift_query(self.route.operation, request.version, request.query)
            named["query"] = self.query.convert(query)
        if self.wants_request:
            named["request"] = request
        return _Call(self.route.handler, positional, named)

    async def read_body(self, request: Request, lift: Change | None) -> object:
        """Read the body as JSON, *lift* it to the newest shape, and decode it.

        Raises: InvalidParameter, HttpError.
        """
        assert self.body is not None  # noqa: S101 - asked for only if there is one
        require_json(request)
        text = await request.read()
        if lift is None:
            return gojson.decode(text, self.body)
        document = gojson.parse(text)
        lift(document)
        return gojson.convert(document, self.body)


@dataclass(slots=True)
class _Call:
    handler: Callable[..., object]
    positional: list[object]
    named: dict[str, object]

    def __call__(self) -> Any:
        return self.handler(*self.positional, **self.named)


def bind(route: Route) -> Binding:
    """Study the signature of a handler once."""
    signature = inspect.signature(route.handler)
    parameters = [
        p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    special = {"request", "query", "body", *route.parameters}
    domain = parameters[0] if parameters and parameters[0] not in special else None
    query = _annotation(route.handler, "query") if "query" in parameters else None
    body = _annotation(route.handler, "body") if "body" in parameters else None
    return Binding(
        route=route,
        domain=domain,
        query=QueryBinding(query) if query is not None else None,
        body=body,
        wants_request="request" in parameters,
        is_coroutine=inspect.iscoroutinefunction(route.handler),
    )


def _annotation(handler: Callable[..., object], name: str) -> type[Any]:
    """Resolve one annotation only: the others may be known to type checkers alone."""
    only = types.SimpleNamespace(__annotations__={name: handler.__annotations__[name]})
    module = vars(inspect.getmodule(handler))
    resolved: type[Any] = typing.get_type_hints(only, globalns=module)[name]
    return resolved


def require_json(request: Request) -> None:
    """Refuse a body that is not declared as JSON, in dockerd's words.

    Raises: InvalidParameter.
    """
    declared = request.headers.get("content-type", "")
    if not declared and request.body_length == 0:
        return
    if declared.partition(";")[0].strip().lower() != "application/json":
        raise InvalidParameter(
            f"unsupported Content-Type header ({declared}): must be 'application/json'"
        )


class QueryBinding:
    """Converts query parameters to a Struct; names are the Struct's encoded names."""

    def __init__(self, wanted: type[Any]) -> None:
        self._wanted = wanted
        hints = typing.get_type_hints(wanted)
        self._fields: list[tuple[str, str, Convert]] = [
            (field.name, field.encode_name, _converter(hints[field.name], field.encode_name))
            for field in msgspec.structs.fields(wanted)
        ]

    def convert(self, query: Mapping[str, list[str]]) -> object:
        """Build the Struct.

        Raises: InvalidParameter, naming the parameter.
        """
        values = {
            name: convert(query[encoded])
            for name, encoded, convert in self._fields
            if encoded in query and (query[encoded] != [""] or convert in _TAKES_EMPTY)
        }
        return self._wanted(**values)


def boolean(text: str) -> bool:
    """Read a boolean as dockerd does."""
    return text.strip().lower() not in _FALSE


def _first_boolean(values: list[str]) -> bool:
    return boolean(values[0])


def _first_text(values: list[str]) -> str:
    return values[0]


def _all_texts(values: list[str]) -> list[str]:
    return values


def _filters(values: list[str]) -> Filters:
    return Filters.parse(values[0])


_TAKES_EMPTY: Final[frozenset[Convert]] = frozenset({_first_text, _all_texts, _first_boolean})


def _number(name: str) -> Convert:
    def convert(values: list[str]) -> object:
        if not _NUMBER.match(values[0]) or abs(number := int(values[0])) > _LARGEST:
            shown = values[0][:_SHOWN]
            raise InvalidParameter(f'invalid value for "{name}": {shown!r} is not a number')
        return number

    return convert


def _converter(annotation: Any, name: str) -> Convert:
    options = [a for a in typing.get_args(annotation) if a is not type(None)]
    origin = typing.get_origin(annotation)
    if origin in {types.UnionType, typing.Union} and len(options) == 1:
        annotation = options[0]
        origin = typing.get_origin(annotation)
    if origin is list:
        return _all_texts
    if annotation is bool:
        return _first_boolean
    if annotation is str:
        return _first_text
    if annotation is int:
        return _number(name)
    if annotation is Filters:
        return _filters
    message = f"query parameter {name}: no conversion to {annotation!r}"
    raise TypeError(message)
