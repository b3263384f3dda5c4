// The files that somebody has chosen, dropped or pasted, each with its path: `{file, path}`. Of a folder with nothing in
// it, which only dropping tells of, the file is null.

export function* chosen(input) {
  for (const file of input.files) yield { file, path: file.webkitRelativePath || file.name };
}

export function* pasted(clipboard) {
  for (const file of clipboard.files) {
    // Browsers call every picture so that isn't a file.
    const path = file.name === "image.png" ? `pasted ${stamp(new Date())}.png` : file.name;
    yield { file, path };
  }
}

/** Folders with all that is in them. */
export async function* dropped(transfer) {
  // All of them at once: when this task has ended, the browser takes the list away.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = entries.length > 0 ? [] : Array.from(transfer.files);
  for (const file of files) yield { file, path: file.name };
  for (const entry of entries) yield* walk(entry);
}

async function* walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    yield { file, path: entry.fullPath.replace(/^\//, "") };
    return;
  }
  const reader = entry.createReader();
  for (let isEmpty = true; ; isEmpty = false) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) {
      if (isEmpty) yield { file: null, path: entry.fullPath.replace(/^\//, "") };
      return;
    }
    for (const inner of some) yield* walk(inner);
  }
}

function stamp(date) {
  const two = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${two(date.getHours())}.${two(date.getMinutes())}.${two(date.getSeconds())}`;
}
