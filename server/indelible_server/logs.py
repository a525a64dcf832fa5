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
            structlog.processors.format_exc_info if log_format == "json" else _no_change,
            structlog.processors.JSONRenderer()
            if log_format == "json"
            else structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _no_change(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
