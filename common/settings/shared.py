"""The settings that both services share. Each is an environment variable and a flag; all are validated once."""

import ssl
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.settings.broker_url import EXAMPLE, BrokerUrl, check_host, parse_urls
from common.settings.types import Duration, check_queue_name


def check_readable(path: Path) -> Path:
    """`path` if it is a file that can be read. Raises ValueError."""
    try:
        if path.is_fifo():  # to open it is to wait for a writer, and it is read at every connect
            raise ValueError("is a pipe")
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _urls(value: object, info: ValidationInfo) -> SecretStr | None:
    if value is None:
        if info.data.get("mq_url_file", "named, and bad") is None:  # here, so that it is said beside all other mistakes
            raise ValueError("is required, or MQ_URL_FILE")
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    parse_urls(text)
    return SecretStr(text)


ReadableFile = Annotated[Path, AfterValidator(check_readable)]


class Settings(BaseSettings):
    """A field's name is its variable's, in lower case; `description` and `examples` are what --help and errors show."""

    # defer_build: what is never read itself, as this class, is not built at each start.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, defer_build=True
    )

    mq_url_file: ReadableFile | None = Field(
        None, description="a file that holds MQ_URL; read again at every connect", examples=["/run/secrets/mq-url"]
    )
    mq_url: Annotated[SecretStr | None, NoDecode, PlainValidator(_urls)] = Field(
        None, description="the broker: one URL, or several with commas between, tried in turn", examples=[EXAMPLE]
    )
    mq_ch: Annotated[str, AfterValidator(check_queue_name)] = Field(
        description="the queue, up to 235 bytes; its retry and dead-letter queues are named from it", examples=["jobs"]
    )
    mq_topology: Literal["create", "assert", "none"] = Field(
        "create", description="declare the queues: create, assert (only look), or none", examples=["create"]
    )
    mq_heartbeat: Annotated[Duration, Field(ge=1, le=600)] = Field(
        10.0, description="AMQP heartbeat; a dead peer is noticed after at most 2 x (this + 5s)", examples=["10s"]
    )
    mq_connect_timeout: Annotated[Duration, Field(gt=0)] = Field(
        10.0,
        description="at each try: for TCP, TLS and AMQP handshake, then as long for the queues",
        examples=["10s"],
    )
    mq_blocked_timeout: Annotated[Duration, Field(gt=0)] = Field(
        300.0,
        description="a broker in memory or disk alarm is waited for so long, then connected anew",
        examples=["5m"],
    )
    mq_confirm_timeout: Annotated[Duration, Field(gt=0)] = Field(
        30.0, description="a publish without its confirm for so long means a new connection", examples=["30s"]
    )
    mq_backoff_max: Annotated[Duration, Field(gt=0)] = Field(
        10.0, description="longest wait before the next try to connect", examples=["10s"]
    )
    mq_max_body: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)] = Field(
        16_000_000,
        description="bytes; a longer message is refused here (RabbitMQ 4 takes 16 MiB)",
        examples=["1000000"],
    )
    mq_wire: Literal["direct", "pika"] = Field(
        "direct", description="how frames are read and written: direct is quick, pika is plain pika", examples=["pika"]
    )
    mq_tls_ca_file: ReadableFile | None = Field(
        None, description="for amqps: trust these authorities and not the system's", examples=["/tls/ca.crt"]
    )
    mq_tls_cert_file: ReadableFile | None = Field(
        None, description="for amqps: our own certificate, with MQ_TLS_KEY_FILE", examples=["/tls/tls.crt"]
    )
    mq_tls_key_file: ReadableFile | None = Field(
        None, description="for amqps: the key of MQ_TLS_CERT_FILE", examples=["/tls/tls.key"]
    )
    http_host: Annotated[str, AfterValidator(check_host)] = Field(
        "127.0.0.1",
        description="where all HTTP ports listen",
        examples=["0.0.0.0"],  # noqa: S104
    )
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8080, description="port of /livez, /readyz, /metrics; 0 is off", examples=["8081"]
    )
    shutdown_grace: Annotated[Duration, Field(ge=0)] = Field(
        20.0, description="after SIGTERM or SIGINT, finish for so long, then leave", examples=["20s"]
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="spans go to this OpenTelemetry collector (extra `otel`)", examples=["http://collector:4318"]
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error", examples=["debug"]
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto is text on a terminal and json elsewhere", examples=["json"]
    )

    def broker_urls(self) -> tuple[BrokerUrl, ...]:
        """The brokers to try, in turn; MQ_URL_FILE is read anew. Raises OSError or ValueError, without the password."""
        if self.mq_url_file:
            text = self.mq_url_file.read_text(errors="surrogateescape")
            return parse_urls(text)  # which refuses what was no UTF-8, and shows none of it
        assert self.mq_url  # noqa: S101 - flags.load() saw that one of the two is there
        return parse_urls(self.mq_url.get_secret_value())

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, the broker's certificate and host name verified. Raises OSError for files it cannot use."""
        context = ssl.create_default_context(cafile=self.mq_tls_ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.mq_tls_cert_file:
            # Without a password OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(self.mq_tls_cert_file, self.mq_tls_key_file, password="")
        return context

    def problems(self) -> dict[str, str]:
        """What is wrong between settings that are each right: variable to sentence."""
        found = {}
        if self.mq_url and self.mq_url_file:
            found["MQ_URL_FILE"] = "and MQ_URL are both set; set one"
        elif self.mq_url_file:
            try:
                self.broker_urls()
            except (OSError, ValueError) as error:
                found["MQ_URL_FILE"] = f"{self.mq_url_file}: {error}"
        if bool(self.mq_tls_cert_file) != bool(self.mq_tls_key_file):
            found["MQ_TLS_CERT_FILE"] = "and MQ_TLS_KEY_FILE go together"
        elif self.mq_tls_ca_file or self.mq_tls_cert_file:
            try:
                self.tls_context()
            except OSError as error:
                found["MQ_TLS_CA_FILE"] = (
                    "or MQ_TLS_CERT_FILE, MQ_TLS_KEY_FILE: not usable as PEM files, the key without a pass phrase: "
                    f"{error.strerror or error}"
                )
        return found
