"""
The node as a whole: what an operator starts, configures and stops.

Its nouns: the `Config` (what `tahoeish.toml` says), the `NodeDirectory` (where one node keeps its secrets and
settings, held by one process at a time), the service (everything a running node consists of), and the
command line. The only room that may import every other, and the only one that knows the reactor.
"""
