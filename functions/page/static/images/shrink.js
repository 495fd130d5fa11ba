/** Decodes image files, and shrinks those that exceed the API's limits. */

import { bytes } from "../format.js";
import { Problem } from "../api/problems.js";

/** The API's default limits (docs/api.md): bytes of a body, pixels of an image. */
const BODY_LIMIT = 4_500_000;
const PIXEL_LIMIT = 8192 * 6144;

/** The longer side of a copy in pixels: the largest that is within the limits is used. */
const SIDES = [2048, 1448, 1024, 724];
const QUALITY = 0.9;

/** The image as a bitmap, upright and without colour management, or null if no browser reads it. */
export async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    return null;
  }
}

/**
 * The file itself, or a JPEG copy within the API's limits, or within `limit` bytes: {content, reduced}, where `reduced` is
 * the size of the copy or null. `bitmap` is the result of `decode`. Throws Problem for a large file
 * that is not an image.
 */
export async function fitToLimits(file, bitmap, limit = BODY_LIMIT) {
  const pixels = bitmap ? bitmap.width * bitmap.height : 0;
  if (file.size <= limit && pixels <= PIXEL_LIMIT) return { content: file, reduced: null };
  if (bitmap === null) {
    throw new Problem({
      title: "This file is too large, and this browser cannot read it as an image",
      detail: `It has ${bytes(file.size)}; the limit is ${bytes(limit)}. `
        + "Send a JPEG, PNG, WebP, BMP or GIF.",
    });
  }
  for (const side of SIDES) {
    const copy = await jpegCopy(bitmap, side);
    if (copy.content.size <= limit) return copy;
  }
  throw new Problem({ title: "This image is too large", detail: "Send a smaller copy of it." });
}

/** A JPEG copy whose longer side has at most `side` pixels: {content, reduced}. */
export async function jpegCopy(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((each) => Math.max(1, Math.round(each * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const content = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  return { content, reduced: { width, height } };
}
