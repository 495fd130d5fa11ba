/** The API's documentation, drawn by Swagger UI out of openapi.json, which lies beside it. */

import { SLOT } from "./key.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function shade() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

/** The key that the page got in this tab need not be typed again. */
function useKey() {
  const key = sessionStorage.getItem(SLOT);
  if (key) ui.preauthorizeApiKey("key", key);
}

dark.addEventListener("change", shade);
shade();
const ui = SwaggerUIBundle({
  dom_id: "#docs",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  onComplete: useKey,
});
