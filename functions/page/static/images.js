/** How images come in: chosen, dropped, pasted, or one of the samples. */

import { element } from "./dom.js";
import { Problem, unreachable } from "./problems.js";

/** Free images (README.md beside them); the labels say which sample model knows their like. */
const SAMPLES = [
  ["cat-chelsea.jpg", "A tabby cat"],
  ["airplane-on-sky.jpg", "An aeroplane in a blue sky"],
  ["horse-silhouette.png", "A horse, as a silhouette"],
  ["1-index-finger.jpg", "A hand that shows one finger"],
  ["2-victory.jpg", "A hand that shows two fingers"],
  ["5-open-hand.jpg", "An open hand"],
];

/**
 * Calls `take` with a list of images whenever some come in: {name, file} with `source`, its
 * address, where the page has fetched it, `unsaved` where the reader has no such file, and
 * `problem` instead of `file` where there is none.
 */
export function watch(take) {
  watchChoosing(take);
  watchDropping(take);
  watchPasting(take);
  showSamples(take);
}

function watchChoosing(take) {
  const input = document.getElementById("choose");
  input.onchange = () => {
    take([...input.files].map((file) => ({ name: file.name, file })));
    input.value = ""; // the same file may be chosen again
  };
  // It looks like a button, and buttons are pressed with Enter, too.
  input.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    input.click();
  };
}

function watchDropping(take) {
  const carriesFiles = (event) => event.dataTransfer.types.includes("Files");
  const mark = (on) => document.body.classList.toggle("dragging", on);
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  addEventListener("drop", (event) => {
    mark(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.items].filter(({ kind }) => kind === "file").map(dropped));
  });
}

function dropped(item) {
  const file = item.getAsFile();
  if (!item.webkitGetAsEntry()?.isDirectory) return { name: file.name, file };
  const problem = new Problem({ title: "This is a folder", detail: "Open it, and drop the images that are in it." });
  return { name: file.name, problem };
}

function watchPasting(take) {
  let count = 0;
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    take(files.map((file) => {
      count += 1;
      return { name: `pasted-${count}.${file.type.split("/").at(-1)}`, file, unsaved: true };
    }));
  });
}

function showSamples(take) {
  const list = document.getElementById("samples");
  list.append(...SAMPLES.map(([name, alt]) => {
    const source = new URL(`page/${name}`, document.baseURI).href;
    const image = element("img", { src: source, alt, width: 72, height: 72, loading: "lazy" });
    const button = element("button", { type: "button", title: alt }, image);
    button.onclick = async () => take([await fetched(name, source)]);
    return element("li", {}, button);
  }));
}

async function fetched(name, source) {
  try {
    const answer = await fetch(source);
    if (answer.ok) return { name, file: await answer.blob(), source };
  } catch {
    // told below
  }
  return { name, problem: unreachable() };
}
