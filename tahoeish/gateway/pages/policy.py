"""What a browser lets our own pages do (Content Security Policy)."""

from __future__ import annotations

PLAIN = b"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""A page with forms and links."""

SCRIPTED = PLAIN + b"; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'"
"""A page with scripts, which may talk to this node."""
