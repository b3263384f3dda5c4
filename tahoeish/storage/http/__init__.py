"""
The storage protocol, served over HTTPS.

- An **endpoint** (`routing`) is a method, a form of path, the secrets that it wants, and what answers.
- A **call** is one request to an endpoint, let in and taken apart.
- **Immutable**, **mutable** and **extension** shares' endpoints have a module each; `reading` sends shares of both
  kinds.
- The **site** (`site`) puts them together, and keeps connections within bounds.
"""
