"""What is installed in an image, as an SPDX 2.3 document: Debian, Alpine and Python packages.

The databases belong to the image and may be hostile: opened by descriptor inside the root, bounded.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from moorage.build.exporters.provenance import STATEMENT_TYPE
from moorage.build.layout import Statement
from moorage.kernel.openat2 import openat2
from moorage.lib import clock
from moorage.spec.digest import Digest
from moorage.spec.gojson import Json

PREDICATE_TYPE: Final = "https://spdx.dev/Document"
_LIMIT: Final = 64 << 20
_PYTHON: Final = re.compile(r"(?:dist|site)-packages\Z")
_PYTHON_ROOTS: Final = ("usr/lib", "usr/local/lib", "opt/venv/lib", "venv/lib")


class Package(Struct, frozen=True, order=True):
    """One installed package."""

    kind: str  # deb apk pypi
    name: str
    version: str


def statement(root_fd: int, name: str, subject: Digest) -> Statement:
    """Return the statement about the image whose root is open as *root_fd*."""
    packages = sorted(set(find(root_fd)))
    digest = subject.partition(":")[2]
    document: Json = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:sha256:{digest}",
        "creationInfo": {"creators": ["Tool: moorage"], "created": _now()},
        "packages": [_spdx(number, package) for number, package in enumerate(packages)],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": f"SPDXRef-Package-{number}",
                "relationshipType": "DESCRIBES",
            }
            for number in range(len(packages))
        ],
    }
    content: Json = {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicate": document,
    }
    return Statement(PREDICATE_TYPE, msgspec.json.encode(content))


def _now() -> str:
    return clock.rfc3339(clock.now_ns() // 1_000_000_000 * 1_000_000_000)


def _spdx(number: int, package: Package) -> Json:
    return {
        "SPDXID": f"SPDXRef-Package-{number}",
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:{package.kind}/{package.name}@{package.version}",
            }
        ],
    }


def find(root_fd: int) -> Iterator[Package]:
    """Yield the packages that the databases below the root name."""
    for block in _read(root_fd, "var/lib/dpkg/status").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", block, re.MULTILINE))
        if "installed" in fields.get("Status", "").split() and "Version" in fields:
            yield Package("deb", fields["Package"], fields["Version"])
    for block in _read(root_fd, "lib/apk/db/installed").split("\n\n"):
        fields = dict(re.findall(r"^([PV]):(.*)$", block, re.MULTILINE))
        if {"P", "V"} <= fields.keys():
            yield Package("apk", fields["P"], fields["V"])
    for base in _PYTHON_ROOTS:
        for directory in _children(root_fd, base):
            if directory.startswith("python"):
                for packages in ("site-packages", "dist-packages"):
                    yield from _python(root_fd, f"{base}/{directory}/{packages}")


def _python(root_fd: int, directory: str) -> Iterator[Package]:
    for entry in _children(root_fd, directory):
        if entry.endswith(".dist-info"):
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            yield Package("pypi", name.lower().replace("_", "-"), version)


def _children(root_fd: int, path: str) -> list[str]:
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def _read(root_fd: int, path: str) -> str:
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT:
            return ""
        return file.read(_LIMIT).decode("utf-8", "replace")
