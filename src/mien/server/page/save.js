// Downloads: made here, from what is here.

/** Hand a blob to the browser as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Save text as a file. */
export const saveText = (text, name, type) => save(new Blob([text], { type: `${type};charset=utf-8` }), name);

/** A name without its ending: "party.final.jpg" → "party.final". */
export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "") || "picture";
