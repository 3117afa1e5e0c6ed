from __future__ import annotations

import pytest

from moorage.containers.mount_spec import parse_bind, with_propagation


@pytest.mark.parametrize(
    ("bind", "propagation"),
    [
        ("/srv:/x", "rprivate"),
        ("/:/host", "rslave"),
        ("/var/lib:/x", "rslave"),
        ("/var/lib/moorage:/x", "rslave"),
        ("/var/lib/moorage-other:/x", "rprivate"),
        ("/:/host:rprivate", "rprivate"),
        ("data:/x", ""),
    ],
)
def test_a_bind_that_shows_the_daemons_mounts_follows_them(bind: str, propagation: str) -> None:
    (mount,) = with_propagation([parse_bind(bind)], "/var/lib/moorage")
    assert mount.propagation == propagation
