/** The page: a model from the gallery, images from the reader, answers from the API. */

import { Answer } from "./answer.js";
import { Api } from "./api.js";
import { element, tell } from "./dom.js";
import { moment, counted } from "./format.js";
import { Gallery } from "./gallery.js";
import { Keeper } from "./key.js";
import { description } from "./model.js";
import { watch } from "./images.js";
import { Warmth } from "./timing.js";
import { Turns } from "./turns.js";

const ASKED_AT_ONCE = 3;

const keeper = new Keeper(sessionStorage);
const api = new Api(keeper);
const gallery = new Gallery(api);
const warmth = new Warmth();
const turns = new Turns(ASKED_AT_ONCE);
const answers = new Set();
let chosen = { model: null, version: null };

const byId = (id) => document.getElementById(id);

/** Versions that can be asked beside the live one. */
function othersOf(model) {
  return model.versions.filter(({ version, status }) => status === "READY" && version !== model.live);
}

/** A select for the versions of a model that can be asked, or null where there is no choice. */
function versionPicker(model) {
  const others = othersOf(model);
  if (others.length === 0) return null;
  const usual = model.live ? "the live one, as the API chooses" : "the live one (there is none)";
  const select = element("select", {},
    element("option", { value: "" }, usual),
    others.map(({ version, uploaded_at: at }) => element("option", { value: version }, `${version}, uploaded ${moment(at)}`)));
  select.value = chosen.version ?? "";
  select.onchange = () => { chosen = { ...chosen, version: select.value || null }; };
  return element("label", {}, "Version to ask ", select);
}

/** The version that the reader has chosen, if it is the same model's and can still be asked. */
function keptVersion(model) {
  if (chosen.model?.model !== model.model) return null;
  const there = !model.versions || othersOf(model).some(({ version }) => version === chosen.version);
  return there ? chosen.version : null;
}

function showModel() {
  const { model } = gallery;
  chosen = { model, version: keptVersion(model) };
  byId("model").hidden = !model.versions;
  if (model.versions) byId("model").replaceChildren(...description(model, versionPicker(model)).filter(Boolean));
  for (const answer of answers) answer.offer();
}

function take(images) {
  const made = images.map((image) => {
    const answer = new Answer({
      api, turns, warmth, image, next: () => chosen, removed: () => drop(answer),
    });
    return answer;
  });
  byId("answers").prepend(...made.map(({ root }) => root));
  for (const answer of made) {
    answers.add(answer);
    answer.ask();
  }
  showWhetherEmpty();
  made[0]?.root.scrollIntoView({ block: "nearest" });
  tell(`${counted(made.length, "image")} added`);
}

function drop(...gone) {
  for (const answer of gone) {
    answer.forget();
    answer.root.remove();
    answers.delete(answer);
  }
  showWhetherEmpty();
  byId("answers-heading").focus(); // what had the focus is gone
}

function showWhetherEmpty() {
  byId("no-answers").hidden = answers.size > 0;
  byId("clear").hidden = answers.size === 0;
}

function takeKeyFromAddress() {
  const given = keeper.takeFromAddress(location);
  history.replaceState(null, "", document.baseURI);
  return given;
}

byId("clear").onclick = () => drop(...answers);
byId("change-key").onclick = async () => { if (await keeper.ask()) gallery.load(); };
addEventListener("hashchange", () => { if (location.hash.startsWith("#key=") && takeKeyFromAddress()) gallery.load(); });
gallery.addEventListener("chosen", showModel);
watch(take);
takeKeyFromAddress();
gallery.load();
