// Block Kit blocks as elements.

import { h } from "./dom.js";
import { element } from "./elements.js";
import { mrkdwn, plainText, textObject } from "./mrkdwn.js";
import { markdown, richText, table } from "./rich.js";

const RENDER = {
  header: (b, s) => h(`h${s.level}`, { class: "block-header" }, plainText(b.text)),
  divider: () => h("hr"),
  section: (b, s) => h("div", { class: "section" },
    h("div", { class: "section-text" },
      b.text && h("div", {}, textObject(b.text, s.names)),
      b.fields && h("div", { class: "fields" }, b.fields.map((f) => h("div", {}, textObject(f, s.names))))),
    b.accessory && h("div", { class: "accessory" }, element(b, b.accessory, s))),
  context: (b, s) => h("div", { class: "context" }, b.elements.map((e) =>
    e.type === "image" ? h("img", { src: e.image_url || "", alt: e.alt_text }) : h("span", {}, textObject(e, s.names)))),
  actions: (b, s) => h("div", { class: "actions" }, b.elements.map((e) => element(b, e, s))),
  context_actions: (b, s) => RENDER.actions(b, s),
  image: (b) => h("figure", {}, b.title && h("figcaption", {}, plainText(b.title)),
    h("img", { src: b.image_url || b.slack_file?.url || "", alt: b.alt_text })),
  rich_text: (b, s) => richText(b, s.names),
  markdown: (b, s) => markdown(b.text, s.level),
  table: (b, s) => table(b, s.names),
  data_table: (b, s) => table(b, s.names),
  input: (b, s) => inputBlock(b, s),
  alert: (b, s) => h("div", { class: `alert ${b.level || "default"}`, role: "note" }, textObject(b.text, s.names)),
  plan: (b, s) => h("div", { class: "plan" }, h("strong", {}, b.title), (b.tasks || []).map((t) => task(t, s))),
  task_card: (b, s) => task(b, s),
  video: (b) => h("a", { href: b.video_url, target: "_blank", rel: "noopener noreferrer" }, plainText(b.title)),
  file: (b) => h("span", { class: "muted" }, `File ${b.external_id || ""}`),
};

const SIGNS = { pending: "○", in_progress: "◐", complete: "●", error: "✕" };
const task = (t) => h("div", { class: `task ${t.status}` }, SIGNS[t.status] || "○", " ", t.title);

function inputBlock(b, s) {
  const label = plainText(b.label);
  const node = element(b, b.element, s, { input: true, label });
  const target = node.matches("input, textarea") ? node : node.querySelector("input");
  return h("div", { class: "input", dataset: { inputBlock: b.block_id } },
    h("label", { htmlFor: target?.id || "" }, label, b.optional && h("span", { class: "optional" }, " (optional)")),
    node,
    b.hint && h("p", { class: "hint" }, plainText(b.hint)),
    h("p", { class: "error", role: "alert", hidden: true }));
}

const one = (block, surface) => (RENDER[block.type] || (() => h("p", { class: "muted" }, `[${block.type}]`)))(block, surface);

// `kept` holds what was drawn before, where it is given: a block that says the same keeps its element. Slack gives the
// blocks of each update new ids, so these do not count; the element goes on under the new one.
export function blocks(list, surface, kept = null) {
  const now = new Map();
  for (const block of list) {
    let name = JSON.stringify({ ...block, block_id: null });
    while (now.has(name)) name += "+";
    const old = kept?.get(name);
    if (old) old.block.block_id = block.block_id;
    now.set(name, old || { block, node: one(block, surface) });
  }
  kept?.clear();
  now.forEach((drawn, name) => kept?.set(name, drawn));
  return [...now.values()].map((drawn) => drawn.node);
}

export const body = (message, surface, kept = null) => [
  message.blocks?.length ? blocks(message.blocks, surface, kept) : h("div", {}, mrkdwn(message.text || "", surface.names)),
  (message.attachments || []).map((attachment) => {
    const node = h("div", { class: "attachment" },
      attachment.blocks ? blocks(attachment.blocks, surface) : mrkdwn(attachment.text || attachment.fallback || "", surface.names));
    if (/^#?[0-9a-f]{6}$/i.test(attachment.color || "")) node.style.borderColor = `#${attachment.color.replace("#", "")}`;
    return node;
  }),
];
