/** A heat map laid over its image, as `facet predict --explain` draws it (cli/predict/overlay.py). */

const WEAK = [215, 25, 60];
const STRONG = [255, 230, 0];
const OPAQUE = 0.75;
const HALF = 128;

/** The PNG in base64 of an explanation as a bitmap. */
export async function readHeatmap(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
}

/** Draws the image in grey and over it the heat map, from red to yellow; each is a bitmap. */
export function drawHeatmap(canvas, image, heatmap) {
  const [grey, heat] = [image, heatmap].map((bitmap) => pixels(bitmap, canvas.width, canvas.height));
  const { data } = grey;
  for (let at = 0; at < data.length; at += 4) {
    const light = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    const strength = heat.data[at] / 255;
    const covered = strength * OPAQUE;
    for (let channel = 0; channel < 3; channel += 1) {
      const colour = WEAK[channel] + strength * (STRONG[channel] - WEAK[channel]);
      data[at + channel] = light * (1 - covered) + colour * covered;
    }
  }
  canvas.getContext("2d").putImageData(grey, 0, 0);
}

/** Where the heat map is strongest, in words: "at the top left", or null where it is all 0. */
export function place(heatmap) {
  const { width, height } = heatmap;
  const { data } = pixels(heatmap, width, height);
  const strong = [];
  for (let at = 0; at < data.length; at += 4) if (data[at] >= HALF) strong.push(at / 4);
  if (strong.length === 0) return null;
  if (strong.length > (width * height) / 2) return "in most of the image";
  const mean = (value) => strong.reduce((sum, at) => sum + value(at), 0) / strong.length;
  const across = third(mean((at) => at % width) / width, ["left", "", "right"]);
  const down = third(mean((at) => Math.floor(at / width)) / height, ["top", "", "bottom"]);
  return `${across || down ? "at the" : "in the middle"} ${[down, across].filter(Boolean).join(" ")}`.trim();
}

function third(part, names) {
  return names[Math.min(2, Math.floor(part * 3))];
}

function pixels(bitmap, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
