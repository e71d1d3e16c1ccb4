// A searchable combobox for every kind of select (WAI-ARIA combobox pattern).

import { freshId, h, replace } from "./dom.js";

const DEBOUNCE = 150;

// `search(typed)` gives [{text, value, description, option}] or a promise of it; `chosen` the ones chosen now.
export function combobox({ label, placeholder, search, chosen, multi, minimum = 0, onChange, id }) {
  const listId = freshId("list");
  let options = [];
  let active = -1;
  let timer = 0;
  let asked = 0;
  let waiting = false;
  let pickFirst = false;
  const tags = h("span", { class: "tags" });
  const input = h("input", {
    id, type: "text", role: "combobox", autocomplete: "off", placeholder,
    "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list", "aria-label": label,
  });
  const popup = h("ul", { id: listId, role: "listbox", "aria-label": label, class: "popup", hidden: true });
  const root = h("div", { class: "combobox" }, tags, input, popup);

  function showChosen() {
    if (!multi) {
      input.value = chosen[0]?.text || "";
      return;
    }
    input.value = "";
    replace(tags, chosen.map((one) => h("button", {
      type: "button", class: "tag", "aria-label": `Remove ${one.text}`,
      onclick: () => set(chosen.filter((other) => other.value !== one.value)),
    }, one.text, " ×")));
  }

  function set(next) {
    chosen = next;
    showChosen();
    onChange(chosen);
  }

  function close() {
    clearTimeout(timer);
    asked++;
    waiting = pickFirst = false;
    popup.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(index) {
    active = index;
    [...popup.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === index)));
    const item = popup.children[index];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    }
  }

  function pick(option) {
    close();
    if (!multi) return set([option]);
    return set(chosen.some((one) => one.value === option.value) ? chosen : [...chosen, option]);
  }

  function draw() {
    const items = options.length
      ? options.map((option) => h("li", {
        id: freshId("option"), role: "option", "aria-selected": "false", dataset: { value: option.value },
        onmousedown: (event) => { event.preventDefault(); pick(option); },
      }, h("span", {}, option.text), option.description && h("small", {}, option.description)))
      : [h("li", { class: "none", role: "option", "aria-selected": "false", "aria-disabled": "true" }, "No results")];
    replace(popup, items);
    popup.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (options.length) mark(0);
    if (pickFirst && options.length) pick(options[0]);
  }

  async function open(typed) {
    if (typed.length < minimum) return close();
    const mine = ++asked;
    const found = await search(typed);
    if (mine !== asked || document.activeElement !== input) return undefined;
    options = found;
    waiting = false;
    return draw();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    asked++; // an answer that is still on its way belongs to what was typed before
    waiting = true;
    timer = setTimeout(() => open(input.value), DEBOUNCE);
  });
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => popup.hidden && open(""));
  input.addEventListener("blur", () => { close(); showChosen(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && popup.hidden) open(input.value);
    else if (event.key === "ArrowDown") mark(Math.min(active + 1, options.length - 1));
    else if (event.key === "ArrowUp") mark(Math.max(active - 1, 0));
    else if (event.key === "Enter" && waiting) pickFirst = true; // the list still shows what was typed before
    else if (event.key === "Enter" && !popup.hidden && options[active]) pick(options[active]);
    else if (event.key === "Escape" && !popup.hidden) { event.stopPropagation(); close(); }
    else if (event.key === "Backspace" && multi && !input.value && chosen.length) return set(chosen.slice(0, -1));
    else return undefined;
    return event.preventDefault();
  });
  root.addEventListener("reopen", () => { input.focus(); open(input.value); });
  showChosen();
  return root;
}
