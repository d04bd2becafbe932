"""The lines of an answer of /execute."""

import json

# MIME type → key of a result.
KEYS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}


def display_line(data, is_main):
    """A result of these representations, by MIME type."""
    line = {"type": "result", "is_main_result": is_main}
    others = {}
    for kind, value in data.items():
        key = KEYS.get(kind)
        if key is None:
            others[kind] = value
        else:
            line[key] = unquoted(value) if key == "text" else value
    if others:
        # Clients make their own `extra` of the keys that they do not know.
        line.update(others)
        line["extra"] = others
    return line


def unquoted(text):
    """The text of a string, whose representation has quotes around it."""
    if isinstance(text, str) and len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def error_line(name, value, traceback):
    return {"type": "error", "name": name, "value": value, "traceback": traceback}


def encode(line):
    """ASCII alone: clients decode each piece that arrives by itself, so that a character must not be cut in two."""
    return json.dumps(line, separators=(",", ":"), default=str).encode("ascii") + b"\n"
