"""The keys that leave a container running: parsing them, and finding them in what is typed."""

from __future__ import annotations

from moorage.cli.failure import CommandError

DEFAULT = "ctrl-p,ctrl-q"
_CONTROLS = {
    "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31,
}  # fmt: skip


def parse(text: str) -> bytes:
    """Return the bytes of ``ctrl-p,ctrl-q``; empty text is the default.

    Raises: CommandError.
    """
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
            continue
        control = key.removeprefix("ctrl-")
        if control == key or len(control) != 1:
            raise CommandError(f"invalid detach keys ({text}): Unknown character: '{key}'")
        if "a" <= control <= "z":
            keys.append(ord(control) - ord("a") + 1)
        elif control in _CONTROLS:
            keys.append(_CONTROLS[control])
        else:
            raise CommandError(f"invalid detach keys ({text}): Unknown character: '{key}'")
    return bytes(keys)


class Watcher:
    """Hold back what may be the beginning of the sequence, pass on everything else."""

    def __init__(self, keys: bytes) -> None:
        self.keys = keys
        self.matched = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """Return the bytes to pass on, and whether the sequence is complete."""
        passed = bytearray()
        for byte in typed:
            if byte == self.keys[self.matched]:
                self.matched += 1
                if self.matched == len(self.keys):
                    return bytes(passed), True
                continue
            passed += self.keys[: self.matched]
            self.matched = 0
            if byte == self.keys[0]:
                self.matched = 1
            else:
                passed.append(byte)
        return bytes(passed), False
