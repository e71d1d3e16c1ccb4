// The modal on top of a person's stack: inputs, their errors, submit and close.

import { get, post } from "./api.js";
import { blocks } from "./blocks.js";
import { h, replace } from "./dom.js";
import { initialState } from "./elements.js";
import { freezeBelow, keepFocus, trap } from "./focus.js";
import { plainText } from "./mrkdwn.js";

const overlay = () => document.getElementById("overlay");

const base64 = async (file) => btoa(Array.from(new Uint8Array(await file.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(""));

export class Modals {
  constructor(page) {
    this.page = page;
    this.values = new Map();
    this.shade = null;
    this.release = null;
    this.shown = "";
    this.asked = 0;
    this.pending = null;
  }

  async refresh() {
    const me = this.page.me;
    const mine = ++this.asked;
    const { stack } = await get(`views/${me}`);
    if (me === this.page.me && mine === this.asked) this.draw(stack[stack.length - 1] || null);
  }

  draw(view) {
    if (!view) return this.close();
    const drawn = JSON.stringify([view.id, view.hash]);
    if (drawn === this.shown) return undefined;
    const fresh = this.view?.id !== view.id;
    this.shown = drawn;
    this.view = view;
    const kept = this.values.get(view.id) || {};
    this.values.set(view.id, this.initial(view, kept));
    const form = h("form", { noValidate: true, onsubmit: (event) => { event.preventDefault(); this.submit(form); } },
      h("div", { class: "dialog-head" }, h("h2", { id: "modal-title" }, plainText(view.title)),
        h("button", { type: "button", class: "icon", "aria-label": "Close", dataset: { key: "close" }, onclick: () => this.dismiss(true) }, "✕")),
      h("div", { class: "body" }, blocks(view.blocks, this.surface(view))),
      h("p", { class: "banner", role: "alert", hidden: true }),
      h("div", { class: "dialog-foot" },
        h("button", { type: "button", class: "button", dataset: { key: "cancel" }, onclick: () => this.dismiss(false) }, view.close ? plainText(view.close) : "Cancel"),
        view.submit && h("button", { type: "submit", class: "button primary", dataset: { key: "submit" } }, plainText(view.submit))));
    const first = () => form.querySelector(".body input, .body textarea") || form.querySelector(".dialog-head button");
    if (!this.shade) this.open();
    Object.assign(this.dialog.dataset, { viewId: view.id, callbackId: view.callback_id || "" });
    if (fresh) {
      replace(this.dialog, form);
      first().focus();
    } else keepFocus(this.dialog, () => replace(this.dialog, form), first());
    // A view that had nothing to fill in (“Loading…”) left the focus on its close button: now there is a first field.
    if (!fresh && document.activeElement?.dataset.key === "close" && !this.moved) first().focus();
    this.moved = false;
    // A long text is scrolled by the keyboard only where it can take the focus.
    form.querySelector(".body").tabIndex = form.querySelector(".body :is(input, textarea, button, a)") ? -1 : 0;
    return undefined;
  }

  // One dialog for the whole stack, so the focus goes back to where it came from only when the last view is closed.
  open() {
    this.dialog = h("div", { class: "dialog", role: "dialog", "aria-modal": "true", "aria-labelledby": "modal-title" });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "Tab") this.moved = true;
      if (event.key === "Escape") this.dismiss(false);
    });
    this.shade = h("div", { class: "shade" }, this.dialog);
    overlay().append(this.shade);
    this.release = trap(this.dialog, null);
    this.thaw = freezeBelow();
  }

  initial(view, kept) {
    const values = {};
    for (const block of view.blocks) {
      const e = block.element;
      if (block.type !== "input" || !e?.action_id) continue;
      values[block.block_id] = { [e.action_id]: kept[block.block_id]?.[e.action_id] || initialState(e) };
    }
    return values;
  }

  surface(view) {
    const values = this.values.get(view.id);
    return {
      level: 3,
      names: this.page.names,
      people: this.page.people,
      value: (block, e) => values[block.block_id]?.[e.action_id],
      change: (block, e, state) => {
        values[block.block_id] = { ...values[block.block_id], [e.action_id]: state };
        this.fault(block.block_id, "");
      },
      act: (block, e, more, node) => this.page.act({ view_id: view.id, state: { values } }, block, e, more, node),
      pending: (work) => { this.pending = Promise.all([this.pending, work]); },
      upload: async (file) => {
        const content = await base64(file);
        const answer = await post("upload", { user: this.page.me, filename: file.name, content });
        return answer.file?.id;
      },
      suggest: async (block, e, typed) => {
        const found = await post("options", { user: this.page.me, view_id: view.id, action_id: e.action_id, block_id: block.block_id, value: typed });
        return found.options || (found.option_groups || []).flatMap((group) => group.options);
      },
    };
  }

  fault(blockId, text) {
    const holder = this.shade?.querySelector(`[data-input-block="${CSS.escape(blockId)}"]`);
    if (!holder) return null;
    const line = holder.querySelector(".error");
    line.textContent = text;
    line.hidden = !text;
    holder.classList.toggle("wrong", Boolean(text));
    holder.querySelector("input, textarea")?.setAttribute("aria-invalid", String(Boolean(text)));
    return holder;
  }

  missing() {
    const values = this.values.get(this.view.id);
    const errors = {};
    for (const block of this.view.blocks) {
      if (block.type !== "input") continue;
      const state = values[block.block_id]?.[block.element.action_id] || {};
      const value = Object.entries(state).find(([key]) => key !== "type")?.[1];
      const empty = value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
      const { min_length: least, min_value: low, max_value: high, type } = block.element;
      if (empty && !block.optional) errors[block.block_id] = "Please complete this required field.";
      else if (!empty && least && value.length < least) errors[block.block_id] = `Please enter at least ${least} characters.`;
      else if (!empty && type === "number_input" && (Number(value) < Number(low ?? -Infinity) || Number(value) > Number(high ?? Infinity))) {
        errors[block.block_id] = `Please enter a number from ${low ?? "any"} to ${high ?? "any"}.`;
      }
    }
    return errors;
  }

  showErrors(errors) {
    const holders = Object.entries(errors).map(([block, text]) => this.fault(block, text)).filter(Boolean);
    holders[0]?.querySelector("input, textarea, button")?.focus();
    holders[0]?.scrollIntoView({ block: "center" });
    return holders.length > 0;
  }

  async submit(form) {
    const view = this.view;
    await this.pending;
    if (!view.submit || this.showErrors(this.missing())) return;
    const send = form.querySelector("button[type=submit]");
    const banner = form.querySelector(".banner");
    banner.hidden = true;
    send.disabled = true;
    send.classList.add("busy");
    const answer = await post("view", { user: this.page.me, view_id: view.id, type: "submit", values: this.values.get(view.id) })
      .catch(() => ({ ok: false }));
    send.disabled = false;
    send.classList.remove("busy");
    if (answer.errors) this.showErrors(answer.errors);
    else if (!answer.ok) {
      banner.textContent = "We had some trouble connecting. Try again?";
      banner.hidden = false;
    } else await this.refresh();
  }

  async dismiss(cleared) {
    await post("view", { user: this.page.me, view_id: this.view.id, type: "close", cleared });
    await this.refresh();
  }

  close() {
    this.shade?.remove();
    this.thaw?.();
    this.release?.();
    this.shade = this.thaw = this.release = null;
    this.view = null;
    this.shown = "";
    this.values.clear();
  }
}
