"""
HTTP/2 under streaming requests: twisted.web's connection, with other rules for who may send when.

One connection carries many requests, so nothing that one of them does may hold up the others:

- What has come in is acknowledged for the connection as a whole at once, and for its stream when somebody reads it
  (`Http2Flow`). A body that nobody reads fills its own window, never the connection's.
- A response waits in a short queue of its own, and its writer waits when that is full. Streams send a frame in turn.
- As in HTTP/1.1 a request acts when everything that came in together has been noted; a stream that was reset meanwhile
  does nothing at all.
- What is wrong with one request resets its stream. Only what breaks HTTP/2 itself ends the connection.
"""
