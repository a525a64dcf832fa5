"""Logs as events on standard error, as text or as JSON lines."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logging(log_format: str, level: int = logging.INFO) -> None:
    """Set up logging of this process; `log_format` is "text" or "json"."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *(_JSON if log_format == "json" else _TEXT),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


_JSON = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
# Plain tracebacks: the pretty ones show the values of variables, and so what people keep secret.
_TEXT = (structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),)
