"""
WebDAV at `/files`.

- **Elements** (`elements`) are XML that strangers send; **bodies** (`bodies`) are what it asks for. `headers` and
  `if_header` are the same for headers, `addresses` and `hrefs` for addresses. None of these does any I/O.
- A **visit** (`visit`) is one request, as far as all methods understand it alike.
- `listing` (PROPFIND), `reading` (GET), `storing` (PUT), `changing` (MKCOL, DELETE, COPY, MOVE, PROPPATCH) and
  `locking` (LOCK, UNLOCK) answer it; the **resource** (`resource`) knows them all.
- **Properties** (`properties`) are told in a **multistatus** (`multistatus`), and to people in a **folder page**
  (`folder_page`).
"""
