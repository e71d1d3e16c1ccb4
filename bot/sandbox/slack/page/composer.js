// Where people type: messages, slash commands with completion, and history.

import { freshId, h, replace } from "./dom.js";
import { draft } from "./route.js";

const history = new Map();

export function composer(page, { thread = null, label, place }) {
  const listId = freshId("commands");
  let active = 0;
  let at = -1;
  let shown = [];
  const popup = h("ul", { id: listId, class: "popup up", role: "listbox", "aria-label": "Suggestions", hidden: true });
  const unsent = draft(page.me, page.channel, thread);
  const box = h("textarea", { rows: 1, value: unsent.text(), id: thread ? freshId("composer") : "composer", "aria-label": label, placeholder: place,
    "aria-controls": listId, "aria-autocomplete": "list" });
  const send = h("button", { type: "submit", class: "send", "aria-label": "Send" }, "➤");
  const form = h("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); submit(); } }, popup, box, send);
  const mine = () => history.get(page.me) || history.set(page.me, []).get(page.me);

  function fit() {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 160)}px`;
  }

  function write(text) {
    box.value = text;
    unsent.keep(text);
    fit();
  }

  function hide() {
    popup.hidden = true;
    shown = [];
    box.removeAttribute("aria-activedescendant");
  }

  function complete() {
    const text = box.value;
    const name = /(?:^|\s)@([\w.-]*)$/.exec(text);
    if (!thread && /^\/\S*$/.test(text)) shown = page.state.commands.filter((c) => c.command.startsWith(text)).map(aCommand);
    else shown = name ? page.state.users.filter((u) => u.name.startsWith(name[1].toLowerCase())).slice(0, 8).map(aPerson) : [];
    if (!shown.length) return hide();
    replace(popup, shown.map((c, i) => h("li", { id: freshId("command"), role: "option", "aria-selected": "false",
      onmousedown: (event) => { event.preventDefault(); pick(i); } },
    h("strong", {}, c.word), " ", h("span", { class: "muted" }, c.hint), h("small", {}, c.says))));
    popup.hidden = false;
    active = 0;
    mark(0);
    return undefined;
  }

  const aCommand = (c) => ({ word: c.command, hint: c.usage_hint || "", says: c.description, typed: box.value.length });
  const aPerson = (u) => ({ word: `@${u.name}`, hint: u.real_name || "", says: "", typed: /@[\w.-]*$/.exec(box.value)[0].length });

  function pick(index) {
    write(`${box.value.slice(0, box.value.length - shown[index].typed)}${shown[index].word} `);
    hide();
    box.focus();
  }

  function mark(step) {
    active = (active + step + shown.length) % shown.length;
    [...popup.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    box.setAttribute("aria-activedescendant", popup.children[active].id);
  }

  function recall(step) {
    const past = mine();
    if (!past.length) return;
    at = Math.min(Math.max(at + step, -1), past.length - 1);
    write(at < 0 ? "" : past[past.length - 1 - at]);
  }

  async function submit() {
    const text = box.value.trim();
    if (!text) return;
    mine().push(text);
    at = -1;
    write("");
    hide();
    form.classList.add("sending");
    await page.send(text, thread);
    form.classList.remove("sending");
    // A command may have opened a modal meanwhile; the keyboard belongs to it.
    if (!document.querySelector(".shade") && box.isConnected) box.focus();
  }

  box.addEventListener("input", () => { unsent.keep(box.value); complete(); fit(); });
  requestAnimationFrame(fit);
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (event) => {
    if (!popup.hidden && event.key === "ArrowDown") mark(1);
    else if (!popup.hidden && event.key === "ArrowUp") mark(-1);
    else if (!popup.hidden && (event.key === "Tab" || (event.key === "Enter" && !box.value.endsWith(shown[active].word)))) pick(active);
    else if (!popup.hidden && event.key === "Escape") hide();
    else if (event.key === "ArrowUp" && (box.value === "" || at >= 0)) recall(1);
    else if (event.key === "ArrowDown" && at >= 0) recall(-1);
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else return;
    event.preventDefault();
  });
  return form;
}
