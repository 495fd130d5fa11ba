/** The ways to add images: the file chooser, drag and drop, the clipboard, the camera, the samples. */

import { listenForCamera } from "./camera.js";
import { element } from "./dom.js";
import { Problem, unreachable } from "./problems.js";

/** Free images; README.md has their sources. The sample models know what they show. */
const SAMPLES = [
  ["cat-chelsea.jpg", "A tabby cat"],
  ["airplane-on-sky.jpg", "An aeroplane in a blue sky"],
  ["horse-silhouette.png", "The silhouette of a horse"],
  ["1-index-finger.jpg", "A hand showing one finger"],
  ["2-victory.jpg", "A hand showing two fingers"],
  ["5-open-hand.jpg", "An open hand"],
];

/**
 * Calls `add` with each list of images that the user adds. An image is {name, file}, with `source`,
 * its URL, for a sample; `unsaved` if the user has no such file; and `problem` instead of `file` if
 * it cannot be read.
 */
export function listenForImages(add) {
  listenForChooser(add);
  listenForDrop(add);
  listenForPaste(add);
  listenForCamera(add);
  showSamples(add);
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

function showSamples(add) {
  const list = document.getElementById("samples");
  list.append(...SAMPLES.map(([name, alt]) => {
    const source = new URL(`page/${name}`, document.baseURI).href;
    const image = element("img", { src: source, alt, width: 72, height: 72, loading: "lazy" });
    const button = element("button", { type: "button", title: alt }, image);
    button.onclick = async () => add([await fetchSample(name, source)]);
    return element("li", {}, button);
  }));
}

async function fetchSample(name, source) {
  try {
    const response = await fetch(source);
    if (response.ok) return { name, file: await response.blob(), source };
  } catch {
    // reported below, as an error status is
  }
  return { name, problem: unreachable() };
}
