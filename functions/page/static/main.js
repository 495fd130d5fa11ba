/** The page: select a model in the gallery, add images, and see the results. */

import { Api } from "./api.js";
import { ApiKey } from "./api-key.js";
import { announce, element } from "./dom.js";
import { counted, moment } from "./format.js";
import { Gallery } from "./gallery.js";
import { listenForImages } from "./image-input.js";
import { description } from "./model-details.js";
import { Queue } from "./queue.js";
import { Result } from "./result.js";
import { Warmth } from "./timing.js";

const CONCURRENT_PREDICTIONS = 3;

const apiKey = new ApiKey(sessionStorage);
const api = new Api(apiKey);
const gallery = new Gallery(api);
const warmth = new Warmth();
const queue = new Queue(CONCURRENT_PREDICTIONS);
const results = new Set();
let selected = { model: null, version: null };

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
  select.onchange = () => { selected = { ...selected, version: select.value || null }; };
  return element("label", {}, "Version ", select);
}

/** The selected version, if it belongs to this model and is still READY, or null. */
function keptVersion(model) {
  if (selected.model?.model !== model.model) return null;
  const exists = !model.versions || otherVersions(model).some(({ version }) => version === selected.version);
  return exists ? selected.version : null;
}

function showModel() {
  const { model } = gallery;
  selected = { model, version: keptVersion(model) };
  byId("model").hidden = !model.versions;
  if (model.versions) byId("model").replaceChildren(...description(model, versionPicker(model)).filter(Boolean));
  for (const result of results) result.updateButton();
}

function addImages(images) {
  const added = images.map((image) => {
    const result = new Result({
      api, queue, warmth, image, selected: () => selected, onRemove: () => remove(result),
    });
    return result;
  });
  byId("results").prepend(...added.map(({ root }) => root));
  for (const result of added) {
    results.add(result);
    result.classify();
  }
  updateEmptyState();
  added[0]?.root.scrollIntoView({ block: "nearest" });
  announce(`${counted(added.length, "image")} added`);
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
  history.replaceState(null, "", document.baseURI);
  return found;
}

byId("clear").onclick = () => remove(...results);
byId("change-key").onclick = async () => { if (await apiKey.prompt()) gallery.load(); };
addEventListener("hashchange", () => { if (location.hash.startsWith("#key=") && readKeyFromAddress()) gallery.load(); });
gallery.addEventListener("selected", showModel);
listenForImages(addImages);
readKeyFromAddress();
gallery.load();
