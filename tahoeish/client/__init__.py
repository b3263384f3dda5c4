"""
A node's other side: programs and people who put files into it and get them back.

- A **client** (`client`) puts a **source** (`source`: a file, bytes or a stream) and returns its cap; it
  gets a **download** (`download`) to iterate over, or brings it to a **target** (`target`) that is there
  whole or not at all.
- **File uploads** (`uploading`) bring files to the node in spite of what comes between: a **resumable upload**
  (`resuming`, over `tus`) goes on where it stopped, as long as the **steady file** (`steady`) is the same, by what the
  **session store** (`sessions`) remembers, and after the pauses of **patience** (`patience`). A **destination**
  (`destination`) is a cap or a name; a **watcher** (`watching`) sees what happens.
- **Tree uploads** (`tree`) compare a **local tree** (`local_tree`) with the node's **folders** (`folders`), and send
  what differs, several files **at once** (`at_once`).
- An **exchange** (`exchange`) is requests and answers, over a **connection** (`connection`) that hears what a node has
  to say while it is still being sent to.
- A **report** (`report`) says whether all of a file's shares are there; others (`backup`), what a snapshot holds and
  what of it has been brought back.
- An **error** (`errors`) says what went wrong and whose turn it is.
- The **command line** (`cli`, `defaults`) reads the words, the **commands** (`put_command`, `commands`) do it in the
  **foreground** (`foreground`) of a **terminal** (`terminal`), with **views** (`views`) and a **progress** line
  (`progress`), from and to files and **descriptors** (`descriptors`) that have to be waited for. An **address**
  (`address`) is the node's, or a name or a cap as it was typed or pasted. **Exits** (`exits`) are what the shell sees.
"""
