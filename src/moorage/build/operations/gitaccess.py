"""How git may show who asks, for repositories that are not public.

As with BuildKit: the secrets ``GIT_AUTH_TOKEN`` and ``GIT_AUTH_HEADER``, or those named
``….HOST`` for one host alone, for http(s); the client's default SSH agent for ssh. They reach git
by its environment, which other users cannot read, and never by its command line.
"""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from moorage.build.session import Session


async def environment(session: Session, url: str) -> dict[str, str]:
    """Return what git needs in its environment for *url*; empty for anonymous access."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        agent = await session.agent("default")
        is_ssh = parts.scheme in {"ssh", ""}
        return {"SSH_AUTH_SOCK": str(agent)} if agent is not None and is_ssh else {}
    value = await _header(session, parts.hostname or "")
    if value is None:
        return {}
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc.rpartition('@')[2]}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {value}",
    }


async def _header(session: Session, host: str) -> str | None:
    for name in (f".{host}", ""):
        header = await session.secret(f"GIT_AUTH_HEADER{name}")
        token = await session.secret(f"GIT_AUTH_TOKEN{name}")
        if header is not None:
            return header.decode("utf-8", "replace").strip()
        if token is not None:
            pair = b"x-access-token:" + token.strip()
            return f"basic {base64.b64encode(pair).decode()}"
    return None
