"""OpenTelemetry traces: off, and not even imported, unless OTEL_EXPORTER_OTLP_ENDPOINT says where to send them.

Spans are delivery, event and request. They hold ids, kinds and outcomes; the text of an exception, which may quote a
payload, never goes into one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sync.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINT: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Traces:
    """A tracer with its own provider, so that it is nobody else's."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take over the provider; `close` ends it."""
        self._provider = provider
        self._tracer = provider.get_tracer("mapper-sync")

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any]) -> Iterator[Callable[[str, str], None]]:
        """A span; what is yielded puts an attribute on it."""
        with self._tracer.start_as_current_span(
            name, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
        ) as span:
            yield span.set_attribute

    def close(self) -> None:
        """Send what is left and end."""
        self._provider.shutdown()


def open_traces(environ: Mapping[str, str] | None = None) -> Traces | None:
    """Traces as the environment wants them; None when it names no endpoint.

    Raises:
        SettingsError: The packages of the extra ``traces`` are missing.
    """
    env = os.environ if environ is None else environ
    endpoint = next((env[name].strip() for name in ENDPOINT if env.get(name, "").strip()), None)
    if endpoint is None or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT needs its packages: pip install 'mapper-ai[traces]'") from None
    given = env.get(ENDPOINT[0], "").strip()
    address = given or f"{endpoint.rstrip('/')}/v1/traces"
    provider = TracerProvider(resource=Resource.create({"service.name": env.get("OTEL_SERVICE_NAME", "mapper-sync")}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    return Traces(provider)
