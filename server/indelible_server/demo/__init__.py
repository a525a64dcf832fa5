"""The demo: a sample library, a server, edits, a sync, and the proof by a reader that the engine does not use."""

from .story import run_demo

__all__ = ["run_demo"]
