// The panel of fault switches of every part.

import { get, post } from "./api.js";
import { freshId, h, replace } from "./dom.js";
import { keepFocus } from "./focus.js";

export async function boards() {
  return (await get("faults")).boards;
}

export const active = (all) =>
  all.flatMap((b) => b.switches).filter((s) => JSON.stringify(s.value) !== JSON.stringify(s.default)).length;

export function drawFaults(pane, all, close) {
  const open = new Set([...pane.querySelectorAll("details[open]")].map((d) => d.dataset.part));
  const scrolled = pane.querySelector(".boards")?.scrollTop || 0;
  keepFocus(pane, () => replace(pane,
    h("div", { class: "pane-head" }, h("h2", {}, "Faults"),
      h("button", { type: "button", class: "icon", "aria-label": "Close", dataset: { key: "close" }, onclick: close }, "✕")),
    h("p", { class: "muted lead" }, "Break a part and see how the bot copes."),
    h("div", { class: "boards" }, all.map((board, index) => h("details", { dataset: { part: board.part },
      open: open.has(board.part) || (!open.size && index === 0) || active([board]) > 0 },
    h("summary", { dataset: { key: board.part } }, board.part, active([board]) > 0 && h("span", { class: "count" }, String(active([board])))),
    board.switches.map((s) => one(board.part, s)))))));
  pane.querySelector(".boards").scrollTop = scrolled;
}

function one(part, s) {
  const id = freshId("fault");
  const wrong = h("small", { class: "error", role: "alert" });
  const set = async (value) => {
    const answer = await post("faults", { part, name: s.name, value });
    wrong.textContent = answer.ok ? "" : answer.error;
  };
  const input = s.kind === "toggle"
    ? h("input", { id, type: "checkbox", checked: s.value, role: "switch", onchange: (e) => set(e.target.checked) })
    : s.kind === "number"
      ? h("input", { id, type: "number", min: 0, step: "any", value: s.value, onchange: (e) => set(Number(e.target.value)) })
      : h("select", { id, onchange: (e) => set(e.target.value) }, s.choices.map((c) => h("option", { value: c, selected: c === s.value }, c)));
  return h("div", { class: `fault ${s.kind}`, dataset: { fault: s.name, key: `${part}/${s.name}` } }, h("label", { htmlFor: id }, s.label), input, s.help && h("small", {}, s.help), wrong);
}
