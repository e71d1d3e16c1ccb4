// The page: what is shown, who is looking, and what a click sends.

import { get, listen, post } from "./api.js";
import { blocks } from "./blocks.js";
import { composer } from "./composer.js";
import { h, replace } from "./dom.js";
import { active, boards, drawFaults } from "./faults.js";
import { MessageList } from "./messages.js";
import { Modals } from "./modal.js";
import { mrkdwn } from "./mrkdwn.js";
import { drawSidebar } from "./sidebar.js";

const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.place = "channel";
    this.thread = null;
    this.unread = {};
    this.faultsOn = 0;
    this.messages = [];
    this.modals = new Modals(this);
    this.names = {
      user: (id) => this.user(id)?.name,
      channel: (id) => this.state.channels.find((c) => c.id === id)?.name,
      group: (id) => this.state.usergroups.find((g) => g.id === id)?.handle,
    };
    this.people = {
      users: () => this.state.users.filter((u) => !u.deleted).map((u) => ({ text: u.real_name, value: u.id, description: u.title })),
      channels: () => this.state.channels.filter((c) => !c.is_im).map((c) => ({ text: `#${c.name}`, value: c.id })),
    };
  }

  async start() {
    this.state = await get("state");
    const asked = new URLSearchParams(location.search).get("user") || localStorage.getItem("me");
    const me = this.players().find((u) => [u.id, u.name].includes(asked)) || this.players()[0];
    document.title = `${this.state.team.name} — Slack on this machine`;
    this.faultsOn = active(await boards());
    this.become(me.id);
  }

  user(id) {
    return this.state.users.find((u) => u.id === id);
  }

  // Whom one can be here: people with an account that works.
  players() {
    return this.state.users.filter((u) => !u.is_bot && !u.deleted);
  }

  isForeign(user) {
    return user.team.id !== this.state.team.id;
  }

  // Guests and people of other workspaces see only the channels they are in.
  channels() {
    const me = this.user(this.me);
    const confined = me.is_restricted || this.isForeign(me);
    return this.state.channels.filter((c) => (!c.is_im && !confined) || c.members.includes(this.me));
  }

  become(id) {
    this.me = id;
    localStorage.setItem("me", id);
    this.modals.close();
    this.stop?.();
    this.stop = listen(id, (event) => this.on(event), () => this.reload());
    this.thread = null;
  }

  async reload() {
    this.state = await get("state");
    if (this.user(this.me).deleted) {
      this.become(this.players()[0].id);
      return;
    }
    if (!this.channels().some((c) => c.id === this.channel)) this.channel = this.channels().find((c) => !c.is_im)?.id;
    await (this.place === "home" || !this.channel ? this.openHome() : this.openChannel(this.channel));
    await this.modals.refresh();
  }

  async on(event) {
    if (event.type === "message" || event.type === "message_changed" || event.type === "message_deleted") {
      if (this.place === "channel" && event.channel === this.channel) await this.refresh(event);
      else await this.countUnread();
    } else if (event.type === "views" && event.user === this.me) await this.modals.refresh();
    else if (event.type === "home" && event.user === this.me && this.place === "home") await this.drawHome();
    else if (event.type === "notice" && event.user === this.me) this.notice(event.text);
    else if (event.type === "faults") await this.faultsChanged();
    else if (event.type === "state") {
      this.state = await get("state");
      if (this.user(this.me).deleted) this.become(this.players()[0].id);
      else this.sidebar();
    } else if (event.type === "reset") await this.reload();
  }

  sidebar() {
    drawSidebar(byId("sidebar"), this);
  }

  async countUnread() {
    this.unread = (await get(`unread?user=${this.me}`)).channels;
    if (Object.keys(this.unread).some((id) => !this.state.channels.some((c) => c.id === id))) this.state = await get("state");
    this.sidebar();
  }

  async openChannel(id) {
    this.place = "channel";
    this.channel = id;
    this.closePane();
    const channel = this.state.channels.find((c) => c.id === id);
    const label = channel.is_im ? this.state.app.name : `#${channel.name}`;
    this.list = new MessageList(this, { onThread: (ts) => this.openThread(ts), label: `Messages in ${label}` });
    replace(byId("main"),
      h("header", { class: "top" }, h("h1", {}, label), h("p", {}, channel.topic)),
      this.list.node, this.list.jump, h("div", { class: "notices" }),
      composer(this, { label: `Message to ${label}`, place: `Message ${label}, or type / for commands` }));
    await this.refresh(null, true);
    byId("composer").focus();
  }

  async refresh(event = null, first = false) {
    const mine = this.channel;
    const asked = this.asked = (this.asked || 0) + 1;
    const { messages } = await get(`messages/${mine}?user=${this.me}`);
    if (mine !== this.channel || asked !== this.asked || this.place !== "channel") return;
    this.messages = messages;
    const top = messages.filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast");
    this.list.draw(top, { first });
    if (this.thread) this.drawThread();
    const last = messages[messages.length - 1];
    if (last) await post("mark-read", { user: this.me, channel: mine, ts: last.ts });
    if (event?.type === "message") byId("live").textContent = event.message.text || "New message";
    await this.countUnread();
  }

  openThread(ts) {
    this.thread = ts;
    this.threadList = new MessageList(this, { label: "Thread" });
    replace(byId("pane"),
      h("header", {}, h("h2", {}, "Thread"), h("button", { type: "button", class: "icon", "aria-label": "Close thread", onclick: () => this.closePane() }, "✕")),
      this.threadList.node, composer(this, { thread: ts, label: "Reply in thread", place: "Reply…" }));
    byId("pane").hidden = false;
    this.drawThread();
    byId("pane").querySelector("textarea").focus();
  }

  drawThread() {
    this.threadList.draw(this.messages.filter((m) => m.ts === this.thread || m.thread_ts === this.thread));
  }

  closePane() {
    this.thread = null;
    this.faultsOpen = false;
    byId("pane").hidden = true;
  }

  async toggleFaults() {
    if (this.faultsOpen) return this.closePane();
    this.closePane();
    this.faultsOpen = true;
    byId("pane").hidden = false;
    replace(byId("pane"));
    return this.faultsChanged();
  }

  async faultsChanged() {
    const all = await boards();
    this.faultsOn = active(all);
    if (this.faultsOpen && !byId("pane").contains(document.activeElement?.closest("input[type=number]"))) {
      drawFaults(byId("pane"), all, () => this.closePane());
    }
    this.sidebar();
  }

  async openHome() {
    this.place = "home";
    this.closePane();
    replace(byId("main"), h("header", { class: "top" }, h("h1", {}, this.state.app.name), h("p", {}, "Home")),
      h("div", { class: "home", tabIndex: 0 }, h("p", { class: "muted" }, "Loading…")));
    this.sidebar();
    await post("open-home", { user: this.me });
    await this.drawHome();
  }

  async drawHome() {
    const { home } = await get(`views/${this.me}`);
    const node = byId("main").querySelector(".home");
    if (!home || !node) return;
    const surface = {
      names: this.names, people: this.people, value: () => null, change: () => {},
      act: (block, e, more, target) => this.act({ view_id: home.id }, block, e, more, target),
      suggest: (block, e, typed) => this.suggest({ view_id: home.id }, block, e, typed),
    };
    replace(node, blocks(home.blocks, surface));
  }

  async act(where, block, e, more, node) {
    node.classList?.add("busy");
    const answer = await post("interact", { ...where, user: this.me,
      action: { action_id: e.action_id, block_id: block.block_id, type: e.type, ...more } }).catch(() => ({ ok: false }));
    node.classList?.remove("busy");
    node.classList?.toggle("failed", !answer.ok);
    node.title = answer.ok ? "" : "This app did not answer. Please try again.";
  }

  async suggest(where, block, e, typed) {
    const found = await post("options", { ...where, user: this.me, action_id: e.action_id, block_id: block.block_id, value: typed });
    return found.options || (found.option_groups || []).flatMap((group) => group.options);
  }

  async send(text, thread) {
    if (!text.startsWith("/") || thread) {
      await post("message", { channel: this.channel, user: this.me, text, ...(thread ? { thread_ts: thread } : {}) });
      return;
    }
    const [command] = text.split(/\s/);
    const answer = await post("command", { channel: this.channel, user: this.me, command, text: text.slice(command.length).trim() })
      .catch(() => ({ ok: false, error: "dispatch_failed" }));
    if (answer.ok) return;
    if (answer.error === "invalid_command") this.notice(`\`${command}\` is not a valid command. Type \`/\` to see what is.`);
    else this.notice(`\`${command}\` failed with the error “${answer.error}”`);
  }

  notice(text) {
    const holder = byId("main").querySelector(".notices");
    if (!holder) return;
    const node = h("div", { class: "notice", role: "status" }, h("strong", {}, "Slackbot "), h("span", { class: "only-you" }, "👁 Only visible to you"),
      h("button", { type: "button", class: "icon", "aria-label": "Dismiss", onclick: () => node.remove() }, "✕"), h("div", {}, mrkdwn(text, this.names)));
    if (![...holder.children].some((other) => other.textContent === node.textContent)) holder.append(node);
    while (holder.children.length > 3) holder.firstChild.remove();
  }
}

new Page().start();
