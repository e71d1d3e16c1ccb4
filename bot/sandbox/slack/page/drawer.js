// On a phone the workspace and the thread are sheets over the conversation, one at a time.

import { reachable } from "./focus.js";

const byId = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 600px)");

function sheet(node, on, label) {
  if (on) {
    node.setAttribute("role", "dialog");
    node.setAttribute("aria-modal", "true");
    node.setAttribute("aria-label", label);
  } else {
    for (const name of ["role", "aria-modal", "aria-label"]) node.removeAttribute(name);
  }
}

export class Drawer {
  constructor() {
    this.shown = false;
    narrow.addEventListener("change", () => this.arrange());
    byId("app").addEventListener("click", (event) => {
      if (this.shown && !byId("drawer").contains(event.target) && !event.target.closest(".menu-button")) this.close();
    });
    byId("drawer").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.shown) this.close();
    });
  }

  open() {
    this.shown = true;
    this.arrange();
    (byId("drawer").querySelector(".here") || reachable(byId("drawer"))[0])?.focus();
  }

  close({ refocus = true } = {}) {
    if (!this.shown) return;
    this.shown = false;
    this.arrange();
    if (refocus) document.querySelector(".menu-button")?.focus();
  }

  // What lies under a sheet is out of reach of keyboard and screen reader.
  arrange() {
    const menu = narrow.matches && this.shown;
    const pane = narrow.matches && !byId("pane").hidden;
    byId("app").classList.toggle("menu-open", menu);
    byId("main").inert = menu || pane;
    byId("pane").inert = menu;
    sheet(byId("drawer"), menu, "Workspace");
    sheet(byId("pane"), pane, "Details");
    if (!pane) {
      byId("pane").setAttribute("role", "complementary");
      byId("pane").setAttribute("aria-label", "Details");
    }
    document.querySelector(".menu-button")?.setAttribute("aria-expanded", String(menu));
  }
}
