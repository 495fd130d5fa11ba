/** The API reference: Swagger UI with the API's openapi.json. */

import { STORAGE_KEY } from "./api-key.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function applyColourScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

/** Uses the key that was entered on the page in this tab. */
function authorize() {
  const key = sessionStorage.getItem(STORAGE_KEY);
  if (key) ui.preauthorizeApiKey("key", key);
}

dark.addEventListener("change", applyColourScheme);
applyColourScheme();
const ui = SwaggerUIBundle({
  dom_id: "#docs",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  onComplete: authorize,
});
