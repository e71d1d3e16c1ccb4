// A list of messages: a channel's, or a thread's.

import { body } from "./blocks.js";
import { avatar, day, h, replace, time } from "./dom.js";

const GROUP_SECONDS = 300;

export class MessageList {
  constructor(page, { onThread, label }) {
    this.page = page;
    this.onThread = onThread;
    this.nodes = new Map();
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

  // Messages that did not change keep their elements, so focus and open menus survive a redraw.
  draw(messages, { first = false } = {}) {
    const stick = first || this.atBottom();
    const known = new Set(this.nodes.keys());
    const items = [];
    let last = null;
    for (const message of messages) {
      const today = day(message.ts);
      if (!last || day(last.ts) !== today) items.push(h("div", { class: "day", role: "separator" }, h("span", {}, today)));
      const follows = last && last.user === message.user && !last.is_ephemeral && !message.is_ephemeral
        && day(last.ts) === today && message.ts - last.ts < GROUP_SECONDS && !last.reply_count;
      const key = `${message.ts}${message.is_ephemeral ? "e" : ""}`;
      const now = JSON.stringify([message, Boolean(follows), this.page.me]);
      const old = this.nodes.get(key);
      const node = old?.now === now ? old.node : this.message(message, follows);
      this.nodes.set(key, { now, node });
      items.push(node);
      last = message;
    }
    const added = messages.some((m) => !known.has(`${m.ts}${m.is_ephemeral ? "e" : ""}`));
    replace(this.node, items);
    if (stick) this.bottom();
    else if (added) this.jump.hidden = false;
  }

  surface(message) {
    return {
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
    const user = this.page.user(message.user) || { name: message.username || "Slackbot", real_name: message.username || "Slackbot" };
    const own = message.is_ephemeral;
    return h("article", { class: `message${follows ? " follows" : ""}${own ? " ephemeral" : ""}`, dataset: { ts: message.ts, user: message.user || "" } },
      follows ? h("span", { class: "gutter" }, time(message.ts)) : avatar(user),
      h("div", { class: "content" },
        own && h("p", { class: "only-you" }, "👁 Only visible to you"),
        !follows && h("p", { class: "who" }, h("strong", {}, user.real_name || user.name),
          user.is_bot && h("span", { class: "badge" }, "APP"), h("time", {}, time(message.ts))),
        h("div", { class: "text" }, body(message, this.surface(message)),
          message.edited && !message.blocks?.length && h("span", { class: "muted" }, " (edited)")),
        (message.files || []).map((file) => this.file(file)),
        message.reactions?.length > 0 && h("p", { class: "reactions" }, message.reactions.map((r) => h("span", {}, `:${r.name}: ${r.count}`))),
        this.onThread && message.reply_count > 0 && h("button", { type: "button", class: "replies", onclick: () => this.onThread(message.ts) },
          `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`)),
      this.onThread && !own && h("button", { type: "button", class: "reply", "aria-label": "Reply in thread", onclick: () => this.onThread(message.ts) }, "💬"));
  }

  file(file) {
    const url = `/_control/files/${encodeURIComponent(file.id)}`;
    const preview = h("pre", { class: "preview", hidden: true });
    const toggle = h("button", { type: "button", class: "button", onclick: async () => {
      if (!preview.textContent) preview.textContent = (await (await fetch(url)).text()).slice(0, 20000);
      preview.hidden = !preview.hidden;
      toggle.textContent = preview.hidden ? "Preview" : "Hide";
    } }, "Preview");
    return h("div", { class: "file" }, h("p", {}, "📄 ", h("strong", {}, file.title || file.name)), h("p", {}, toggle, " ",
      h("a", { href: url, download: file.name || file.id }, "Download")), preview);
  }
}
