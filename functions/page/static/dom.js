/** Builds DOM elements from plain values. Text is never parsed as HTML. */

/**
 * An element with properties (`className`, `onclick`, …; `role` and names with a dash are set as
 * attributes) and children: elements, text, or lists of them. null and undefined are skipped.
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.includes("-")) created.setAttribute(name, value);
    else created[name] = value;
  }
  created.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return created;
}

/** A definition list of `[term, value]`; entries without a value are skipped. */
export function facts(className, entries) {
  const filled = entries.filter(([, value]) => value !== null && value !== undefined);
  return element("dl", { className }, filled.map(([term, value, classes = ""]) =>
    element("div", { className: classes }, element("dt", {}, term), element("dd", {}, value))));
}

/** Announces the text to screen readers, without interrupting them. */
export function announce(text) {
  const log = document.getElementById("announcements");
  log.append(element("p", {}, text));
  while (log.children.length > 20) log.firstChild.remove();
}

/** A button that copies the text from `read` or, where that is forbidden, selects `shown`. */
export function copyButton(text, label, read, shown = null) {
  const button = element("button", { type: "button", "aria-label": label }, text);
  button.onclick = async () => {
    const copied = await navigator.clipboard.writeText(read()).then(() => true, () => false);
    if (!copied && shown) getSelection().selectAllChildren(shown);
    button.textContent = copied ? "Copied" : "Press Ctrl-C";
    announce(button.textContent);
  };
  return button;
}
