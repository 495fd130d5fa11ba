/** What went wrong, as what to do about it. */

/**
 * `title` and `detail` are for the reader; `violations` the reasons why uploads were rejected;
 * `wait` the seconds after which trying again makes sense by itself, or null; `loading` whether a
 * model is being loaded; `note` what to pass on to whoever runs the API.
 */
export class Problem extends Error {
  constructor({ title, detail, violations = [], wait = null, loading = false, note = null }) {
    super(detail);
    Object.assign(this, { title, detail, violations, wait, loading, note });
  }
}

const LOADING = "urn:facet:problem:model-loading";

/** The answers that API Gateway gives by itself; it does not say what to do. */
const GATEWAY = {
  "Missing Authentication Token": {
    title: "This API has no such route",
    detail: "The page and the API do not fit together. Reload the page.",
  },
  "Too Many Requests": {
    title: "Too many requests at once", detail: "The API key's rate is used up for a moment.", wait: 2,
  },
  "Limit Exceeded": {
    title: "The API key's quota is used up",
    detail: "Try again when the next day begins (UTC), or ask whoever runs this API for a larger quota.",
  },
  "Request Too Long": {
    title: "The image is too large", detail: "Send a smaller copy of it.",
  },
  "Endpoint request timed out": {
    title: "No answer within 29 seconds",
    detail: "The model may still be loading.", wait: 5,
  },
};

const BROKEN = {
  title: "Something broke on the API's side",
  detail: "Try again. If it stays so, tell whoever runs this API, with the request id.",
};

/** The problem that an answer with an error status tells of. */
export async function problemOf(response) {
  const text = await response.text();
  const said = parsed(text);
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  if (said.type) {
    return new Problem({
      title: said.title, detail: said.detail, violations: said.violations, wait: retryAfter,
      loading: said.type === LOADING,
      note: response.status >= 500 ? requestId(said.request_id) : null,
    });
  }
  const known = GATEWAY[said.message] ?? BROKEN;
  const note = known === BROKEN ? requestId(response.headers.get("x-amzn-requestid")) : null;
  return new Problem({ ...known, wait: retryAfter ?? known.wait ?? null, note });
}

/** No answer at all. */
export function unreachable() {
  return new Problem({
    title: "The API cannot be reached",
    detail: "Check the connection, and that the API runs; then try again.",
  });
}

/** The reader has given no key. */
export function keyless() {
  return new Problem({
    title: "No API key yet", detail: "Everything but this page needs one: enter it, then try again.",
  });
}

function requestId(id) {
  return id ? `Request id: ${id}` : null;
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
