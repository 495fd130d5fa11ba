/** A file → what is sent of it. */

import { bytes } from "./format.js";
import { Problem } from "./problems.js";

/** What the API takes (docs/api.md): bytes of a body, pixels of an image. */
const BODY_LIMIT = 4_500_000;
const PIXEL_LIMIT = 8192 * 6144;

const SIDES = [2048, 1448, 1024, 724];
const QUALITY = 0.9;

/** The decoded image, upright and without colour management, or null for what no browser reads. */
export async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    return null;
  }
}

/**
 * The file itself, or a smaller JPEG copy of it where the API would not take it. `bitmap` is what
 * `decoded` gave. Throws Problem for a file that is too large and no image.
 */
export async function sendable(file, bitmap) {
  const pixels = bitmap ? bitmap.width * bitmap.height : 0;
  if (file.size <= BODY_LIMIT && pixels <= PIXEL_LIMIT) return { content: file, smaller: null };
  if (bitmap === null) {
    throw new Problem({
      title: "This file is too large, and no image that this browser can read",
      detail: `It has ${bytes(file.size)}; the API takes ${bytes(BODY_LIMIT)}. `
        + "Send a JPEG, PNG, WebP, BMP or GIF.",
    });
  }
  for (const side of SIDES) {
    const made = await copied(bitmap, side);
    if (made.content.size <= BODY_LIMIT) return made;
  }
  throw new Problem({ title: "This image is too large", detail: "Send a smaller copy of it." });
}

async function copied(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((each) => Math.max(1, Math.round(each * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const content = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  return { content, smaller: { width, height } };
}
