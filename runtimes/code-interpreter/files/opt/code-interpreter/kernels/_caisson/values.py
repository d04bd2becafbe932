"""Values of libraries as JSON has them."""

import datetime
import math


def plain(value):
    """Numbers, texts and nothing; times as ISO 8601."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "shape", ()) == ():
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if value == value else None
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return str(value)
