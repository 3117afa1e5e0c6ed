"""SLSA provenance of a build, in the form that BuildKit writes (in-toto statement, v0.2 predicate).

Mode *min* tells what the image was made from; *max* adds the build arguments, the graph and the
Dockerfile. Secrets are named, never shown. Pure.
"""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote

import msgspec

from moorage.build.exporters.product import Product
from moorage.build.graph import GitSource, HttpSource, Vertex, operation_key
from moorage.build.layout import Statement
from moorage.build.needs import BaseImage
from moorage.build.options import BuildOptions
from moorage.lib import clock
from moorage.spec.digest import Digest
from moorage.spec.gojson import Json

PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v0.2"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v0.1"
_BUILD_TYPE: Final = "https://mobyproject.org/buildkit@v1"


def statement(
    product: Product, options: BuildOptions, mode: str, *, build_id: str, subject: Digest
) -> Statement:
    """Return the statement about the image whose manifest is *subject*."""
    content: Json = {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": [_subject(name, subject) for name in options.tags or ("_",)],
        "predicate": predicate(product, options, mode, build_id=build_id),
    }
    return Statement(PREDICATE_TYPE, msgspec.json.encode(content))


def _subject(name: str, digest: Digest) -> dict[str, Json]:
    repository, _, tag = name.rpartition(":")
    purl = f"pkg:docker/{repository or name}@{tag}" if repository else name
    return {"name": purl, "digest": {"sha256": digest.partition(":")[2]}}


def predicate(
    product: Product, options: BuildOptions, mode: str, *, build_id: str
) -> dict[str, Json]:
    """Return the predicate."""
    platform = str(product.converted.platform)
    parameters: dict[str, Json] = {
        "frontend": "dockerfile.v0",
        "locals": [{"name": "context"}, {"name": "dockerfile"}],
    }
    if mode == "max":
        arguments: dict[str, Json] = {
            f"build-arg:{name}": value for name, value in sorted(options.build_args.items())
        }
        arguments |= {f"label:{name}": value for name, value in sorted(options.labels.items())}
        parameters["args"] = arguments
    found: dict[str, Json] = {
        "builder": {"id": ""},
        "buildType": _BUILD_TYPE,
        "materials": _materials(product, platform),
        "invocation": {
            "configSource": {"entryPoint": options.dockerfile},
            "parameters": parameters,
            "environment": {"platform": platform},
        },
        "metadata": {
            "buildInvocationID": build_id,
            "buildStartedOn": clock.rfc3339(product.started_ns),
            "buildFinishedOn": clock.rfc3339(clock.now_ns()),
            "completeness": {"parameters": mode == "max", "environment": True, "materials": False},
            "reproducible": options.epoch_s is not None,
        },
    }
    if mode == "max":
        found["buildConfig"] = {"llbDefinition": _graph(product.converted.vertex)}
        text = "\n".join(product.dockerfile.source.lines).encode("utf-8", "surrogateescape")
        found["metadata"] = {
            **_mapping(found["metadata"]),
            f"{_BUILD_TYPE}#metadata": {
                "source": {
                    "infos": [
                        {
                            "filename": product.dockerfile.source.name,
                            "language": "Dockerfile",
                            "data": base64.b64encode(text).decode(),
                        }
                    ]
                }
            },
        }
    return found


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _materials(product: Product, platform: str) -> list[Json]:
    found: list[Json] = [_image(base, platform) for base in product.converted.bases]
    for vertex in product.converted.vertex.walk():
        operation = vertex.operation
        if isinstance(operation, HttpSource) and operation.checksum:
            algorithm, _, value = operation.checksum.partition(":")
            found.append({"uri": operation.url, "digest": {algorithm: value}})
        elif isinstance(operation, GitSource):
            found.append({"uri": f"{operation.url}#{operation.ref}"})
    return found


def _image(base: BaseImage, platform: str) -> Json:
    name, _, tag = base.reference.rpartition(":")
    digest = base.repo_digest.partition("@")[2] or base.id
    return {
        "uri": f"pkg:docker/{name or tag}@{tag}?platform={quote(platform, safe='')}",
        "digest": {"sha256": digest.partition(":")[2]},
    }


def _graph(vertex: Vertex) -> list[Json]:
    """Return the operations with their inputs, in the order they can be done."""
    numbers: dict[str, str] = {}
    steps: list[Json] = []
    for number, step in enumerate(vertex.walk()):
        numbers[step.digest] = f"step{number}"
        steps.append(
            {
                "id": f"step{number}",
                "op": msgspec.json.decode(operation_key(step.operation)),
                "inputs": [f"{numbers[child.digest]}:0" for child in step.inputs],
            }
        )
    return steps
