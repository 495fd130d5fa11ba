/** The ways to add images of one's own: the file chooser, drag and drop, the clipboard, the camera. */

import { listenForCamera } from "./camera.js";
import { Problem } from "../api/problems.js";

/**
 * Calls `add` with each list of images that the user adds. An image is {name, file}, with
 * `unsaved` if the user has no such file, and `problem` instead of `file` if it cannot be read.
 */
export function listenForImages(add) {
  listenForChooser(add);
  listenForDrop(add);
  listenForPaste(add);
  listenForCamera(add);
}

function listenForChooser(add) {
  const input = document.getElementById("choose");
  input.onchange = () => {
    add([...input.files].map((file) => ({ name: file.name, file })));
    input.value = ""; // so that the same file can be chosen again
  };
  // The input looks like a button, so Enter must work as well.
  input.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    input.click();
  };
}

function listenForDrop(add) {
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  const highlight = (on) => document.body.classList.toggle("dragging", on);
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    highlight(true);
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) highlight(false); });
  addEventListener("drop", (event) => {
    highlight(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    add([...event.dataTransfer.items].filter(({ kind }) => kind === "file").map(droppedImage));
  });
}

function droppedImage(item) {
  const file = item.getAsFile();
  if (!item.webkitGetAsEntry()?.isDirectory) return { name: file.name, file };
  const problem = new Problem({ title: "This is a folder", detail: "Open the folder and drag its images here." });
  return { name: file.name, problem };
}

/** The files that were dropped, {name, file} each, and those in the folders among them. */
export async function droppedImages({ items }) {
  const dropped = [...items].filter(({ kind }) => kind === "file")
    .map((item) => ({ file: item.getAsFile(), entry: item.webkitGetAsEntry() }));
  const found = await Promise.all(dropped.map(async ({ file, entry }) =>
    (entry?.isDirectory ? filesIn(entry) : [{ name: file.name, file }])));
  return found.flat();
}

async function filesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (let some; some?.length !== 0; entries.push(...some)) {
    some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at most
  }
  const visible = entries.filter(({ name }) => !name.startsWith("."));
  const found = await Promise.all(visible.map(async (entry) => {
    if (entry.isDirectory) return filesIn(entry);
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ name: file.name, file }];
  }));
  return found.flat();
}

function listenForPaste(add) {
  let count = 0;
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    add(files.map((file) => {
      count += 1;
      return { name: `pasted-${count}.${file.type.split("/").at(-1)}`, file, unsaved: true };
    }));
  });
}
