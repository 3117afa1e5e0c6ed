"""``DeviceRequests`` of a container: which devices it means (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from moorage.cdi.catalogue import Catalogue
from moorage.lib.errors import System
from moorage.spec.engine.hostconfig import DeviceRequest

CDI: Final = "cdi"


@dataclass(frozen=True, slots=True)
class _Driver:
    """Devices that are asked for by what they can do (``--gpus``)."""

    name: str
    kind: str  # in CDI
    capabilities: frozenset[str]


_DRIVERS: Final = (
    _Driver(
        "nvidia",
        "nvidia.com/gpu",
        frozenset(
            {"gpu", "nvidia", "compute", "compat32", "graphics", "utility", "video", "display"}
        ),
    ),
    _Driver("amd", "amd.com/gpu", frozenset({"gpu", "amd"})),
)


def devices(requests: Iterable[DeviceRequest], catalogue: Catalogue) -> list[str]:
    """Return the full names of what *requests* ask for.

    Raises: System, with Docker's sentences (no driver, contradictory requests).
    """
    return [name for request in requests for name in _devices(request, catalogue)]


def _devices(request: DeviceRequest, catalogue: Catalogue) -> list[str]:
    if request.driver == CDI and catalogue.enabled:
        if request.count:
            raise System("unexpected count in CDI device request")
        if request.options:
            raise System("unexpected options in CDI device request")
        return list(request.device_ids or [])
    driver = _select(request, catalogue)
    if driver is None:
        raise System(_no_driver(request), hint=_hint(request, catalogue))
    if request.count and request.device_ids:
        raise System("cannot set both Count and DeviceIDs on device request")
    if request.device_ids:
        ids: Sequence[str] = request.device_ids
    elif request.count < 0:
        ids = ["all"]
    else:
        ids = [str(number) for number in range(request.count)]
    return [name if "=" in name else f"{driver.kind}={name}" for name in ids]


def _select(request: DeviceRequest, catalogue: Catalogue) -> _Driver | None:
    """Return the first driver that has devices here and all capabilities of one alternative."""
    for driver in _DRIVERS:
        named = request.driver in {"", driver.name}
        if named and catalogue.of_kind(driver.kind):
            for wanted in request.capabilities or []:
                if driver.capabilities.issuperset(wanted):
                    return driver
    return None


def _no_driver(request: DeviceRequest) -> str:
    alternatives = " ".join(f"[{' '.join(wanted)}]" for wanted in request.capabilities or [])
    return f'could not select device driver "{request.driver}" with capabilities: [{alternatives}]'


def _hint(request: DeviceRequest, catalogue: Catalogue) -> str:
    if not catalogue.enabled:
        return "CDI is switched off in the daemon's configuration"
    kinds = [d.kind for d in _DRIVERS if request.driver in {"", d.name}]
    if not kinds:
        return "give the device nodes with --device"
    hint = f"no CDI file describes devices of {' or '.join(kinds)}"
    return "; ".join([hint, *catalogue.warnings()])
