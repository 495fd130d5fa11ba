/** Errors as the page shows them: what happened, and what to do. */

import { element } from "../dom.js";

/**
 * `title` and `detail` are shown; `violations` are the reasons why an upload was rejected; `wait` is
 * the seconds until an automatic retry, or null; `loading` is true while a model is loading; `note`
 * is information for the operator of the API; `status` is that of the response, or null.
 */
export class Problem extends Error {
  constructor({ title, detail, violations = [], wait = null, loading = false, note = null, status = null }) {
    super(detail);
    Object.assign(this, { title, detail, violations, wait, loading, note, status });
  }
}

const LOADING = "urn:facet:problem:model-loading";

/** Errors that API Gateway returns by itself, without saying what to do. */
const GATEWAY = {
  "Missing Authentication Token": {
    title: "Route not found",
    detail: "The page does not match this version of the API. Reload the page.",
  },
  "Too Many Requests": {
    title: "Too many requests", detail: "The API key's rate limit was exceeded.", wait: 2,
  },
  "Limit Exceeded": {
    title: "API key quota exceeded",
    detail: "Try again after midnight UTC, or ask the operator of this API for a larger quota.",
  },
  "Request Too Long": {
    title: "The image is too large", detail: "Send a smaller copy of it.",
  },
  "Endpoint request timed out": {
    title: "No answer within 29 seconds",
    detail: "The model may still be loading.", wait: 5,
  },
};

const SERVER_ERROR = {
  title: "Server error",
  detail: "Try again. If it happens again, give the request id to the operator of this API.",
};

/** The problem in a response with an error status. */
export async function problemOf(response) {
  const body = parseJson(await response.text());
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  if (body.type) {
    return new Problem({
      title: body.title, detail: body.detail, violations: body.violations, wait: retryAfter,
      loading: body.type === LOADING, status: response.status,
      note: response.status >= 500 ? requestId(body.request_id) : null,
    });
  }
  const known = GATEWAY[body.message] ?? SERVER_ERROR;
  const note = known === SERVER_ERROR ? requestId(response.headers.get("x-amzn-requestid")) : null;
  return new Problem({ ...known, wait: retryAfter ?? known.wait ?? null, note, status: response.status });
}

/** The text of a problem: what happened, what to do, and a note for the operator. */
export function explanation({ title, detail, note }) {
  return [element("p", {}, element("b", {}, title)), element("p", {}, detail), note ? element("p", {}, note) : null];
}

/** There was no response. */
export function unreachable() {
  return new Problem({
    title: "The API cannot be reached",
    detail: "Check the connection and that the API is running, then try again.",
  });
}

/** The user has not entered a key. */
export function noKey() {
  return new Problem({
    title: "API key required", detail: "Enter an API key, then try again.",
  });
}

function requestId(id) {
  return id ? `Request id: ${id}` : null;
}

function parseJson(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
