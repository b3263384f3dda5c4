"""The part of a page where files are put in: by a script as far as there is one, else by a form."""

from __future__ import annotations

import html

from tahoeish.gateway.pages.assets import script

SCRIPT = script("upload.js")


def upload_panel(uploads: str, *, folder: bool, otherwise: str, inbox: bool = False) -> str:
    """
    `uploads` is the address where files are begun by tus. With `folder`, they get names below that address, and folders
    can be made there. `inbox`: what comes twice is kept twice, and who brings it doesn't see that. `otherwise` is
    shown, and is HTML already, where there are no scripts.
    """
    kind = f"{' data-folder' if folder else ''}{' data-inbox' if inbox else ''}"
    return (
        f'<section class="upload" data-uploads="{html.escape(uploads)}"{kind}'
        ' aria-label="Upload">'
        f'<div class="without-script">{otherwise}</div>'
        '<div class="drop" hidden>'
        '<p class="choose"><button type="button" class="files">Choose files</button>'
        '<button type="button" class="folders">Choose a folder</button></p>'
        '<p class="note">or drop them anywhere on this page, or paste them.</p>'
        '<input type="file" class="files" multiple hidden aria-label="Files">'
        '<input type="file" class="folders" webkitdirectory hidden aria-label="Folder"></div>'
        '<p class="said" role="status"></p>'
        '<ul class="transfers" tabindex="-1" aria-label="Files on their way" hidden></ul>'
        f"</section>{SCRIPT}"
    )
