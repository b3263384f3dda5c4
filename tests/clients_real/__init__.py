"""The real programs that people use WebDAV with, against a real node."""
