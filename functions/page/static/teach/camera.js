/** Pictures of one label from the camera: holding the button takes several. */

import { picture, start, stop } from "../images/camera.js";
import { counted } from "../format.js";

const MILLISECONDS_BETWEEN = 200;
const KEYS = ["Enter", " "];

export class TeachCamera {
  #add = null;
  #taken = 0;
  #timer = null;
  #isTaking = false;

  constructor() {
    [this.dialog, this.heading, this.failed, this.video, this.button, this.status] = ["dialog", "heading", "failed", "video", "take", "status"]
      .map((part) => document.getElementById(`teach-camera-${part}`));
    document.getElementById("teach-camera-done").onclick = () => this.dialog.close();
    this.dialog.onclose = () => { this.#release(); stop(this.video); };
    this.#listen();
  }

  /** Opens the dialog; `add` is called with each picture, {name, file}. */
  async open(label, add) {
    [this.#add, this.#taken] = [add, 0];
    this.heading.textContent = `Pictures of ${label}`;
    this.status.textContent = "Hold the button to take several.";
    this.failed.hidden = true;
    this.button.disabled = true;
    this.dialog.showModal();
    const problem = await start(this.video, this.dialog);
    this.failed.textContent = problem ?? "";
    this.failed.hidden = !problem;
    this.button.disabled = Boolean(problem);
    if (!problem) this.button.focus();
  }

  #listen() {
    const { button } = this;
    button.onpointerdown = ({ pointerId, button: which }) => {
      if (which !== 0) return;
      button.setPointerCapture(pointerId);
      this.#hold();
    };
    button.onkeydown = (event) => {
      if (!KEYS.includes(event.key)) return;
      event.preventDefault(); // no click: the key takes pictures while it is held
      if (!event.repeat) this.#hold();
    };
    button.onkeyup = (event) => {
      if (!KEYS.includes(event.key)) return;
      event.preventDefault();
      this.#release();
    };
    button.onlostpointercapture = button.onblur = () => this.#release();
    button.oncontextmenu = (event) => event.preventDefault(); // of a long press
    button.onclick = ({ detail }) => { if (detail === 0) this.#take(); }; // by a screen reader
  }

  #hold() {
    this.#release();
    this.#take();
    this.#timer = setInterval(() => this.#take(), MILLISECONDS_BETWEEN);
  }

  #release() {
    clearInterval(this.#timer);
  }

  async #take() {
    if (this.button.disabled || this.#isTaking || !this.video.videoWidth) return;
    this.#isTaking = true;
    try {
      const file = await picture(this.video);
      this.#taken += 1;
      this.status.textContent = `${counted(this.#taken, "picture")} taken.`;
      this.#add({ name: "camera", file });
    } finally {
      this.#isTaking = false;
    }
  }
}
