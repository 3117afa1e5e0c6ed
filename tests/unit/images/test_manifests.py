"""Manifests and indexes as anybody may send them: what they are not, they are not taken for."""

from __future__ import annotations

import json

import pytest

from moorage.images import manifests
from moorage.lib.errors import InvalidParameter
from moorage.spec import mediatype
from moorage.spec.oci.descriptor import Manifest
from moorage.spec.oci.index import Index

BLOB = {"mediaType": mediatype.OCI_LAYER, "digest": "sha256:" + "0" * 64, "size": 1}
CONFIG = {**BLOB, "mediaType": mediatype.OCI_CONFIG}
IMAGE = {"schemaVersion": 2, "config": CONFIG, "layers": [BLOB]}
INDEX = {"schemaVersion": 2, "manifests": [{**BLOB, "mediaType": mediatype.OCI_MANIFEST}]}


def decode(document: dict[str, object], media_type: str = "") -> Manifest | Index:
    return manifests.decode(json.dumps(document).encode(), media_type)


def test_what_a_document_has_says_what_it_is() -> None:
    assert isinstance(decode(IMAGE), Manifest)
    assert isinstance(decode(INDEX, mediatype.OCI_INDEX), Index)
    assert isinstance(decode({**INDEX, "mediaType": "some/thing.of.its.own"}), Index)


@pytest.mark.parametrize(
    ("document", "media_type", "message"),
    [
        ({**IMAGE, "manifests": []}, "", "an image and an index at the same time"),
        ({**INDEX, "layers": []}, "", "an image and an index at the same time"),
        ({**IMAGE, "mediaType": mediatype.OCI_INDEX}, "", "it is no "),
        (INDEX, mediatype.OCI_MANIFEST, "it is no "),
        (IMAGE, mediatype.OCI_INDEX, "it is no "),
        (
            {**IMAGE, "mediaType": mediatype.OCI_MANIFEST},
            mediatype.DOCKER_MANIFEST,
            "sent as .*, but is ",
        ),
        ({"schemaVersion": 2}, "", "neither an image nor an index"),
        ({**IMAGE, "layers": [{**BLOB, "size": -1}]}, "", "a negative size"),
        ({**IMAGE, "config": {**CONFIG, "size": -1}}, "", "a negative size"),
        ({**IMAGE, "layers": [{**BLOB, "digest": "sha256:../x"}]}, "", "digest"),
        ({**IMAGE, "layers": [BLOB] * (manifests.LAYERS_MAX + 1)}, "", "entries, at most"),
        ({**INDEX, "manifests": [BLOB] * (manifests.INDEX_MAX + 2)}, "", "entries, at most"),
    ],
)
def test_i3_what_is_two_things_or_another_is_refused(
    document: dict[str, object], media_type: str, message: str
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        decode(document, media_type)
