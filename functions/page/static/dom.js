/** Elements out of plain values. Text is never read as HTML. */

/**
 * An element with properties (`className`, `onclick`, …; names with a dash and `role` are
 * attributes) and children: elements, texts, lists of them; null and undefined are left out.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

/** A definition list of `[term, value]`; entries without a value are left out. */
export function facts(className, entries) {
  const filled = entries.filter(([, value]) => value !== null && value !== undefined);
  return element("dl", { className }, filled.map(([term, value, classes = ""]) =>
    element("div", { className: classes }, element("dt", {}, term), element("dd", {}, value))));
}

/** Tells screen readers, politely. */
export function tell(text) {
  const told = document.getElementById("told");
  told.append(element("p", {}, text));
  while (told.children.length > 20) told.firstChild.remove();
}
