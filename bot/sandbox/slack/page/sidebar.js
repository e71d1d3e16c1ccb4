// The workspace on the left: channels with unread marks, the app, and who I am.

import { avatar, h, replace } from "./dom.js";
import { keepFocus } from "./focus.js";

export function drawSidebar(node, page) {
  const { state, unread } = page;
  const sign = (text) => h("span", { class: "sign", "aria-hidden": "true" }, text);
  const entry = (channel) => {
    const marks = unread[channel.id] || { unread: 0, mentions: 0 };
    const here = page.place === "channel" && channel.id === page.channel;
    const other = channel.is_im && page.user(state.app.bot_user_id);
    const name = channel.is_im ? other?.real_name || channel.name : channel.name;
    return h("li", {}, h("button", { type: "button", class: `${here ? "here" : ""}${marks.unread && !here ? " unread" : ""}`,
      dataset: { channelId: channel.id, key: channel.id }, "aria-current": here ? "page" : undefined, onclick: () => page.openChannel(channel.id) },
    sign(channel.is_im ? "●" : channel.is_private ? "🔒" : "#"), h("span", { class: "name" }, name),
    marks.mentions > 0 && !here && h("span", { class: "count" }, String(marks.mentions), h("span", { class: "hidden" }, " mentions"))));
  };
  const mine = page.channels();
  const mark = (user) => (page.isForeign(user) ? user.team.name : user.is_restricted && "guest");
  const home = page.place === "home";
  const scrolled = node.querySelector(".lists")?.scrollTop || 0;
  keepFocus(node, () => replace(node,
    h("div", { class: "team" }, h("strong", {}, state.team.name), h("span", { class: "where", title: `${state.transport.connections} connections` },
      h("i", { class: state.transport.connections || state.transport.mode === "http" ? "up" : "down" }),
      state.transport.mode === "http" ? "HTTP mode" : "Socket Mode"),
    h("button", { type: "button", class: "icon close-menu", "aria-label": "Close menu", dataset: { key: "close" }, onclick: () => page.drawer.close() }, "✕")),
    h("div", { class: "lists" },
      h("h2", {}, "Channels"), h("ul", {}, mine.filter((c) => !c.is_im).map(entry)),
      mine.some((c) => c.is_im) && [h("h2", {}, "Direct messages"), h("ul", {}, mine.filter((c) => c.is_im).map(entry))],
      h("h2", {}, "Apps"), h("ul", {}, h("li", {}, h("button", { type: "button", class: home ? "here" : "", dataset: { appHome: state.app.id, key: "home" },
        "aria-current": home ? "page" : undefined, onclick: () => page.openHome() }, sign("⛩"), h("span", { class: "name" }, state.app.name)))),
      h("h2", {}, "This workspace"),
      h("ul", {}, h("li", {}, h("button", { type: "button", class: "faults-link", dataset: { key: "faults" }, "aria-expanded": String(page.faultsOpen),
        onclick: () => page.toggleFaults() }, sign("⚡"),
      h("span", { class: "name" }, "Faults"), page.faultsOn > 0 && h("span", { class: "count" }, String(page.faultsOn)))),
      h("li", {}, h("a", { href: `${state.links.log}?format=html`, target: "_blank", rel: "noopener", dataset: { key: "traffic" } }, sign("≡"),
        h("span", { class: "name" }, "Traffic"))))),
    h("fieldset", { class: "me" }, h("legend", {}, "Who am I"),
      page.players().map((user) => h("label", { class: user.id === page.me ? "now" : "", title: user.title },
        h("input", { type: "radio", name: "me", value: user.id, checked: user.id === page.me, dataset: { key: user.id }, onchange: () => page.become(user.id) }),
        avatar(user, 26), h("span", {}, h("strong", {}, user.name, mark(user) && h("em", {}, mark(user))), h("small", {}, user.title)))))));
  node.querySelector(".lists").scrollTop = scrolled;
}
