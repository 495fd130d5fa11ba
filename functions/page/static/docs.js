/** The API reference: Swagger UI with the API's openapi.json. */

import { STORAGE_KEY } from "./api/api-key.js";

/** Attributes that Swagger UI's elements lack for screen readers: selector, name, value. */
const ATTRIBUTES = [
  ["h3", "aria-level", "2"], // its title is an h1
  ["h4", "aria-level", "3"],
  ["h5, h6", "aria-level", "4"],
  ["#servers", "aria-label", "Server"],
  [".examples-select-element", "aria-label", "Example"],
  ["input[type=file]", "aria-label", "Image"],
  [".copy-to-clipboard > button", "aria-label", "Copy to clipboard"],
  [".close-modal", "aria-label", "Close"],
  [".auth-btn-wrapper .authorize[type=submit]", "aria-label", "Authorize: apply credentials"],
  [".auth-btn-wrapper [aria-label='Remove authorization']", "aria-label", "Logout: remove authorization"],
  ["table[role=region]", "role", "table"], // a landmark for each operation
];

const docs = document.getElementById("docs");
const dark = matchMedia("(prefers-color-scheme: dark)");

function applyColourScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

/** Uses the key that was entered on the page in this tab. */
function authorize() {
  const key = sessionStorage.getItem(STORAGE_KEY);
  if (key) ui.preauthorizeApiKey("key", key);
}

function setAttributes() {
  for (const [selector, name, value] of ATTRIBUTES) {
    for (const each of docs.querySelectorAll(selector)) each.setAttribute(name, value);
  }
  for (const each of docs.querySelectorAll("[data-param-name] :is(input, select, textarea)")) {
    each.setAttribute("aria-label", each.closest("[data-param-name]").dataset.paramName);
  }
}

/** A plugin that shows paths as text: they are inside buttons, where a link is not allowed. */
function withoutLinksInButtons() {
  const DeepLink = (_, { React }) => ({ text }) => React.createElement("span", { className: "nostyle" }, text);
  return { wrapComponents: { DeepLink } };
}

dark.addEventListener("change", applyColourScheme);
applyColourScheme();
new MutationObserver(setAttributes).observe(docs, { childList: true, subtree: true });
const ui = SwaggerUIBundle({
  dom_id: "#docs",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  plugins: [withoutLinksInButtons],
  onComplete: authorize,
});
