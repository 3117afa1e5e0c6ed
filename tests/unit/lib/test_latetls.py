"""An idle daemon holds no OpenSSL for Python; one that speaks TLS gets all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import moorage

_SOURCE = Path(moorage.__file__).parent.parent
_CHECK = """
import sys
from moorage.lib import latetls
latetls.load_asyncio()
import moorage.daemon.main
from moorage.api import routing
routing.load()
loaded = {"ssl", "_ssl"} & set(sys.modules)
if loaded:
    sys.exit(f"loaded: {loaded}")
ssl = latetls.load()
from asyncio import base_events, selector_events, sslproto
if not base_events.ssl is selector_events.ssl is sslproto.ssl is ssl:
    sys.exit("asyncio has not been told")
if ssl.SSLWantReadError not in sslproto.SSLAgainErrors:
    sys.exit("asyncio cannot tell an error from a pause")
"""


def test_tls_is_loaded_when_it_is_spoken() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(_SOURCE)!r}){_CHECK}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
