// rich_text, markdown and table blocks.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { formatDate, link } from "./mrkdwn.js";

const PIECES = {
  text: (e) => e.text,
  link: (e) => link(e.url, e.text || e.url),
  emoji: (e) => emoji(e.name),
  user: (e, names) => h("span", { class: "mention" }, `@${names.user(e.user_id) || e.user_id}`),
  channel: (e, names) => h("span", { class: "mention" }, `#${names.channel(e.channel_id) || e.channel_id}`),
  usergroup: (e, names) => h("span", { class: "mention" }, `@${names.group(e.usergroup_id) || e.usergroup_id}`),
  broadcast: (e) => h("span", { class: "mention" }, `@${e.range}`),
  date: (e) => formatDate(e.timestamp, e.format),
  color: (e) => e.value,
};

function piece(element, names) {
  let node = (PIECES[element.type] || (() => element.text || ""))(element, names);
  const style = element.style || {};
  if (style.code) node = h("code", {}, node);
  if (style.bold) node = h("strong", {}, node);
  if (style.italic) node = h("em", {}, node);
  if (style.strike) node = h("s", {}, node);
  return node;
}

const pieces = (element, names) => element.elements.map((e) => piece(e, names));

export function richText(block, names) {
  return h("div", { class: "rich" }, block.elements.map((element) => {
    if (element.type === "rich_text_list") {
      const list = h(element.style === "ordered" ? "ol" : "ul", {},
        element.elements.map((item) => h("li", {}, pieces(item, names))));
      list.style.marginLeft = `${(element.indent || 0) * 1.5}rem`;
      return list;
    }
    const tag = { rich_text_quote: "blockquote", rich_text_preformatted: "pre" }[element.type] || "div";
    return h(tag, {}, pieces(element, names));
  }));
}

export function table(block, names) {
  const cell = (c) => (c.type === "rich_text" ? richText(c, names) : c.text ?? "");
  const [head, ...rows] = block.rows;
  return h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((c) => h("th", {}, cell(c))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((c) => h("td", {}, cell(c))))))));
}

function spans(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)]+\)|\*[^*]+\*)/).map((part) => {
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    const found = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    if (found) return link(found[2], found[1]);
    if (part.startsWith("*") && part.length > 2) return h("em", {}, part.slice(1, -1));
    return part;
  });
}

export function markdown(text, level = 3) {
  const nodes = [];
  const parts = text.split(/^```.*$/m);
  parts.forEach((part, index) => {
    if (index % 2) return nodes.push(h("pre", {}, part.trim()));
    for (const group of part.trim().split(/\n{2,}/).filter(Boolean)) nodes.push(paragraph(group, level));
    return null;
  });
  return h("div", { class: "markdown" }, nodes);
}

function paragraph(text, level) {
  const rows = text.split("\n");
  const heading = /^(#{1,6}) (.*)$/.exec(rows[0]);
  if (heading) return [h(`h${Math.min(6, heading[1].length + level - 1)}`, {}, spans(heading[2])), rows.length > 1 && paragraph(rows.slice(1).join("\n"), level)];
  if (rows.every((row) => /^[-*] /.test(row))) return h("ul", {}, rows.map((row) => h("li", {}, spans(row.slice(2)))));
  if (rows.every((row) => /^\d+\. /.test(row))) return h("ol", {}, rows.map((row) => h("li", {}, spans(row.replace(/^\d+\. /, "")))));
  if (rows.every((row) => row.startsWith("|"))) {
    const cells = rows.filter((row) => !/^\|[\s:|-]+\|$/.test(row)).map((row) => row.split("|").slice(1, -1).map((c) => c.trim()));
    return h("table", {}, cells.map((row, i) => h("tr", {}, row.map((c) => h(i ? "td" : "th", {}, spans(c))))));
  }
  return h("p", {}, rows.map((row, i) => [i ? h("br") : null, spans(row)]));
}
