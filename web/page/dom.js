// Elements. Text becomes text nodes and nothing else: no name, label or message from outside is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with properties, `aria-`, `data-` and `role` as attributes, and children: elements or texts, null left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (/^(aria-|data-|role$|for$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A length between 0 and 1 for the style sheet; set by script, which the content security policy allows, unlike `style=""`. */
export function sized(element, share) {
  element.style.setProperty("--share", Math.max(0, Math.min(1, share || 0)));
  return element;
}

let clearing = 0;

/** Tell those who listen instead of look. */
export function announce(words) {
  const said = byId("said");
  said.textContent = said.textContent === words ? `${words} ` : words;
  clearTimeout(clearing);
  clearing = setTimeout(() => (said.textContent = ""), 10000);
}

/** A button that copies a text and says so. */
export function copyButton(text, what) {
  const button = el("button", { type: "button", className: "quiet copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copied(text());
    button.textContent = done ? "Copied" : "Select it and press Ctrl+C";
    announce(done ? "Copied" : "It could not be copied");
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}

/** The clipboard's own interface is there only over HTTPS and on this machine; else the old way. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { value: text, className: "hidden", readOnly: true });
    (document.querySelector("dialog:modal") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
