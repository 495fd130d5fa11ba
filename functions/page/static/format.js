/** Formats numbers and times for display. */

const DECIMAL = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat("en");

/** 4600000 → "4.6 MB" (powers of 1,000, as in file managers and AWS's price lists). */
export function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (count >= size) return `${DECIMAL.format(count / size)} ${unit}`;
  }
  return `${count} bytes`;
}

/** 0.9731 → "97.3 %" */
export function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(share * 100).toFixed(1)} %`;
}

/** 12.34 → "12.3 ms", 1234 → "1.23 s" */
export function milliseconds(time) {
  if (time >= 1000) return `${(time / 1000).toFixed(2)} s`;
  return `${time >= 100 ? Math.round(time) : time.toFixed(1)} ms`;
}

/** 1234 → "1,234" */
export function whole(number) {
  return WHOLE.format(number);
}

/** An ISO 8601 time in the user's time zone. */
export function moment(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** (1, "label") → "1 label", (2, "label") → "2 labels" */
export function counted(number, noun) {
  return `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
}
