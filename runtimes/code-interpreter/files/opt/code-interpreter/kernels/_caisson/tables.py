"""A data frame as its columns."""

from .values import plain

# A larger one is shown as text and HTML alone.
MAX_CELLS = 200_000


def describe(table):
    frame = table.to_frame() if hasattr(table, "to_frame") else table
    if frame.size > MAX_CELLS:
        return None
    return {str(name): [plain(value) for value in frame.iloc[:, at].tolist()] for at, name in enumerate(frame.columns)}
