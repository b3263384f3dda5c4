"""
A node's other side: programs and people who put files into it and get them back.

- A **client** (`client`) puts a **source** (`source`: a file, bytes or a stream) and returns its cap; it
  gets a **download** (`download`) to iterate over, or brings it to a **target** (`target`) that is there
  whole or not at all.
- A **connection** (`connection`) hears what a node has to say while it is still being sent to.
- A **report** (`report`) says whether all of a file's shares are there; others (`backup`), what a snapshot holds and
  what of it has been brought back.
- An **error** (`errors`) says what went wrong and whose turn it is.
- The **command line** (`cli`) reads the words, the **commands** (`commands`) do it in the **foreground**
  (`foreground`), with a **progress** line (`progress`) on a terminal, from and to files and **descriptors**
  (`descriptors`) that have to be waited for. An **address** (`address`) is the node's, or a cap as it was
  pasted.
"""
