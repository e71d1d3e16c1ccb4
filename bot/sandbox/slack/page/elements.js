// Block elements that people use: buttons, selects, inputs. A surface says what a use does.
//
// surface: {names, people, value(block, element), change(block, element, state), act(block, element, more, node),
//           suggest(block, element, typed)}

import { freshId, h } from "./dom.js";
import { confirmDialog } from "./confirm.js";
import { plainText } from "./mrkdwn.js";
import { combobox } from "./select.js";

const OPTION_FIELDS = new Set(["static_select", "external_select", "radio_buttons", "overflow"]);
const INPUT_TYPES = { email_text_input: "email", url_text_input: "url", number_input: "number",
  datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };
const STATE_FIELDS = { datepicker: "selected_date", timepicker: "selected_time", datetimepicker: "selected_date_time",
  users_select: "selected_user", channels_select: "selected_channel", conversations_select: "selected_conversation" };

export function element(block, e, surface, { input = false, label = "" } = {}) {
  const make = e.type === "button" ? button
    : e.type === "image" ? image
      : e.type.endsWith("_select") ? select
        : e.type === "overflow" ? overflow
          : e.type === "checkboxes" || e.type === "radio_buttons" ? choices
            : e.type === "file_input" ? files
              : e.type === "plain_text_input" || e.type in INPUT_TYPES ? field : unknown;
  const node = make(block, e, surface, { input, label });
  if (e.action_id) {
    node.dataset.actionId = e.action_id;
    node.dataset.blockId = block.block_id;
    node.dataset.key = `${e.action_id}/${e.value ?? ""}`;
  }
  return node;
}

const unknown = (block, e) => h("span", { class: "muted" }, `[${e.type}]`);
const image = (block, e) => h("img", { class: "thumb", src: e.image_url || "", alt: e.alt_text });

async function use(block, e, surface, more, node) {
  if (e.confirm && !(await confirmDialog(e.confirm, surface.names))) return false;
  surface.act(block, e, more, node);
  return true;
}

function button(block, e, surface) {
  const node = h("button", {
    type: "button", class: `button ${e.style || ""}`, "aria-label": e.accessibility_label,
    onclick: async () => {
      if (e.url) window.open(e.url, "_blank", "noopener");
      await use(block, e, surface, { text: e.text, ...(e.value === undefined ? {} : { value: e.value }) }, node);
    },
  }, plainText(e.text));
  return node;
}

// A change is kept in the surface's state; outside input blocks, or where asked for, it is also an action.
function changed(block, e, surface, state, { input, node }) {
  surface.change(block, e, { type: e.type, ...state });
  if (!input || block.dispatch_action) use(block, e, surface, state, node);
}

const asChoice = (option) => ({ text: plainText(option.text), value: option.value,
  description: option.description && plainText(option.description), option });

const filter = (all, typed) => {
  const words = typed.toLowerCase().split(/\s+/);
  return all.filter((one) => words.every((word) => one.text.toLowerCase().includes(word)));
};

function select(block, e, surface, { input, label }) {
  const multi = e.type.startsWith("multi_");
  const kind = e.type.replace("multi_", "");
  const now = surface.value(block, e) || {};
  const id = freshId("select");
  const people = { users_select: surface.people.users, channels_select: surface.people.channels,
    conversations_select: surface.people.channels }[kind];
  const field = STATE_FIELDS[kind];
  let chosen;
  if (field) {
    const ids = multi ? now[`${field}s`] || e[field.replace("selected", "initial") + "s"] : [now[field] || e[field.replace("selected", "initial")]];
    chosen = (ids || []).map((one) => people().find((p) => p.value === one)).filter(Boolean);
  } else {
    const options = multi ? now.selected_options || e.initial_options : [now.selected_option || e.initial_option];
    chosen = (options || []).filter(Boolean).map(asChoice);
  }
  const every = () => (e.option_groups ? e.option_groups.flatMap((g) => g.options) : e.options || []).map(asChoice);
  const node = combobox({
    id, label: label || e.placeholder?.text || "Choose", placeholder: e.placeholder ? plainText(e.placeholder) : "Choose an option",
    multi, chosen, minimum: kind === "external_select" ? e.min_query_length ?? 3 : 0,
    search: async (typed) => {
      if (kind === "external_select") return (await surface.suggest(block, e, typed)).map(asChoice);
      return filter(people ? people() : every(), typed);
    },
    onChange: (next) => {
      const state = field
        ? multi ? { [`${field}s`]: next.map((one) => one.value) } : { [field]: next[0]?.value ?? null }
        : multi ? { selected_options: next.map((one) => one.option) } : { selected_option: next[0]?.option ?? null };
      changed(block, e, surface, state, { input, node });
    },
  });
  return node;
}

function overflow(block, e, surface) {
  const menu = h("div", { class: "menu", role: "menu", "aria-label": "More actions", hidden: true });
  const toggle = h("button", { type: "button", class: "button", "aria-label": "More actions", "aria-haspopup": "menu", "aria-expanded": "false",
    onclick: () => (menu.hidden ? open() : close()) }, "⋯");
  const root = h("span", { class: "overflow" }, toggle, menu);
  const items = e.options.map((option) => h("button", { type: "button", role: "menuitem", tabIndex: -1, onclick: () => {
    close();
    if (option.url) window.open(option.url, "_blank", "noopener");
    use(block, e, surface, { selected_option: option }, toggle);
  } }, plainText(option.text)));
  menu.append(...items);
  const show = (on) => {
    menu.hidden = !on;
    toggle.setAttribute("aria-expanded", String(on));
  };
  function open() {
    show(true);
    menu.classList.toggle("leftward", toggle.getBoundingClientRect().right > innerWidth / 2);
    items[0].focus();
    menu.scrollIntoView({ block: "nearest" });
  }
  function close() {
    show(false);
    toggle.focus();
  }
  root.addEventListener("reopen", open);
  root.addEventListener("focusout", (event) => { if (event.relatedTarget && !root.contains(event.relatedTarget)) show(false); });
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") close();
    else if (to !== undefined) items.at(to % items.length).focus();
    else return;
    event.stopPropagation();
    event.preventDefault();
  });
  return root;
}

function choices(block, e, surface, { input, label }) {
  const single = e.type === "radio_buttons";
  const now = surface.value(block, e) || {};
  const initial = single ? [now.selected_option || e.initial_option] : now.selected_options || e.initial_options || [];
  const values = new Set(initial.filter(Boolean).map((option) => option.value));
  const name = freshId("choice");
  const node = h("div", { class: "choices", role: single ? "radiogroup" : "group", "aria-label": label }, e.options.map((option) => {
    const box = h("input", { type: single ? "radio" : "checkbox", name, checked: values.has(option.value), onchange: () => {
      if (single) values.clear();
      if (box.checked) values.add(option.value); else values.delete(option.value);
      const kept = e.options.filter((one) => values.has(one.value));
      changed(block, e, surface, single ? { selected_option: kept[0] || null } : { selected_options: kept }, { input, node });
    } });
    return h("label", {}, box, h("span", {}, plainText(option.text), option.description && h("small", {}, plainText(option.description))));
  }));
  return node;
}

function field(block, e, surface, { input, label }) {
  const key = STATE_FIELDS[e.type] || "value";
  const now = surface.value(block, e);
  const initial = now ? now[key] : e.initial_value ?? e.initial_date ?? e.initial_time ?? "";
  const node = h(e.multiline ? "textarea" : "input", {
    id: freshId("field"), class: "field", value: initial ?? "", placeholder: e.placeholder ? plainText(e.placeholder) : "",
    "aria-label": label, ...(e.multiline ? { rows: 5 } : { type: INPUT_TYPES[e.type] || "text" }),
    ...(e.max_length ? { maxLength: e.max_length } : {}), min: e.min_value, max: e.max_value,
    step: e.type === "number_input" && e.is_decimal_allowed ? "any" : undefined,
  });
  const state = () => {
    const value = node.value === "" ? null : node.value;
    return { [key]: e.type === "datetimepicker" && value ? Math.floor(new Date(value) / 1000) : value };
  };
  node.addEventListener("input", () => surface.change(block, e, { type: e.type, ...state() }));
  const dispatches = (!input && e.type !== "plain_text_input") || block.dispatch_action;
  if (dispatches) node.addEventListener("change", () => changed(block, e, surface, state(), { input, node }));
  return node;
}

// What is chosen is uploaded at once, as Slack's own client does; the form sends which files these are.
function files(block, e, surface, { label }) {
  const node = h("input", { id: freshId("file"), class: "field", type: "file", "aria-label": label,
    multiple: (e.max_files ?? 10) > 1, accept: (e.filetypes || []).map((kind) => `.${kind}`).join(",") });
  const upload = async () => {
    const uploaded = await Promise.all([...node.files].map((file) => surface.upload(file)));
    surface.change(block, e, { type: e.type, files: uploaded.filter(Boolean) });
  };
  node.addEventListener("change", () => surface.pending(upload()));
  return node;
}

export function initialState(e) {
  if (e.type === "file_input") return { type: e.type, files: [] };
  if (OPTION_FIELDS.has(e.type)) return { type: e.type, selected_option: e.initial_option || null };
  if (e.type === "checkboxes" || e.type.startsWith("multi_")) return { type: e.type, selected_options: e.initial_options || [] };
  const key = STATE_FIELDS[e.type] || "value";
  return { type: e.type, [key]: e[key.replace("selected", "initial")] ?? e.initial_value ?? null };
}
