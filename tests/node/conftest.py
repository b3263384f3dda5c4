"""The nodes that these tests start and end."""

from tests.nodes import new_node

__all__ = ["new_node"]
