"""callcore: telephone control for public call centres on a real Asterisk."""

__version__ = "0.1.0"
