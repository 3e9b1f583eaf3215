"""Handlers that compare, edit and publish again the properties that they get."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pika import BasicProperties, BlockingConnection, URLParameters

from common.message import Message
from consumer.outcome import Reject

HEADERS = {"gone": "x", "number": 7, "table": {"inside": 1}, "tenant": "a"}  # in the order that a broker gives them
SENT: dict[str, Any] = {"message_id": "m", "content_type": "image/png", "delivery_mode": 2, "priority": 3}


def sent() -> BasicProperties:
    """What the test publishes."""
    return BasicProperties(headers=HEADERS, **SENT)


QUESTIONS: dict[str, Callable[[Message], object]] = {
    "properties ==": lambda message: message.properties == sent(),
    "== properties": lambda message: sent() == message.properties,
    "!= others": lambda message: message.properties != BasicProperties(headers=HEADERS),
    "repr": lambda message: repr(message.properties) == repr(sent()),
    "vars": lambda message: vars(message.properties) == vars(sent()),
    "encode": lambda message: b"".join(message.properties.encode()) == b"".join(sent().encode()),
    "instance": lambda message: isinstance(message.properties, BasicProperties),
    "headers": lambda message: message.headers == HEADERS and isinstance(message.headers, dict),
    "one table": lambda message: message.headers is message.properties.headers,
}


def _enrich(headers: Any) -> None:
    headers["step"] = 2
    del headers["gone"]
    headers["table"]["inside"] = 9


def _replace(message: Message) -> None:
    message.properties.message_id = "mine"
    message.properties.priority = None
    message.properties.headers = {"step": 2}


EDITS: dict[str, Callable[[Message], None]] = {
    "properties.headers": lambda message: _enrich(message.properties.headers),
    "headers": lambda message: _enrich(message.headers),
    "cleared": lambda message: message.properties.headers.clear(),
    "fields": _replace,
    "float": lambda message: message.properties.headers.update(step=2),
    "rejected": lambda message: _enrich(message.properties.headers),
}


def ask(message: Message) -> None:
    """Write down the answer to the question that the body names, which is the first about these properties."""
    try:
        answer = QUESTIONS[message.text](message)
    except Exception as error:  # noqa: BLE001 - the test shows it
        answer = repr(error)
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps([message.text, answer]) + "\n")


def enrich(message: Message) -> None:
    """Edit the properties as the body says, publish them to the queue FORWARD on a connection of its own, and fail."""
    EDITS[message.text](message)
    with BlockingConnection(URLParameters(os.environ["MQ_URL"])) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", os.environ["FORWARD"], message.body, message.properties, mandatory=True)
    raise Reject("no more") if message.text == "rejected" else ValueError("after the edit")
