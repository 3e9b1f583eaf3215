"""Policies: what those of an administrator do to our queues, by the broker's management page. Pure but for the request.

AMQP does not tell which policy applies to a queue.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

from common.amqp.errors import NO_STREAM, BrokerError, Kind
from common.amqp.topology import DELIVERY_LIMIT, Topology
from common.doctor.network import page_connection, reason
from common.doctor.report import Check, Status, refused
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings

MAX_ANSWER = 1024 * 1024  # bytes
HOW = "with MQ_MANAGEMENT_URL, and the tag `management` for the user, doctor names policies that reach our queues"
CHANGE = "let the pattern of the policy match no more than it means (rabbitmqctl list_policies)"


def check_policies(page: str | None, url: BrokerUrl, topology: Topology, settings: Settings) -> Check:
    """What policies would do to the queues of `topology`; that nobody looked, where the page does not say."""
    if not page:
        return Check("policies", Status.NOTE, f"not looked at: {HOW}")
    found: list[str] = []
    try:
        if url.tls and urlsplit(page).scheme != "https":
            raise ValueError("the password would go there in the clear")
        for queue in topology.queues:
            status, text = _get(page, url, queue.name, settings)
            if status not in {200, 404}:
                return Check("policies", Status.NOTE, f"not looked at: {page} answers {status}", HOW)
            told = json.loads(text) if status == 200 else {}
            if told.get("type") == "stream":
                return refused("policies", BrokerError(Kind.TOPOLOGY, f"{queue.name} is a stream", NO_STREAM))
            found += effects(topology, queue.name, told)
    except (OSError, HTTPException, ValueError, AttributeError) as error:
        return Check("policies", Status.NOTE, f"not looked at: {page}: {reason(error)}", HOW)
    if found:
        return Check("policies", Status.WARNING, "\n".join(found), CHANGE)
    return Check("policies", Status.OK, "none that drops, deletes or parks messages")


def effects(topology: Topology, queue: str, told: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what the policy of `queue` does, as the page told of it. Arguments win over a policy."""
    policy, arguments = told.get("effective_policy_definition") or {}, told.get("arguments") or {}
    which = " and ".join(str(told[kind]) for kind in ("policy", "operator_policy") if told.get(kind))
    overflow = arguments.get("x-overflow") or policy.get("overflow", "drop-head")
    limits = [name for name in ("max-length", "max-length-bytes") if name in policy]
    says = f"policy {which} on {queue}:"
    if limits and overflow != "reject-publish":
        yield f"{says} {limits[0]} {policy[limits[0]]} drops the oldest messages"
    elif limits and queue != topology.name:
        yield f"{says} {limits[0]} {policy[limits[0]]}; what finds no room waits in the consumer"
    if "message-ttl" in policy and queue == topology.dead:
        yield f"{says} message-ttl {policy['message-ttl']} ms deletes parked messages"
    elif "message-ttl" in policy:
        goes = "parks what waits longer" if queue == topology.name else "shortens the delay"
        yield f"{says} message-ttl {policy['message-ttl']} ms {goes}"
    if "expires" in policy:
        yield f"{says} expires {policy['expires']} ms deletes the queue with its messages when nobody uses it"
    limit = policy.get("delivery-limit")
    if isinstance(limit, int) and 0 <= limit < DELIVERY_LIMIT and queue == topology.name:
        yield f"{says} delivery-limit {limit} parks what {limit + 1} killed consumers held, begun with or not"


def _get(page: str, url: BrokerUrl, queue: str, settings: Settings) -> tuple[int, bytes]:
    path = f"{urlsplit(page).path.rstrip('/')}/api/queues/{quote(url.vhost, safe='')}/{quote(queue, safe='')}"
    login = b64encode(f"{url.username}:{url.password}".encode()).decode()
    with closing(page_connection(page, settings)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER)
