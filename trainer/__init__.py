"""Train, evaluate, compile, verify and operate pattern-confidence models."""

__version__ = "0.1.0"
