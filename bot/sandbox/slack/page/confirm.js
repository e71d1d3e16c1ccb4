// The dialog that stands between a click and its effect.

import { h } from "./dom.js";
import { freezeBelow, trap } from "./focus.js";
import { plainText, textObject } from "./mrkdwn.js";

export function confirmDialog(confirm, names) {
  return new Promise((resolve) => {
    const done = (answer) => { shade.remove(); freeze(); release(); resolve(answer); };
    const yes = h("button", { type: "button", class: `button ${confirm.style === "danger" ? "danger" : "primary"}`,
      onclick: () => done(true) }, plainText(confirm.confirm));
    const dialog = h("div", { class: "dialog small", role: "alertdialog", "aria-modal": "true", "aria-label": confirm.title.text },
      h("div", { class: "dialog-head" }, h("h2", {}, plainText(confirm.title))),
      h("div", { class: "body" }, textObject(confirm.text, names)),
      h("div", { class: "dialog-foot" }, h("button", { type: "button", class: "button", onclick: () => done(false) }, plainText(confirm.deny)), yes));
    const shade = h("div", { class: "shade" }, dialog);
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.stopPropagation(); done(false); }
    });
    document.getElementById("overlay").append(shade);
    const freeze = freezeBelow();
    const release = trap(dialog, yes);
  });
}
