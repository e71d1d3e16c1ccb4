// Builds elements. Texts become text nodes, so nothing a message holds can become markup.

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "class") node.className = value;
    else if (name in node && !name.startsWith("aria") && name !== "list" && name !== "form") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

// The same as `replace`, but an element that stays is not touched: one that is taken out, if only for a moment, loses the focus.
export function reconcile(node, ...children) {
  const wanted = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const stays = new Set(wanted);
  for (const old of [...node.childNodes]) if (!stays.has(old)) old.remove();
  let at = node.firstChild;
  for (const child of wanted) {
    if (child === at) at = at.nextSibling;
    else node.insertBefore(child, at);
  }
}

let count = 0;
export const freshId = (prefix) => `${prefix}-${++count}`;

export const time = (ts) =>
  new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function day(ts) {
  const date = new Date(Number(ts) * 1000);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return "Today";
  today.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return "Yesterday";
  return date.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
}

export function avatar(user, size = 36) {
  const initials = (user?.real_name || user?.name || "?").split(/\s+/).map((w) => w[0]).slice(0, 2).join("");
  const node = h("span", { class: `avatar${user?.is_bot ? " bot" : ""}`, "aria-hidden": "true" },
    user?.is_bot ? "⛩" : initials.toUpperCase());
  node.style.setProperty("--size", `${size}px`);
  if (user?.color && /^[0-9a-f]{6}$/i.test(user.color)) {
    node.style.background = `#${user.color}`;
    if (brightness(user.color) > 0.2) node.style.color = "#1d1c1d";
  }
  return node;
}

// Relative luminance (WCAG 2): above 0.2 dark letters stand out more than white ones.
function brightness(hex) {
  const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
