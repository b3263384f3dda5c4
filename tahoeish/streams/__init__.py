"""
Bytes in motion.

- A **body** (`body`) is a request's content as an asynchronous stream: reading it opens the socket, not
  reading it closes it, and each way it can end has a name.
- A **flow** is what a body needs of the connection it arrives on: pause, resume, invite, abort. A **channel**
  (`channel`) is what a request has come by: a connection (`http1`), or a stream of one (`http2`).
- A **streaming request** (`request`) finds its resource when the head is in, and gives it the body; a **site**
  (`site`) is the server that has them.
- A **response** (`response`) is written only as fast as the client drinks; a client that drinks slowly isn't idle
  (`slowness`).
- A **form** (`forms`) is a multipart body taken apart while it arrives.
- A **coding** (`codings`, `expansion`) is what a body is packed in; it is unpacked while it arrives.
- A **claim** (`digests`) is a digest that a client has made of what it sends; a **verifier** (`verifier`, `hashers`)
  sets it against what arrives.
- **Structured** header fields (`structured`) are those of RFC 9651.
- A **producer** (`producer`) is the same thing the other way round: the body of a request that we send.
- A **pinned agent** (`tls`) sends requests to a server that it knows by its key. It is **attentive** (`attentive`):
  it hears an early answer early.
- A **gate** (`gate`) lets newcomers in while there is little to do.
- A **budget** (`budget`) is the memory that all transfers of a node share.
- **Threads** (`threads`) do what takes the processor or waits for a disk.
"""
