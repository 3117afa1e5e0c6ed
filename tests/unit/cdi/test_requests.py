"""Which devices a container means: by name, or by what they can do (``--gpus``)."""

from __future__ import annotations

import pytest

from moorage.cdi import requests
from moorage.cdi.catalogue import Catalogue, Found, build
from moorage.lib.errors import System
from moorage.spec.cdi import ContainerEdits, Device, Specification
from moorage.spec.engine.hostconfig import DeviceRequest

EDITS = ContainerEdits(env=["A=b"])


def catalogue(*kinds: str) -> Catalogue:
    files = [
        Found(
            f"/etc/cdi/{n}.json",
            0,
            Specification(
                cdi_version="0.6.0",
                kind=kind,
                devices=[Device(name=name, container_edits=EDITS) for name in ("0", "1", "all")],
            ),
        )
        for n, kind in enumerate(kinds)
    ]
    return build(files, {})


GPUS = catalogue("nvidia.com/gpu", "amd.com/gpu", "vendor.com/device")
GPU = [["gpu"]]


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (DeviceRequest(driver="cdi", device_ids=["vendor.com/device=0"]), ["vendor.com/device=0"]),
        (DeviceRequest(driver="cdi"), []),
        (DeviceRequest(count=-1, capabilities=GPU), ["nvidia.com/gpu=all"]),
        (DeviceRequest(count=2, capabilities=GPU), ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        (DeviceRequest(count=0, capabilities=GPU), []),
        (DeviceRequest(device_ids=["GPU-1"], capabilities=GPU), ["nvidia.com/gpu=GPU-1"]),
        (DeviceRequest(device_ids=["vendor.com/a=b"], capabilities=GPU), ["vendor.com/a=b"]),
        (
            DeviceRequest(driver="nvidia", count=1, capabilities=[["gpu", "utility"]]),
            ["nvidia.com/gpu=0"],
        ),
        (DeviceRequest(driver="amd", count=-1, capabilities=GPU), ["amd.com/gpu=all"]),
        (DeviceRequest(count=1, capabilities=[["tpu"], ["amd"]]), ["amd.com/gpu=0"]),
    ],
)
def test_what_is_meant(request_: DeviceRequest, names: list[str]) -> None:
    assert requests.devices([request_], GPUS) == names


def test_gpus_of_another_vendor_where_there_are_no_others() -> None:
    request = DeviceRequest(count=-1, capabilities=GPU)
    assert requests.devices([request], catalogue("amd.com/gpu")) == ["amd.com/gpu=all"]


@pytest.mark.parametrize(
    ("request_", "known", "said"),
    [
        (
            DeviceRequest(count=-1, capabilities=GPU),
            catalogue("vendor.com/device"),
            r'could not select device driver "" with capabilities: \[\[gpu\]\]',
        ),
        (
            DeviceRequest(count=1, capabilities=[["gpu", "teleport"], ["x"]]),
            GPUS,
            r'driver "" with capabilities: \[\[gpu teleport\] \[x\]\]',
        ),
        (DeviceRequest(driver="nvidia", count=1), GPUS, r'driver "nvidia" with capabilities: \[\]'),
        (DeviceRequest(driver="other", capabilities=GPU), GPUS, 'device driver "other"'),
        (DeviceRequest(driver="cdi"), Catalogue(), r'driver "cdi" with capabilities: \[\]'),
        (DeviceRequest(driver="cdi", count=1), GPUS, "unexpected count in CDI device request"),
        (DeviceRequest(driver="cdi", options={"a": "b"}), GPUS, "unexpected options in CDI"),
        (
            DeviceRequest(count=1, device_ids=["0"], capabilities=GPU),
            GPUS,
            "cannot set both Count and DeviceIDs on device request",
        ),
    ],
)
def test_what_cannot_be_had(request_: DeviceRequest, known: Catalogue, said: str) -> None:
    with pytest.raises(System, match=said):
        requests.devices([request_], known)
