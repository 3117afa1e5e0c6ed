"""``moor events``."""

from __future__ import annotations

import time

from moorage.cli.options import INSPECT_FORMAT_HELP, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

SECOND = 1_000_000_000


def run(session: Session, values: Values, _: list[str]) -> None:
    """Print events as they happen."""
    from moorage.client.api import WITH_OLD_FIELDS

    since, until = values.text("since"), values.text("until")
    if since or until:
        from moorage.cli import timestamps

        since, until = timestamps.parse(since), timestamps.parse(until)
    template, as_it_came = None, False
    if format_ := values.text("format"):
        from moorage.cli.failure import CommandError, TemplateError
        from moorage.cli.format.templated import compile_template

        try:
            template = compile_template("{{json .}}" if format_ == "json" else format_)
        except TemplateError as e:
            raise CommandError(f"Error parsing format: {e.reason}", 64) from e
        as_it_came = format_ in {"json", "{{json .}}"}  # with the names JSON has
    response = session.api.request(
        "GET",
        "/events",
        {"since": since or None, "until": until or None, "filters": values.filters()},
        newest=WITH_OLD_FIELDS,
    )
    for event in session.api.stream_json(response):
        if template is None:
            session.out.line(line_of(event))
        else:
            from moorage.cli.format.templated import execute
            from moorage.cli.template.values import dress

            value = _old_fields_first(event) if as_it_came else _fields(event)
            session.out.line(execute(template, dress(value)))
        session.out.flush()


def line_of(event: Json) -> str:
    """Return ``TIME TYPE ACTION ID (attribute=value, …)``."""
    moment = event.get("timeNano") or event["time"] * SECOND
    seconds, fraction = divmod(moment, SECOND)
    broken = time.localtime(seconds)
    zone = time.strftime("%z", broken)
    zone = "Z" if broken.tm_gmtoff == 0 else f"{zone[:3]}:{zone[3:]}"
    parts = [
        time.strftime("%Y-%m-%dT%H:%M:%S", broken) + f".{fraction:09d}{zone}",
        event["Type"],
        event["Action"],
        event["Actor"]["ID"],
    ]
    if attributes := event["Actor"].get("Attributes"):
        pairs = ", ".join(f"{key}={value}" for key, value in sorted(attributes.items()))
        parts.append(f"({pairs})")
    return " ".join(parts)


def _old_fields_first(event: Json) -> Json:
    """Return the event as docker marshals it: API 1.21's fields in front, attributes in order."""
    actor = event["Actor"]
    attributes = dict(sorted((actor.get("Attributes") or {}).items()))
    event = {**event, "Actor": {**actor, "Attributes": attributes}}
    old: Json = {key: event[key] for key in ("status", "id", "from") if key in event}
    return {**old, **event}


def _fields(event: Json) -> Json:
    """Add the fields Go has for events that have no such thing."""
    absent: Json = {"status": "", "id": "", "from": ""}
    return {**absent, **event}


COMMAND = Command(
    run,
    options=(
        Option("filter", "f", "filter", "Show only events that match", choices="filters:events"),
        Option("format", "", "string", INSPECT_FORMAT_HELP),
        Option("since", "", "string", "Begin with the events since a time or an age"),
        Option("until", "", "string", "End at a time or an age"),
    ),
)
