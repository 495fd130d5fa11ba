/** The ways to add images of one's own: the file chooser, drag and drop, the clipboard, the camera. */

import { listenForCamera } from "./camera.js";
import { Problem } from "./problems.js";

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
