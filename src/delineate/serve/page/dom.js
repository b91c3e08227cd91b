// Elements are made, found and filled.

/** Finds the element of an id. @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/**
 * Makes an element: `on…` are listeners, `style` is CSS properties, the rest attributes; null and false leave one out.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node|string|null)} children
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style")
      Object.assign(made.style, value); // not an attribute: the policy forbids those
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * Replaces what is in an element; what had the focus has it again, known by its `data-focus`.
 * @param {Element} parent @param {...Node} children
 */
export function fill(parent, ...children) {
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  const name = focused && parent.contains(focused) ? focused.dataset.focus : undefined;
  const place = parent.scrollTop;
  parent.replaceChildren(...children);
  parent.scrollTop = place;
  if (name) /** @type {HTMLElement|null} */ (parent.querySelector(`[data-focus="${CSS.escape(name)}"]`))?.focus();
}

/** Says something below the picture; screen readers read it out. @param {string} text */
export function say(text) {
  const place = $("status");
  place.textContent = text;
  place.classList.remove("trouble");
}

/** Says that something went wrong. @param {string} text */
export function complain(text) {
  say(text);
  $("status").classList.add("trouble");
}

/** Writes "1 picture" or "3 pictures". @param {number} number @param {string} noun */
export const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
