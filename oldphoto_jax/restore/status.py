"""How it went with a photo, in one word, as reports say it."""

from __future__ import annotations

from typing import Any

OK = "ok"
NOTHING = "nothing_to_do"  # nothing was damaged, or asked for
BEYOND = "beyond_training"  # done, but holes were thicker than the network has learned
FAILED = "failed"


def whole(told: dict[str, Any], reason: str | None, colors: bool) -> dict[str, Any]:
    """How it went with the photo as a whole, from what is told of its holes and its colours."""
    notes = [note for note in (told.get("reason"), reason) if note]
    colored = colors and reason is None
    word = told.get("status", NOTHING if "marked" not in told else OK)
    if word == NOTHING and colored:
        word = OK
    return {"status": word} | ({"reason": "; ".join(notes)} if notes else {})
