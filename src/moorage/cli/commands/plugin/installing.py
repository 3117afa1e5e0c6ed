"""What ``plugin install`` and ``upgrade`` share: permissions asked for, then the download."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Option
from moorage.cli.progress import Display
from moorage.cli.references import DEFAULT_TAG, check, split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

GRANT_ALL = Option(
    "grant-all-permissions", "", "bool", "Grant what the plugin asks for without a question"
)


def download(session: Session, values: Values, path: str, remote: str, name: str | None) -> None:
    """Have the daemon fetch the plugin *remote*, once its permissions are granted.

    Raises: CommandError (they were not), MoorageError.
    """
    from moorage.cli.authorising import auth_header

    check(remote)
    repository, tag = split_tag(remote)
    whole = remote if "@" in remote else f"{repository}:{tag or DEFAULT_TAG}"
    auth = auth_header(session, repository)
    asked = session.api.request("GET", "/plugins/privileges", {"remote": whole}, headers=auth)
    answers = list(session.api.stream_json(asked))
    privileges: list[Json] = (answers[0] if answers else None) or []
    granted = not privileges or values.flag("grant-all-permissions")
    if not granted and not _granted(session, whole, privileges):
        raise CommandError(f"permission denied while installing plugin {whole}")
    query: dict[str, object] = {"remote": whole, "name": name}
    response = session.api.request("POST", path, query, json=privileges, headers=auth)
    Display(session.out).run(session.api.stream_json(response))


def _granted(session: Session, name: str, privileges: list[Json]) -> bool:
    session.out.line(f'Plugin "{name}" is requesting the following privileges:')
    for privilege in privileges:
        values = " ".join(map(str, privilege.get("Value") or ()))
        session.out.line(f" - {privilege['Name']}: [{values}]")
    return session.confirm("Do you grant the above permissions?")
