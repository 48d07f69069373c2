// Save files from the page to the user's disk.

/** Save a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Save text as a file. */
export const saveText = (text, name, type) => save(new Blob([text], { type: `${type};charset=utf-8` }), name);

/** Return a name without its suffix: "party.final.jpg" → "party.final". */
export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "") || "photo";
