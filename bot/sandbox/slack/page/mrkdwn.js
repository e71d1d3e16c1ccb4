// Slack's mrkdwn as elements (docs: formatting message text). Never as HTML text.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";

const plain = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

const RULES = [
  [/`([^`\n]+)`/, (m) => h("code", {}, plain(m[1]))],
  [/<([^<>\n]+)>/, (m, names) => angle(m[1], names)],
  [/:([a-z0-9_+'-]+):/, (m) => emoji(m[1])],
  [/(?<![\w*])\*(?=[^\s*])([^\n]*?[^\s*])\*(?![\w*])/, (m, names) => h("strong", {}, inline(m[1], names))],
  [/(?<![\w_])_(?=[^\s_])([^\n]*?[^\s_])_(?![\w_])/, (m, names) => h("em", {}, inline(m[1], names))],
  [/(?<![\w~])~(?=[^\s~])([^\n]*?[^\s~])~(?![\w~])/, (m, names) => h("s", {}, inline(m[1], names))],
];

function inline(text, names) {
  const nodes = [];
  let rest = text;
  while (rest) {
    let first = null;
    for (const [pattern, make] of RULES) {
      const match = pattern.exec(rest);
      if (match && (!first || match.index < first.match.index)) first = { match, make };
    }
    if (!first) break;
    const { match, make } = first;
    if (match.index) nodes.push(plain(rest.slice(0, match.index)));
    nodes.push(make(match, names));
    rest = rest.slice(match.index + match[0].length);
  }
  if (rest) nodes.push(plain(rest));
  return nodes;
}

function angle(inner, names) {
  const [target, label] = split(inner);
  const mention = (text) => h("span", { class: "mention" }, text);
  if (target.startsWith("@")) return mention(`@${names.user(target.slice(1)) || label || target.slice(1)}`);
  if (target.startsWith("#")) return mention(`#${names.channel(target.slice(1)) || label || target.slice(1)}`);
  if (target.startsWith("!subteam^")) return mention(`@${names.group(target.slice(9)) || label || "group"}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (/^!(here|channel|everyone)$/.test(target)) return mention(`@${target.slice(1)}`);
  if (/^(https?:|mailto:)/i.test(target)) return link(target, plain(label || target.replace(/^mailto:/, "")));
  return plain(label || `<${inner}>`);
}

function split(inner) {
  const at = inner.indexOf("|");
  return at < 0 ? [inner, ""] : [inner.slice(0, at), inner.slice(at + 1)];
}

export const link = (url, label) =>
  /^(https?:|mailto:)/i.test(url) ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label) : label;

export function formatDate(epoch, form) {
  const date = new Date(epoch * 1000);
  const days = Math.round((new Date(date.toDateString()) - new Date(new Date().toDateString())) / 864e5);
  const pretty = { 0: "today", 1: "tomorrow", [-1]: "yesterday" }[days];
  const as = (options) => date.toLocaleDateString([], options);
  const short = as({ month: "short", day: "numeric", year: "numeric" });
  const long = as({ weekday: "long", month: "long", day: "numeric", year: "numeric" });
  const full = as({ month: "long", day: "numeric", year: "numeric" });
  const known = {
    date_num: date.toISOString().slice(0, 10), date: full, date_short: short, date_long: long,
    date_pretty: pretty || full, date_short_pretty: pretty || short, date_long_pretty: pretty || long,
    time: date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
    time_secs: date.toLocaleTimeString(), ago: `${Math.max(0, Math.round((Date.now() - date) / 6e4))} min ago`,
  };
  return form.replace(/\{(\w+)\}/g, (whole, name) => known[name] ?? whole);
}

function date(target, label) {
  const [, epoch, form, url] = target.split("^");
  if (!/^\d+$/.test(epoch) || !form) return plain(label);
  const node = h("time", { title: plain(label) }, formatDate(Number(epoch), form));
  return url ? link(url, node) : node;
}

function lines(text, names) {
  const nodes = [];
  let quote = [];
  const flush = () => {
    if (quote.length) nodes.push(h("blockquote", {}, quote.map((l, i) => [i ? h("br") : null, inline(l, names)])));
    quote = [];
  };
  text.split("\n").forEach((line, index) => {
    if (/^(&gt;|>)/.test(line)) {
      quote.push(line.replace(/^(&gt;|>) ?/, ""));
      return;
    }
    const quoted = quote.length > 0;
    flush();
    if (index && !quoted) nodes.push(h("br"));
    nodes.push(inline(line, names));
  });
  flush();
  return nodes;
}

export function mrkdwn(text, names) {
  return text.split(/```\n?/).map((part, index) => {
    if (index % 2) return h("pre", {}, plain(part.replace(/\n$/, "")));
    const trimmed = part.replace(/^\n/, index ? "" : "\n").replace(/\n$/, "");
    return trimmed ? lines(trimmed, names) : null;
  });
}

export const textObject = (object, names) =>
  object.type === "mrkdwn" ? mrkdwn(object.text, names) : plainText(object);

export const plainText = (object) =>
  object.text.replace(/:([a-z0-9_+'-]+):/g, (whole, name) => (object.emoji === false ? whole : emoji(name)));
