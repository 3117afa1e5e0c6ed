"""Sysctl names lead nowhere but below /proc/sys/net."""

import pytest

from moorage.lib.errors import InvalidParameter
from moorage.networks.drivers import options
from moorage.networks.sandbox import sysctl_path


def test_names_become_paths() -> None:
    assert sysctl_path("net.ipv4.conf.eth0.log_martians") == "ipv4/conf/eth0/log_martians"
    assert sysctl_path("net.ipv4.conf.eth0/1.x") == "ipv4/conf/eth0.1/x"


@pytest.mark.parametrize("name", ["net.../../etc.x", "net.ipv4..x", "net.a.//.b", "net.ipv4.\0.x"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a network sysctl"):
        sysctl_path(name)


@pytest.mark.parametrize(
    "text",
    [
        "net.ipv4.conf.eth0.x=1",
        "net.ipv4.conf.IFNAME.x",
        "kernel.conf.IFNAME.x.y=1",
        "net.ipv4.conf.IFNAME.../x=1",
    ],
)
def test_endpoint_sysctls_are_about_the_interface_alone(text: str) -> None:
    with pytest.raises(InvalidParameter):
        options.endpoint_sysctls({options.SYSCTLS: text}, "eth0")
