"""The OCI specification of a RUN: how its command is confined."""

from __future__ import annotations

from moorage.build.graph import Exec, Limits
from moorage.build.operations import exec_spec
from moorage.runtime.users import Identity
from moorage.spec.oci.runtime import Process


def process(*, insecure: bool, profile: str) -> Process:
    around = exec_spec.Around(
        id="x",
        root="/root-fs",
        identity=Identity(0, 0, (0,), "/root"),
        network_namespace=None,
        mounts=(),
        apparmor_profile=profile,
    )
    made = exec_spec.build(Exec(arguments=("true",), insecure=insecure), Limits(), around, None)
    assert made.process is not None
    return made.process


def test_a_command_has_the_profile_that_was_found_for_it() -> None:
    assert process(insecure=False, profile="moorage-default").apparmor_profile == "moorage-default"
    assert process(insecure=True, profile="unconfined").apparmor_profile == "unconfined"
    assert process(insecure=False, profile="").apparmor_profile is None
