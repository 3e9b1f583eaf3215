"""Values, methods and properties as JSON, by all that can be asked of them; and the properties that the cases send."""

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

NOON = dt.datetime(2026, 1, 2, 12, 0, 5, tzinfo=dt.UTC)
HEADERS = {
    "text": "grün",
    "number": 7,
    "long": 2**40,
    "yes": True,
    "nothing": None,
    "bytes": b"\x00\xff",
    "list": [1, "two", [3]],
    "table": {"inside": {"deep": 1}},
    "noon": NOON,
    "price": decimal.Decimal("12.50"),
}
SENT: dict[str, Any] = {
    "content_type": "image/png",
    "content_encoding": "gzip",
    "headers": HEADERS,
    "delivery_mode": 2,
    "priority": 3,
    "correlation_id": "c",
    "reply_to": "r",
    "expiration": "60000",
    "message_id": "m",
    "timestamp": 1_767_355_205,
    "type": "t",
    "user_id": "guest",
    "app_id": "a",
    "cluster_id": "k",
}


def kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def shown(value: object) -> Any:
    """As JSON, with its type."""
    if isinstance(value, dict):
        return {"": kind(value)} | {repr(key): shown(each) for key, each in value.items()}
    return [kind(value), repr(value)]


def described(value: Any) -> Any:
    """A method or properties, by all that can be asked of it."""
    of_pika = next(each for each in type(value).__mro__ if each.__module__.startswith("pika."))
    fields = {name: attempt(lambda: getattr(value, name)) for name in sorted(vars(of_pika()))}  # noqa: B023
    return {
        "type": kind(value),
        "fields": fields,
        "repr": repr(value),
        "encoded": attempt(lambda: b"".join(value.encode())),
        "own": shown(dict(sorted(vars(value).items()))),
        "class": [str(value.INDEX), value.NAME, repr(getattr(value, "synchronous", None))],
        "names": [name for name in dir(value) if not name.startswith("__")],
    }


def attempt(function: Callable[[], object]) -> Any:
    """What it returns, or raises."""
    try:
        return shown(function())
    except Exception as error:  # noqa: BLE001 - any is a result
        return f"{kind(error)}: {error}"
