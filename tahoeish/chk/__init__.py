"""
Tahoe-LAFS immutable files, and nothing else: no network, no disk, no threads, no clock.

A file is named by a *cap* (`caps`). On the way in, an `Encoder` cuts plaintext into *segments*; sealing a
segment encrypts it, erasure-codes it into one *block* per share, and hashes the blocks. The blocks of one
number, framed by a header and the file's Merkle trees (`layout`), are a *share*. On the way out, a
`Decoder` has a `ShareReader` for each share it reads from, and turns any `needed` of a segment's blocks
back into plaintext, having verified each. A `ShareVerifier` verifies a share whole, and takes no key.

Encoding can be interrupted: a `Checkpoint` (`checkpoint`) is what an `Encoder` needs to go on in another process.

A file may hold the table of a *directory* (`directory`): names, each with a cap and metadata. Its own cap is that of
the file, marked as a directory's (`directory_caps`).

Everything here takes bytes and returns bytes. The heavy calls (`Segment.seal`, `Encoder.absorb`,
`Decoder.open_segment`) release the interpreter lock for nearly all of their time: run them in worker threads.
"""
