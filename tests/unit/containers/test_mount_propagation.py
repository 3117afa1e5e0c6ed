from __future__ import annotations

import pytest

from moorage.containers.mount_spec import asks_propagation, parse_bind, with_propagation
from moorage.lib.errors import InvalidParameter


@pytest.mark.parametrize(
    ("bind", "propagation"),
    [
        ("/srv:/x", "rprivate"),
        ("/:/host", "rslave"),
        ("/var/lib:/x", "rslave"),
        ("/var/lib/moorage:/x", "rslave"),
        ("/var/lib/moorage-other:/x", "rprivate"),
        ("/var/lib/moorage/volumes:/x", "rslave"),
        ("/:/host:rshared", "rshared"),
        ("/srv:/x:private", "private"),
        ("data:/x", ""),
    ],
)
def test_a_bind_that_shows_the_daemons_mounts_follows_them(bind: str, propagation: str) -> None:
    (mount,) = with_propagation([parse_bind(bind)], "/var/lib/moorage")
    assert mount.propagation == propagation


@pytest.mark.parametrize(
    "bind", ["/:/x:rprivate", "/var/lib:/x:shared", "/var/lib/moorage/a:/x:slave"]
)
def test_a_bind_that_would_keep_the_daemons_mounts_busy_is_refused(bind: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        with_propagation([parse_bind(bind)], "/var/lib/moorage")
    source, _, mode = bind.split(":")
    assert caught.value.message == (
        'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount'
        ' source is within the daemon root, daemon root: "/var/lib/moorage", bind mount source:'
        f' "{source}", propagation: "{mode}"'
    )


def test_only_a_propagation_that_was_named_must_be_possible() -> None:
    (default,) = with_propagation([parse_bind("/:/host:ro")], "/var/lib/moorage")
    assert default.propagation == "rslave"
    assert not asks_propagation(default)
    assert asks_propagation(parse_bind("/:/host:ro,rslave"))
