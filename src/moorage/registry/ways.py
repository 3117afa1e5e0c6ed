"""The ways to a repository, asked in turn: mirrors first, then the registry itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from moorage.lib.errors import MoorageError, System
from moorage.registry import failures
from moorage.registry.failures import RegistryRefusal
from moorage.spec.reference import Reference

if TYPE_CHECKING:
    from moorage.registry.registries import Registries
    from moorage.registry.repository import Repository

T = TypeVar("T")
Translate = Callable[[RegistryRefusal, Reference], MoorageError]


async def first_answer(
    registries: Registries,
    ways: Sequence[Repository],
    ask: Callable[[Repository], Awaitable[T]],
    translate: Translate = failures.of_pull,
) -> tuple[Repository, T]:
    """Ask each way in turn; return the first that answers, with its answer.

    Raises: MoorageError: the registry's own refusal rather than a mirror's or a connection's.
    """
    failure: MoorageError | None = None
    refused_by_origin = False
    answering: set[str] = set()  # hosts that spoke: no use in speaking to them without TLS
    for way in ways:
        if way.endpoint.insecure_alternative and way.endpoint.host in answering:
            continue
        try:
            answer = await ask(way)
        except RegistryRefusal as refused:
            if failure is None or not way.endpoint.is_mirror:
                failure = translate(refused, way.reference)
            refused_by_origin = refused_by_origin or not way.endpoint.is_mirror
            answering.add(way.endpoint.host)
        except MoorageError as error:
            if not isinstance(error, failures.Unreachable):
                answering.add(way.endpoint.host)
            if not refused_by_origin:
                failure = error
        else:
            registries.note_plain(way.endpoint)
            return way, answer
    raise failure or System("no registry can serve this", hint="see registry-mirrors and certs.d")


def wanted_name(reference: Reference) -> str:
    """Return what is asked for: the digest, if there is one, else the tag."""
    return reference.digest or reference.tag or "latest"
