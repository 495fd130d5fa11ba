/** Previews of an image on canvases: a thumbnail, and approximately the model's input. */

import { whole } from "../format.js";

const THUMBNAIL_SIDE = 272;
const PIXELATED_SIDE = 128;
const FITS = {
  stretch: "stretched to fit", crop: "centre-cropped", pad: "padded",
};

/** Draws the image, scaled down to a thumbnail whose longer side has at most `longest` pixels. */
export function drawThumbnail(canvas, bitmap, longest = THUMBNAIL_SIDE) {
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  Object.assign(canvas, { width, height, className: sizeClass(width, height) });
  drawOnWhite(canvas.getContext("2d"), bitmap, { left: 0, top: 0, width, height });
}

/**
 * Draws the image with the size, fit and channels of a model's input spec. It is approximate: the
 * API's filters differ slightly from a browser's.
 */
export function drawModelInput(canvas, bitmap, spec) {
  Object.assign(canvas, { width: spec.width, height: spec.height });
  canvas.className = sizeClass(spec.width, spec.height);
  const context = canvas.getContext("2d", { willReadFrequently: spec.channels === 1 });
  if (spec.fill.length) context.fillStyle = `rgb(${[0, 1, 2].map((channel) => spec.fill[channel] ?? spec.fill[0])})`;
  context.fillRect(0, 0, spec.width, spec.height);
  context.imageSmoothingEnabled = !spec.resize.endsWith("nearest");
  context.imageSmoothingQuality = "high";
  drawOnWhite(context, bitmap, placement(bitmap, spec));
  if (spec.channels === 1) toGrey(context, spec);
  if (spec.invert) invert(context, spec);
}

/** "32 × 32 pixels, in colour, stretched to fit" */
export function describeInput(spec) {
  const colours = spec.channels === 1 ? "in grey" : "in colour";
  return `${whole(spec.width)} × ${whole(spec.height)} pixels, ${colours}, ${FITS[spec.fit]}`;
}

function sizeClass(width, height) {
  return Math.max(width, height) <= PIXELATED_SIDE ? "small" : "";
}

/** The rectangle of the image on the model's input; a cropped image extends beyond it. */
function placement(bitmap, { width, height, fit, resize_to: side }) {
  const [across, down] = [side ?? width, side ?? height];
  if (fit === "stretch") return { left: (width - across) / 2, top: (height - down) / 2, width: across, height: down };
  const scales = [across / bitmap.width, down / bitmap.height];
  const scale = fit === "crop" ? Math.max(...scales) : Math.min(...scales);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  return { left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high };
}

function drawOnWhite(context, bitmap, { left, top, width, height }) {
  context.save();
  context.fillStyle = "white";
  context.fillRect(left, top, width, height);
  context.restore();
  context.drawImage(bitmap, left, top, width, height);
}

function toGrey(context, { width, height }) {
  const pixels = context.getImageData(0, 0, width, height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const [red, green, blue] = pixels.data.subarray(at, at + 3);
    pixels.data.fill(0.299 * red + 0.587 * green + 0.114 * blue, at, at + 3); // ITU-R 601, as Pillow
  }
  context.putImageData(pixels, 0, 0);
}

function invert(context, { width, height }) {
  const pixels = context.getImageData(0, 0, width, height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data.set(pixels.data.subarray(at, at + 3).map((value) => 255 - value), at);
  }
  context.putImageData(pixels, 0, 0);
}
