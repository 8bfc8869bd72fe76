"""Pieces of HTML on Datasette's own pages. 1.0 has slots for them; 0.65 has none, so there a script puts the same piece
below the heading; without JavaScript the page is as it always was."""

from __future__ import annotations

import json

__all__ = ["below_heading"]


def below_heading(html: str | None) -> dict[str, str]:
    """Return a script for `extra_body_script`; an empty one where there is nothing to show."""
    if html is None:
        return {"script": ""}
    said = json.dumps(html).replace("<", "\\u003c")  # so that nothing in it can end the script
    return {"script": f"document.querySelector('section.content h1')?.insertAdjacentHTML('afterend', {said});"}
