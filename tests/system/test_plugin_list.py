"""Managed plugins: none is there, and clients that ask are told so."""

from __future__ import annotations

import pytest

from support.api import Api

pytestmark = pytest.mark.requires("root")


def test_no_plugin_is_installed(api: Api) -> None:
    assert api.get("/plugins").ok().json() == []
    absent = api.get("/plugins/vieux/sshfs:latest/json")
    assert absent.status == 404
    assert absent.message == 'plugin "vieux/sshfs:latest" not found'


def test_installing_one_says_that_it_is_not_built(api: Api) -> None:
    refused = api.request("POST", "/plugins/pull", query={"remote": "vieux/sshfs"})
    assert refused.status == 501
    assert "not built" in refused.message
