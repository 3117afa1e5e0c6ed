"""The flags that stand before the command."""

from __future__ import annotations

from moorage.cli.options import Option

GLOBAL_OPTIONS = (
    Option("config", "", "string", "Where the client's configuration lies", choices="directories"),
    Option(
        "context",
        "c",
        "string",
        "Use this context (overrides DOCKER_HOST and the current context)",
        choices="contexts",
    ),
    Option("debug", "D", "bool", "Show a traceback when the client itself fails"),
    Option("host", "H", "list", "Daemon to connect to: unix://, tcp:// or ssh://"),
    Option(
        "log-level",
        "l",
        "string",
        'Least severe messages to show ("debug", "info", "warn", "error", "fatal")',
        "info",
        choices="debug info warn error fatal",
    ),
    Option("tls", "", "bool", "Use TLS; implied by --tlsverify"),
    Option("tlscacert", "", "string", "Trust only certificates signed by this CA", choices="files"),
    Option("tlscert", "", "string", "Client certificate", choices="files"),
    Option("tlskey", "", "string", "Client certificate's key", choices="files"),
    Option("tlsverify", "", "bool", "Use TLS and verify the daemon's certificate"),
    Option("version", "v", "bool", "Print the client's version and quit"),
)
