// The page: what is shown, who is looking, and what a click sends.

import { get, listen, post } from "./api.js";
import { blocks } from "./blocks.js";
import { composer } from "./composer.js";
import { h, reconcile, replace } from "./dom.js";
import { Drawer } from "./drawer.js";
import { active, boards, drawFaults } from "./faults.js";
import { keepFocus } from "./focus.js";
import { MessageList } from "./messages.js";
import { Modals } from "./modal.js";
import { mrkdwn } from "./mrkdwn.js";
import { read, write } from "./route.js";
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
    this.drawer = new Drawer();
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
    const asked = read();
    const wanted = asked.user || localStorage.getItem("me");
    const me = this.players().find((u) => [u.id, u.name].includes(wanted)) || this.players()[0];
    document.title = `${this.state.team.name} — Slack on this machine`;
    this.faultsOn = active(await boards());
    this.place = asked.home ? "home" : "channel";
    this.channel = this.state.channels.find((c) => [c.id, c.name].includes(asked.channel))?.id;
    Object.assign(this, { thread: asked.thread, message: asked.message, faultsOpen: asked.faults });
    addEventListener("popstate", () => this.goBack());
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
    const another = this.me && this.me !== id;
    if (another) this.thread = null;
    this.me = id;
    localStorage.setItem("me", id);
    // At once: who reloads the page meanwhile is still this person.
    if (another) this.noteAddress(false);
    this.modals.close();
    this.stop?.();
    this.stop = listen(id, (event) => this.on(event), () => this.reload());
  }

  // Also after a lost connection; then what is drawn stays, with what is being typed.
  async reload({ afresh = false } = {}) {
    this.state = await get("state");
    if (this.user(this.me).deleted) {
      this.become(this.players()[0].id);
      return;
    }
    const known = this.channels();
    if (!known.some((c) => c.id === this.channel)) Object.assign(this, { channel: known.find((c) => !c.is_im)?.id, thread: null });
    if (!this.channel) this.place = "home";
    const drawn = this.drawn === this.me && !afresh;
    this.drawn = this.me;
    if (drawn) await (this.place === "home" ? this.drawHome() : this.refresh());
    else if (this.place === "home") await this.openHome({ push: false });
    else await this.openChannel(this.channel, { thread: this.thread, push: false });
    await this.modals.refresh();
  }

  noteAddress(push) {
    write({ user: this.user(this.me).name, channel: this.channel, thread: this.thread, home: this.place === "home", faults: this.faultsOpen }, { push });
  }

  async goBack() {
    const to = read();
    const channel = this.channels().find((c) => c.id === to.channel)?.id || this.channel;
    if (to.home) return this.openHome({ push: false });
    if (this.place === "home" || channel !== this.channel) await this.openChannel(channel, { push: false });
    if (to.thread) this.openThread(to.thread, { push: false });
    else if (to.faults) await this.openFaults({ push: false });
    else this.closePane({ push: false });
    return this.noteAddress(false);
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
    } else if (event.type === "reset") await this.reload({ afresh: true });
  }

  sidebar() {
    drawSidebar(byId("sidebar"), this);
  }

  async countUnread() {
    this.unread = (await get(`unread?user=${this.me}`)).channels;
    if (Object.keys(this.unread).some((id) => !this.state.channels.some((c) => c.id === id))) this.state = await get("state");
    this.sidebar();
  }

  top(title, note) {
    return h("div", { class: "top" },
      h("button", { type: "button", class: "icon menu-button", "aria-label": "Channels and people", "aria-controls": "drawer", "aria-expanded": "false", dataset: { key: "menu" },
        onclick: () => this.drawer.open() }, "☰"),
      h("h1", {}, title), note && h("p", {}, note));
  }

  async openChannel(id, { thread = null, push = true } = {}) {
    const choosing = this.choosing();
    this.place = "channel";
    this.channel = id;
    const faults = this.faultsOpen && !push;
    this.shut();
    if (!choosing) this.drawer.close({ refocus: false });
    const channel = this.state.channels.find((c) => c.id === id);
    const label = channel.is_im ? this.state.app.name : `#${channel.name}`;
    this.list = new MessageList(this, { onThread: (ts) => this.openThread(ts), label: `Messages in ${label}` });
    keepFocus(byId("main"), () => replace(byId("main"), this.top(label, channel.topic),
      this.list.node, this.list.jump, h("div", { class: "notices" }),
      composer(this, { label: `Message to ${label}`, place: `Message ${label}, or type / for commands` })));
    this.thread = thread;
    this.noteAddress(push);
    await this.refresh(null, true);
    if (thread && this.messages.some((m) => m.ts === thread)) this.openThread(thread, { push: false });
    else if (faults) await this.openFaults({ push: false });
    else if (!choosing) byId("composer").focus();
    const shown = this.message && this.list.article(this.message);
    this.message = null;
    if (shown) {
      shown.scrollIntoView({ block: "center" });
      shown.focus();
    }
  }

  // Whoever goes through the people with the keyboard stays among them, or where Escape brought them: what the
  // person they chose sees is drawn a moment later.
  choosing() {
    return document.activeElement?.matches("#sidebar .me input:focus-visible, .menu-button") ?? false;
  }

  async refresh(event = null, first = false) {
    const mine = this.channel;
    const asked = this.asked = (this.asked || 0) + 1;
    const { messages } = await get(`messages/${mine}?user=${this.me}`);
    if (mine !== this.channel || asked !== this.asked || this.place !== "channel") return;
    this.messages = messages;
    const top = messages.filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast");
    this.list.draw(top, { first });
    if (this.threadList) this.drawThread();
    const last = messages[messages.length - 1];
    if (last) await post("mark-read", { user: this.me, channel: mine, ts: last.ts });
    if (event?.type === "message") byId("live").textContent = event.message.text || "New message";
    await this.countUnread();
  }

  openThread(ts, { push = true } = {}) {
    this.shut();
    this.thread = ts;
    this.threadList = new MessageList(this, { label: "Thread", level: 3 });
    this.showPane(
      h("div", { class: "pane-head" }, h("h2", {}, "Thread"), h("button", { type: "button", class: "icon", "aria-label": "Close thread", onclick: () => this.closePane() }, "✕")),
      this.threadList.node, composer(this, { thread: ts, label: "Reply in thread", place: "Reply…" }));
    this.drawThread(true);
    byId("pane").querySelector("textarea").focus();
    this.noteAddress(push);
  }

  drawThread(first = false) {
    this.threadList.draw(this.messages.filter((m) => m.ts === this.thread || m.thread_ts === this.thread), { first });
  }

  showPane(...children) {
    byId("pane").hidden = false;
    replace(byId("pane"), children);
    this.drawer.arrange();
  }

  shut() {
    Object.assign(this, { thread: null, threadList: null, faultsOpen: false });
    byId("pane").hidden = true;
    replace(byId("pane"));
    this.drawer.arrange();
  }

  // The focus goes back to the message whose thread it was.
  closePane({ push = true } = {}) {
    const { thread } = this;
    const held = byId("pane").contains(document.activeElement);
    this.shut();
    this.sidebar();
    this.noteAddress(push);
    const article = thread && this.list.article(thread);
    if (held) (article?.querySelector(".replies") || article || byId("composer"))?.focus();
  }

  toggleFaults() {
    return this.faultsOpen ? this.closePane() : this.openFaults();
  }

  async openFaults({ push = true } = {}) {
    this.shut();
    this.drawer.close({ refocus: false });
    this.faultsOpen = true;
    this.showPane();
    this.noteAddress(push);
    await this.faultsChanged();
    byId("pane").querySelector("summary")?.focus();
  }

  async faultsChanged() {
    const all = await boards();
    this.faultsOn = active(all);
    const typing = byId("pane").contains(document.activeElement?.closest("input[type=number]"));
    if (this.faultsOpen && !typing) drawFaults(byId("pane"), all, () => this.closePane());
    this.sidebar();
  }

  async openHome({ push = true } = {}) {
    const choosing = this.choosing();
    this.place = "home";
    this.shut();
    if (!choosing) this.drawer.close({ refocus: false });
    this.kept = new Map();
    keepFocus(byId("main"), () => replace(byId("main"), this.top(this.state.app.name, "Home"),
      h("div", { class: "home", tabIndex: 0, role: "region", "aria-label": "Home" }, h("p", { class: "muted" }, "Loading…"))));
    this.noteAddress(push);
    this.sidebar();
    await post("open-home", { user: this.me });
    await this.drawHome();
    if (!choosing) byId("main").querySelector(".home")?.focus();
  }

  async drawHome() {
    const { home } = await get(`views/${this.me}`);
    const node = byId("main").querySelector(".home");
    if (!home || !node) return;
    const surface = {
      level: 2, names: this.names, people: this.people, value: () => null, change: () => {},
      act: (block, e, more, target) => this.act({ view_id: home.id }, block, e, more, target),
      suggest: (block, e, typed) => this.suggest({ view_id: home.id }, block, e, typed),
    };
    keepFocus(node, () => reconcile(node, blocks(home.blocks, surface, this.kept)));
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
