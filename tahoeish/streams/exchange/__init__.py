"""
HTTP/1.1 from the asking side, to one server that is known by its key: short requests, many of them, answered whole.

`parser` reads an answer, and knows nothing of sockets. `connection` is one connection with at most one request on it,
`connections` are all to one server, kept for what comes next. Nothing is ever asked twice by itself.
"""
