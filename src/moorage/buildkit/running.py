"""One build of a client of BuildKit's protocol: run, outputs sent, the answer put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from moorage.build.progress import Progress
from moorage.buildkit.explaining import explained
from moorage.buildkit.session import outputs
from moorage.lib.errors import MoorageError
from moorage.spec import reference

if TYPE_CHECKING:
    from moorage.build.service import Builder, BuildResult
    from moorage.buildkit.prepared import Prepared
    from moorage.buildkit.solves import Solve
    from moorage.buildkit.status import Narrator

_STORED: Final = frozenset({"image", "registry", "moby"})
_FILES: Final = frozenset({"oci", "docker", "tar"})


async def run(builder: Builder, prepared: Prepared, solve: Solve) -> dict[str, str]:
    """Build; return what the client is told of the result.

    Raises: CallFailed, with the place in the Dockerfile; MoorageError.
    Cancel: everything of this build alone is undone.
    """
    narrator = solve.narrator
    progress = Progress()
    progress.listen(narrator.hear)
    plan = prepared.plan
    try:
        result = await builder.build(plan, progress, build_id=solve.ref)
        answer = _answer(prepared, result)
        _tell_stored(prepared, result, narrator)
        await _send(prepared, answer, narrator)
    except MoorageError as error:
        raise explained(error, plan) from error
    return answer


def _names(prepared: Prepared) -> list[str]:
    """Return the names that the outputs give to the image, in full."""
    given: list[str] = []
    for output in prepared.plan.options.outputs:
        if output.type in _STORED | {"oci", "docker"}:
            given += filter(None, output.attributes.get("name", "").split(","))
    full = (str(reference.parse_with_default_tag(name)) for name in given)
    return list(dict.fromkeys(full))


def _answer(prepared: Prepared, result: BuildResult) -> dict[str, str]:
    answer: dict[str, str] = {}
    if result.image_id is not None:
        answer["containerimage.digest"] = result.image_id
        answer["containerimage.config.digest"] = result.image_id
    if names := _names(prepared):
        answer["image.name"] = ",".join(names)
    return answer


def _tell_stored(prepared: Prepared, result: BuildResult, narrator: Narrator) -> None:
    if result.image_id is None:
        return
    with narrator.step("exporting to image") as step:
        step.part("exporting layers", completed=True)
        step.part(f"writing image {result.image_id}", completed=True)
        for name in _names(prepared):
            step.part(f"naming to {name}", completed=True)


async def _send(prepared: Prepared, answer: Mapping[str, str], narrator: Narrator) -> None:
    """Send to the client what it asked to have."""
    link = prepared.link
    for number, output in enumerate(prepared.plan.options.outputs):
        path = prepared.plan.session.outputs.get(output.type)
        if path is None or link is None:
            continue
        archive = path / "output.tar"
        local = output.type == "local"
        with narrator.step("exporting to client " + ("directory" if local else "tarball")) as step:
            size = 0

            def sent(count: int) -> None:
                nonlocal size
                size += count

            if local:
                await outputs.send_tree(link, number, archive, sent)
                step.part("copying files", size, completed=True)
            elif output.type in _FILES:
                await outputs.send_file(link, number, archive, answer, sent)
                step.part("sending tarball", size, completed=True)
