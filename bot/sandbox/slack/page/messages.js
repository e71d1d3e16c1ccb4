// A list of messages: a channel's, or a thread's.

import { body } from "./blocks.js";
import { avatar, day, h, reconcile, time } from "./dom.js";
import { keepFocus } from "./focus.js";

const GROUP_SECONDS = 300;

const keyOf = (message) => `${message.ts}${message.is_ephemeral ? "e" : ""}`;

export class MessageList {
  constructor(page, { onThread, label, level = 2 }) {
    this.page = page;
    this.onThread = onThread;
    this.level = level;
    this.drawn = new Map();
    this.days = new Map();
    this.node = h("div", { class: "messages", role: "log", "aria-label": label, tabIndex: 0 });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.bottom() }, "New messages ↓");
    this.node.addEventListener("scroll", () => { if (this.atBottom()) this.jump.hidden = true; });
  }

  atBottom() {
    return this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 40;
  }

  bottom() {
    this.node.scrollTop = this.node.scrollHeight;
    this.jump.hidden = true;
  }

  article(ts) {
    return this.node.querySelector(`article[data-ts="${CSS.escape(ts)}"]`);
  }

  // A message keeps its element, and each block that did not change keeps its own: focus, scroll position and open
  // menus survive a redraw. Where the focused element is gone, the focus stays on its message.
  draw(messages, { first = false } = {}) {
    const stick = first || this.atBottom();
    const added = messages.some((message) => !this.drawn.has(keyOf(message)));
    const held = document.activeElement?.closest("article");
    const items = [];
    let last = null;
    for (const message of messages) {
      const today = day(message.ts);
      if (!last || day(last.ts) !== today) items.push(this.day(today));
      const follows = last && last.user === message.user && !last.is_ephemeral && !message.is_ephemeral
        && day(last.ts) === today && message.ts - last.ts < GROUP_SECONDS && !last.reply_count;
      items.push(this.message(message, Boolean(follows)));
      last = message;
    }
    reconcile(this.node, items);
    for (const [key, { node }] of this.drawn) if (!node.isConnected) this.drawn.delete(key);
    if (held && !held.isConnected && document.activeElement === document.body) this.node.focus({ preventScroll: true });
    if (stick) this.bottom();
    else if (added) this.jump.hidden = false;
  }

  day(name) {
    if (!this.days.has(name)) this.days.set(name, h("div", { class: "day", role: "separator" }, h("span", {}, name)));
    return this.days.get(name);
  }

  surface(message) {
    return {
      level: this.level,
      names: this.page.names,
      people: this.page.people,
      value: () => null,
      change: () => {},
      act: (block, e, more, node) =>
        this.page.act({ channel: this.page.channel, messageTs: message.ts }, block, e, more, node),
      suggest: (block, e, typed) => this.page.suggest({ channel: this.page.channel, messageTs: message.ts }, block, e, typed),
    };
  }

  message(message, follows) {
    const now = JSON.stringify([message, follows, this.page.me]);
    const old = this.drawn.get(keyOf(message));
    if (old?.now === now) return old.node;
    const node = old?.node || h("article", { dataset: { ts: message.ts, user: message.user || "" }, tabIndex: -1 });
    const blocks = old?.blocks || new Map();
    this.drawn.set(keyOf(message), { now, node, blocks });
    keepFocus(node, () => this.fill(node, message, follows, blocks));
    return node;
  }

  fill(node, message, follows, kept) {
    const user = this.page.user(message.user) || { name: message.username || "Slackbot", real_name: message.username || "Slackbot" };
    const own = message.is_ephemeral;
    node.className = `message${follows ? " follows" : ""}${own ? " ephemeral" : ""}`;
    node.setAttribute("aria-label", `${user.real_name || user.name}, ${time(message.ts)}`);
    let content = node.querySelector(":scope > .content");
    if (!content) {
      content = h("div", { class: "content" }, h("div", { class: "text" }));
      node.append(content);
    }
    const text = content.querySelector(":scope > .text");
    reconcile(text, body(message, this.surface(message), kept),
      message.edited && !message.blocks?.length && h("span", { class: "muted" }, " (edited)"));
    reconcile(content,
      own && h("p", { class: "only-you" }, "👁 Only visible to you"),
      !follows && h("p", { class: "who" }, h("strong", {}, user.real_name || user.name),
        user.is_bot && h("span", { class: "badge" }, "APP"), h("time", {}, time(message.ts))),
      text,
      (message.files || []).map((file) => this.file(file)),
      message.reactions?.length > 0 && h("p", { class: "reactions" }, message.reactions.map((r) => h("span", {}, `:${r.name}: ${r.count}`))),
      this.onThread && message.reply_count > 0 && h("button", { type: "button", class: "replies", dataset: { key: "replies" }, onclick: () => this.onThread(message.ts) },
        `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`));
    reconcile(node, follows ? h("span", { class: "gutter" }, time(message.ts)) : avatar(user), content,
      this.onThread && !own && h("button", { type: "button", class: "reply", "aria-label": "Reply in thread", dataset: { key: "reply" },
        onclick: () => this.onThread(message.ts) }, "💬"));
  }

  file(file) {
    const url = `/_control/files/${encodeURIComponent(file.id)}`;
    const name = file.title || file.name;
    const preview = h("pre", { class: "preview", hidden: true, tabIndex: 0, role: "region", "aria-label": `Preview of ${name}` });
    const toggle = h("button", { type: "button", class: "button", dataset: { key: `preview/${file.id}` }, onclick: async () => {
      if (!preview.textContent) preview.textContent = (await (await fetch(url)).text()).slice(0, 20000);
      preview.hidden = !preview.hidden;
      toggle.textContent = preview.hidden ? "Preview" : "Hide";
    } }, "Preview");
    return h("div", { class: "file" }, h("p", {}, "📄 ", h("strong", {}, name)), h("p", {}, toggle, " ",
      h("a", { href: url, download: file.name || file.id, dataset: { key: `download/${file.id}` } }, "Download")), preview);
  }
}
