/** The cards of a data set's labels: adding one, removing one and undoing that. */

import { announce, element } from "../dom.js";
import { counted } from "../format.js";
import { DataSet, Label } from "./data-set.js";
import { LabelCard } from "./label.js";

const FEWEST = 2;

export class Labels {
  #cards = [];
  #list = document.getElementById("teach-labels");
  #undo = document.getElementById("teach-undo");
  #count = document.getElementById("teach-count");

  /** `load(label, name)` reads an image of the bucket; `takePictures(title, add)` opens the camera. */
  constructor({ load, takePictures }) {
    Object.assign(this, { load, takePictures, dataSet: new DataSet() });
    document.getElementById("teach-add-label").onclick = () => this.#add().field.focus();
  }

  /** Shows a data set; a new one has two labels without images. */
  show(dataSet) {
    this.dataSet = dataSet;
    this.#cards = [];
    this.#list.replaceChildren();
    this.#undo.replaceChildren();
    for (const label of dataSet.labels) this.#show(label, this.#cards.length);
    while (this.#cards.length < FEWEST) this.#add();
    this.#showCount();
  }

  showReading() {
    this.show(new DataSet());
    this.#list.replaceChildren(element("li", { className: "faint" }, "Reading the images …"));
  }

  /** Resolves when all images that the user gave are added. */
  settled() {
    return Promise.all(this.#cards.map((card) => card.settled()));
  }

  /** Shows the problem of each label in the map, and returns the field of the first, if any. */
  showProblems(problems) {
    for (const card of this.#cards) card.showProblem(problems.get(card.label) ?? "");
    return this.#cards.find(({ label }) => problems.has(label))?.field;
  }

  /** Resolves to the Blob of an image, by the names that the bucket has. */
  async read(label, name) {
    const { image } = this.#find(label, name) ?? {};
    return image?.content ?? this.load(label, name);
  }

  /** Takes an image out of the data set. */
  remove(label, name) {
    const found = this.#find(label, name);
    found?.card.strip.remove(found.image);
  }

  #find(label, name) {
    const card = this.#cards.find(({ label: each }) => (each.saved ?? each.name) === label);
    const image = card?.label.images.find((each) => each.name === name);
    return image && { card, image };
  }

  #add() {
    const label = new Label();
    this.dataSet.labels.push(label);
    return this.#show(label, this.#cards.length);
  }

  #show(label, at) {
    const card = new LabelCard(label, {
      load: ({ saved }, { name }) => this.load(saved, name),
      takePictures: this.takePictures,
      onChange: () => this.#showCount(),
      onRemove: () => this.#remove(card),
    });
    const following = this.#cards[at];
    this.#cards.splice(at, 0, card);
    if (following) following.root.before(card.root);
    else this.#list.append(card.root);
    return card;
  }

  #remove(card) {
    const at = this.#cards.indexOf(card);
    const text = `${card.title[0].toUpperCase()}${card.title.slice(1)} is removed, with ${counted(card.label.images.length, "image")}.`;
    this.dataSet.remove(card.label);
    this.#cards.splice(at, 1);
    card.root.remove();
    this.#showCount();
    const undo = element("button", { type: "button" }, "Undo");
    undo.onclick = () => {
      this.dataSet.restore(card.label, at);
      this.#undo.replaceChildren();
      this.#show(card.label, at).field.focus();
      this.#showCount();
    };
    this.#undo.replaceChildren(element("div", { className: "notice" }, element("p", {}, text), undo));
    undo.focus();
    announce(text);
  }

  #showCount() {
    const { images, labels } = this.dataSet;
    const filled = labels.filter((label) => label.images.length > 0).length;
    this.#count.textContent = images ? `${counted(images, "image")} under ${counted(filled, "label")}.` : "";
  }
}
