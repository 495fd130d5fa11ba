/** The page: select a model in the gallery, add images, and see the results. */

import { Api } from "./api/api.js";
import { ApiKey } from "./api/api-key.js";
import { announce, element } from "./dom.js";
import { counted, moment } from "./format.js";
import { Batch } from "./results/batch.js";
import { Deletion } from "./models/deletion.js";
import { Examples } from "./images/examples.js";
import { Gallery } from "./models/gallery.js";
import { listenForImages } from "./images/image-input.js";
import { description } from "./models/model-details.js";
import { Queue } from "./api/queue.js";
import { Result } from "./results/result.js";
import { Teaching } from "./teach/teach.js";
import { Warmth } from "./results/timing.js";

const CONCURRENT_PREDICTIONS = 3;

const apiKey = new ApiKey(sessionStorage);
const api = new Api(apiKey);
const asked = new URLSearchParams(location.search);
const gallery = new Gallery(api, asked.get("model"));
const deletion = new Deletion(api, forgetModel);
const teaching = new Teaching(api, { onToggle: showTeaching, onTaught });
const warmth = new Warmth();
const examples = new Examples(api, addImages);
const queue = new Queue(CONCURRENT_PREDICTIONS);
const results = new Set();
let selected = { model: asked.has("model") ? { model: asked.get("model") } : null, version: asked.get("version") };
const narrow = matchMedia("(max-width: 59.99rem)");

const byId = (id) => document.getElementById(id);

/** READY versions besides the live one. */
function otherVersions(model) {
  return model.versions.filter(({ version, status }) => status === "READY" && version !== model.live);
}

/** A select for the version to use, or null if there is only one. */
function versionPicker(model) {
  const others = otherVersions(model);
  if (others.length === 0) return null;
  const usual = model.live ? "live version (default)" : "live version (none)";
  const select = element("select", {},
    element("option", { value: "" }, usual),
    others.map(({ version, uploaded_at: at }) => element("option", { value: version }, `${version}, uploaded ${moment(at)}`)));
  select.value = selected.version ?? "";
  select.onchange = () => {
    selected = { ...selected, version: select.value || null };
    showAddress();
    examples.show(model, selected.version);
    for (const result of results) result.updateButton();
  };
  return element("label", {}, "Version ", select);
}

/** The selected version, if it belongs to this model and is still READY, or null. */
function keptVersion(model) {
  if (!model || selected.model?.model !== model.model) return null;
  const exists = !model.versions || otherVersions(model).some(({ version }) => version === selected.version);
  return exists ? selected.version : null;
}

function showModel() {
  const { model } = gallery;
  selected = { model, version: keptVersion(model) };
  showAddress();
  byId("model").hidden = !model?.versions;
  if (model?.versions) describeModel(model);
  examples.show(model, selected.version);
  for (const result of results) result.updateButton();
}

/** Describes the model again; what the user has opened or focused stays so. */
function describeModel(model) {
  const root = byId("model");
  if (root.contains(document.activeElement) && document.activeElement.tagName === "SELECT") return;
  const same = root.dataset.model === model.model;
  const open = same ? [...root.querySelectorAll("details")].map((each) => each.open) : [];
  const focused = same ? focusable(root).indexOf(document.activeElement) : -1;
  root.dataset.model = model.model;
  root.replaceChildren(...description(model, versionPicker(model), teachButton(model), deletion.button(model.model)).filter(Boolean));
  root.querySelectorAll("details").forEach((each, at) => { each.open = open[at] ?? false; });
  focusable(root)[focused]?.focus();
}

function focusable(root) {
  return [...root.querySelectorAll("summary, button")];
}

/** A button that opens the data set of a model that was taught, or null. */
function teachButton({ model, kind }) {
  if (kind !== "head") return null;
  return element("button", { type: "button", id: "teach-again", onclick: () => teaching.open(model) }, "Add images and teach again");
}

/** Selects the model that was taught, unless the user is at another one already. */
function onTaught(name) {
  if (teaching.isOpen) gallery.show(name);
  else gallery.load();
}

/** Shows either the models and results, or what the user teaches. */
function showTeaching() {
  for (const part of document.querySelectorAll(".models, .work")) part.hidden = teaching.isOpen;
  document.querySelector("main").classList.toggle("teaching", teaching.isOpen);
  byId("teach-open").hidden = teaching.isOpen;
  if (!teaching.isOpen) byId("images").focus();
  document.querySelector(".skip").textContent = `Skip to ${teaching.isOpen ? "teaching" : "images"}`;
  showAddress();
}

/** Shows the models that are left after one was deleted. */
function forgetModel(name) {
  gallery.forget(name);
  byId("models").querySelector("summary").focus(); // the focused button is hidden
}

/** Shows the selected model and version in the page's address, so that it can be shared. */
function showAddress() {
  const address = new URL(document.baseURI);
  if (selected.model) address.searchParams.set("model", selected.model.model);
  if (selected.version) address.searchParams.set("version", selected.version);
  if (teaching.isOpen) address.searchParams.set("teach", teaching.model ?? "");
  history.replaceState(null, "", address);
}

const services = { api, queue, warmth };

/** Adds a card: one image, or a table of several. */
function addImages(images) {
  if (images.length === 0) return;
  if (teaching.isOpen) return teaching.refuse();
  const added = images.length === 1 ? new Result({
    services, image: images[0], selected: () => selected, onRemove: () => remove(added),
  }) : new Batch({
    services, images, selected: () => selected, open: (image) => addImages([image]), onRemove: () => remove(added),
  });
  if (narrow.matches) byId("models").open = false;
  byId("results").prepend(added.root);
  results.add(added);
  added.classify();
  updateEmptyState();
  added.root.scrollIntoView({ block: "nearest" });
  return announce(`${counted(images.length, "image")} added`);
}

function remove(...removed) {
  for (const result of removed) {
    result.dispose();
    result.root.remove();
    results.delete(result);
  }
  updateEmptyState();
  byId("results-heading").focus(); // the focused button was removed
}

function updateEmptyState() {
  byId("no-results").hidden = results.size > 0;
  byId("clear").hidden = results.size === 0;
}

/** Stores the key of the page's address, and removes it from the address. */
function readKeyFromAddress() {
  const found = apiKey.readFromAddress(location);
  history.replaceState(null, "", location.pathname + location.search);
  return found;
}

/** A link to #images would leave the page, because its base has no model in the address. */
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  byId(teaching.isOpen ? "teach-heading" : "images").focus();
};

byId("clear").onclick = () => remove(...results);
byId("change-key").onclick = async () => { if (await apiKey.prompt()) gallery.load(); };
addEventListener("hashchange", () => { if (location.hash.startsWith("#key=") && readKeyFromAddress()) gallery.load(); });
byId("teach-open").onclick = () => teaching.open();
gallery.addEventListener("selected", showModel);
listenForImages(addImages);
readKeyFromAddress();
if (asked.has("teach")) teaching.open(asked.get("teach") || null);
gallery.load();
