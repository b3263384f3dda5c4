"""
Types of columns that the two databases spell differently.

Migrations rest on them as well, so what they mean stays as it is: what shall be another type gets another name.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, Text

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Compares and sorts by its UTF-8 bytes, in SQLite as in PostgreSQL, whatever the language of the database is."""

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")
"""Only an INTEGER PRIMARY KEY is SQLite's own row number."""
