"""Shared: the settings of both services. Each is an environment variable and a flag, and is validated once."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.settings.broker_url import EXAMPLE, BrokerUrl, check_host, parse_urls
from common.settings.types import Duration, check_queue_name, check_visible

IN_THE_CLEAR = (
    "amqp:// is not encrypted, and MQ_TLS_CA_FILE or MQ_TLS_CERT_FILE is set: write amqps://, or leave them out"
)


def check_readable(path: Path) -> Path:
    """The absolute path of a file that can be read: a plugin may change the working folder. Raises ValueError."""
    try:
        if path.is_fifo():  # opening a pipe waits for a writer, and the file is read at every connect
            raise ValueError("is a pipe")
        with path.open("rb"):
            return path.absolute()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _urls(value: object, info: ValidationInfo) -> SecretStr | None:
    if value is None:
        if info.data.get("mq_url_file", "named, and bad") is None:  # here, to be reported with all other mistakes
            raise ValueError("is required, or MQ_URL_FILE")
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    parse_urls(text)
    return SecretStr(text)


ReadableFile = Annotated[Path, AfterValidator(check_readable)]
Timeout = Annotated[Duration, Field(gt=0)]


def setting(default: object, description: str, example: str, *, unset: str = "-") -> Any:
    """A field of settings; --help shows `description`, and `unset` for a default of None; errors show `example`."""
    return Field(default, description=description, examples=[example], json_schema_extra={"unset": unset})


class Settings(BaseSettings):
    """A field's name is its variable's, in lower case."""

    # defer_build: a class that is never read, such as this one, is not built at each start.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, defer_build=True
    )

    mq_url_file: ReadableFile | None = setting(
        None, "a file that holds MQ_URL; read again at every connect", "/run/secrets/mq-url"
    )
    mq_url: Annotated[SecretStr | None, NoDecode, PlainValidator(_urls)] = setting(
        None, "the broker: one URL, or several with commas between, tried in turn", EXAMPLE
    )
    mq_ch: Annotated[str, AfterValidator(check_queue_name)] = Field(
        description="the queue, up to 235 bytes; its retry and dead-letter queues are named from it", examples=["jobs"]
    )
    mq_topology: Literal["create", "assert", "none"] = setting(
        "create", "declare the queues: create, assert (only look), or none", "create"
    )
    mq_heartbeat: Annotated[Duration, Field(ge=1, le=600)] = setting(
        10.0, "AMQP heartbeat; a dead peer is noticed after at most 2 x (this + 5s)", "10s"
    )
    mq_connect_timeout: Timeout = setting(
        10.0, "at each try: for TCP, TLS and AMQP handshake, then as long for the queues", "10s"
    )
    mq_blocked_timeout: Timeout = setting(
        300.0, "a broker in memory or disk alarm is waited for so long, then connected anew", "5m"
    )
    mq_confirm_timeout: Timeout = setting(
        30.0, "a publish without its confirm for so long means a new connection", "30s"
    )
    mq_backoff_max: Timeout = setting(10.0, "longest wait before the next try to connect", "10s")
    mq_max_body: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)] = setting(
        16_000_000, "bytes; a longer message is refused here (RabbitMQ 4 takes 16 MiB)", "1000000"
    )
    mq_wire: Literal["direct", "pika"] = setting(
        "direct", "how frames are read and written: direct is quick, pika is plain pika", "pika"
    )
    mq_tls_ca_file: ReadableFile | None = setting(
        None, "for amqps: trust these authorities and not the system's", "/tls/ca.crt"
    )
    mq_tls_cert_file: ReadableFile | None = setting(
        None, "for amqps: our own certificate, with MQ_TLS_KEY_FILE", "/tls/tls.crt"
    )
    mq_tls_key_file: ReadableFile | None = setting(None, "for amqps: the key of MQ_TLS_CERT_FILE", "/tls/tls.key")
    http_host: Annotated[str, AfterValidator(check_host)] = setting(
        "127.0.0.1",
        "where all HTTP ports listen",
        "0.0.0.0",  # noqa: S104
    )
    http_port: Annotated[int, Field(ge=0, le=65535)] = setting(
        8080, "port of /livez, /readyz, /metrics; 0 is off", "8081"
    )
    shutdown_grace: Annotated[Duration, Field(ge=0)] = setting(
        20.0, "after SIGTERM or SIGINT, finish for so long, then leave", "20s"
    )
    otel_exporter_otlp_endpoint: str | None = setting(
        None, "spans go to this OpenTelemetry collector (extra `otel`)", "http://collector:4318"
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "debug, info, warning or error", "debug")
    log_format: Literal["auto", "json", "text"] = setting(
        "auto", "auto is text on a terminal and json elsewhere", "json"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _visible(cls, value: object, info: ValidationInfo) -> object:
        # MQ_URL is looked at without the white space around it, and no part of it may be shown.
        return check_visible(value) if isinstance(value, str) and info.field_name != "mq_url" else value

    @field_validator(
        "mq_topology", "mq_wire", "log_level", "log_format", "preflight_for", mode="before", check_fields=False
    )
    @classmethod
    def _in_any_case(cls, word: object) -> object:
        return word.lower() if isinstance(word, str) else word

    def broker_urls(self) -> tuple[BrokerUrl, ...]:
        """The brokers to try, in turn; reads MQ_URL_FILE again. Raises OSError or ValueError, without the password."""
        urls = parse_urls(self.url_text())
        # At each connect too: the file may have become another.
        if (self.mq_tls_ca_file or self.mq_tls_cert_file) and not all(url.tls for url in urls):
            raise ValueError(IN_THE_CLEAR)
        return urls

    def url_text(self) -> str:
        """MQ_URL, or what is in MQ_URL_FILE now. Raises OSError."""
        if self.mq_url_file:
            # Also with a Windows editor's byte order mark. parse_urls refuses what is no UTF-8, and shows none of it.
            return self.mq_url_file.read_text("utf-8-sig", errors="surrogateescape")
        assert self.mq_url  # noqa: S101 - validated: one of the two is set
        return self.mq_url.get_secret_value()

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer that verifies the broker's certificate and host name. Raises OSError for unusable files."""
        context = ssl.create_default_context(cafile=self.mq_tls_ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.mq_tls_cert_file:
            # Without a password argument OpenSSL would ask on the terminal, and wait.
            context.load_cert_chain(self.mq_tls_cert_file, self.mq_tls_key_file, password="")
        return context

    def problems(self) -> dict[str, str]:
        """Contradictions between settings that are valid alone: variable to sentence."""
        found = {}
        if self.mq_url and self.mq_url_file:
            found["MQ_URL_FILE"] = "and MQ_URL are both set; set one"
        else:
            try:
                self.broker_urls()
            except (OSError, ValueError) as error:
                if self.mq_url_file:
                    found["MQ_URL_FILE"] = f"{self.mq_url_file}: {error}"
                else:
                    found["MQ_URL"] = str(error)
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
