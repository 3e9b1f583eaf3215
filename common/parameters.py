"""From our settings to pika's connection parameters."""

from pika import ConnectionParameters, PlainCredentials, SSLOptions

from common.broker_url import BrokerUrl
from common.settings import Settings


def connection_parameters(url: BrokerUrl, settings: Settings, name: str) -> ConnectionParameters:
    """Every wait of pika's has a bound. Raises OSError (ssl.SSLError too) for TLS files that cannot be used."""
    heartbeat = round(settings.mq_heartbeat)
    return ConnectionParameters(
        host=url.host,
        port=url.port,
        virtual_host=url.vhost,
        credentials=PlainCredentials(url.username, url.password),
        ssl_options=SSLOptions(settings.tls_context(), url.host) if url.tls else None,
        heartbeat=heartbeat,
        blocked_connection_timeout=settings.mq_blocked_timeout,
        socket_timeout=settings.mq_connect_timeout,
        stack_timeout=settings.mq_connect_timeout,
        # A dead peer that acknowledges no packet is known sooner so than by its missing heartbeat.
        tcp_options={"TCP_USER_TIMEOUT": 2000 * heartbeat},
        client_properties={"connection_name": name, "product": "mq-pair"},
    )
