"""``moor manifest annotate``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

_FIELDS = {"os": "os", "arch": "architecture", "variant": "variant", "os-version": "os.version"}
_KNOWN = {  # as Go names what it compiles for
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm arm64",
    "linux": "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "wasip1": "wasm",
    "windows": "386 amd64 arm arm64",
}


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Say for which platform a manifest of a list is."""
    from moorage.cli import manifestlist
    from moorage.client.manifestlists import ManifestLists

    target = manifestlist.named(arguments[0], " for manifest list")
    member = manifestlist.named(arguments[1])
    lists = ManifestLists(session.config_directory)
    manifest = lists.manifest(target, member)
    if manifest is None:
        raise CommandError(f"manifest for image {arguments[1]} does not exist in {arguments[0]}")
    platform = dict(manifest["Descriptor"].get("platform") or {})
    platform |= {field: values.text(name) for name, field in _FIELDS.items() if values.text(name)}
    if features := values.many("os-features"):
        platform["os.features"] = list(
            dict.fromkeys([*(platform.get("os.features") or []), *features])
        )
    system, architecture = platform.get("os", ""), platform.get("architecture", "")
    if architecture not in _KNOWN.get(system, "").split():
        raise CommandError(
            f"manifest entry for image has unsupported os/arch combination: {system}/{architecture}"
        )
    manifest["Descriptor"]["platform"] = manifestlist.platform_of(platform)
    lists.keep(target, [(member, manifest)])


COMMAND = Command(
    run,
    arguments="MANIFEST_LIST MANIFEST",
    least=2,
    most=2,
    complete="images",
    options=(
        Option("arch", "", "string", "Its architecture"),
        Option("os", "", "string", "Its operating system"),
        Option("os-features", "", "strings", "A feature of the operating system it needs"),
        Option("os-version", "", "string", "The version of its operating system"),
        Option("variant", "", "string", "The variant of its architecture"),
    ),
)
