// Keeps the keyboard where it is: inside an open dialog, and in its place when that is drawn anew.

const REACHABLE = "a[href], button:not([disabled]), input:not([disabled]), textarea:not([disabled]), select, summary, [tabindex='0']";

export const reachable = (root) => [...root.querySelectorAll(REACHABLE)].filter((node) => node.offsetParent !== null);

// Where the focus is in `root`, in words that hold for what replaces it: the element's key, and which of its parts.
function placeIn(root) {
  const active = document.activeElement;
  if (!active || active === root || !root.contains(active)) return null;
  const keyed = active.closest("[data-key]");
  if (!keyed || !root.contains(keyed)) return {};
  const parts = keyed === active ? [active] : [...keyed.querySelectorAll("*")];
  const open = keyed.querySelector("[aria-expanded=true]") !== null;
  return { key: keyed.dataset.key, action: keyed.dataset.actionId, part: keyed === active ? -1 : parts.indexOf(active), open, typed: open ? active.value : undefined };
}

function find(root, place) {
  if (!place.key) return null;
  const alike = root.querySelectorAll(`[data-action-id="${CSS.escape(place.action || "")}"]`);
  const keyed = root.querySelector(`[data-key="${CSS.escape(place.key)}"]`) || (alike.length === 1 && alike[0]);
  if (!keyed) return null;
  const node = place.part < 0 ? keyed : keyed.querySelectorAll("*")[place.part];
  if (place.open && place.typed !== undefined && node) node.value = place.typed;
  if (place.open) keyed.dispatchEvent(new Event("reopen"));
  return node?.matches(REACHABLE) && !node.disabled ? node : reachable(keyed)[0] || null;
}

// Runs `redraw` and puts the focus back on the same element of what was drawn, or else on `root` or `fallback`.
export function keepFocus(root, redraw, fallback = root) {
  const place = placeIn(root);
  const [before, { scrollTop }] = [document.activeElement, root];
  redraw();
  if (!place || document.activeElement === before) return;
  (find(root, place) || fallback).focus({ preventScroll: true });
  root.scrollTop = scrollTop;
}

// What gives the focus back to where it is now, also when the message it is in is drawn anew meanwhile.
export function remember() {
  const before = document.activeElement;
  const article = before?.closest?.("article");
  const place = article && placeIn(article);
  return () => {
    if (before?.isConnected && before !== document.body) before.focus();
    else if (article?.isConnected) ((place && find(article, place)) || article).focus();
    else document.getElementById("composer")?.focus();
  };
}

export function trap(dialog, first) {
  const back = remember();
  const keep = (event) => {
    if (event.key !== "Tab") return;
    const all = reachable(dialog);
    if (!all.length) return;
    const [start, end] = [all[0], all[all.length - 1]];
    if (event.shiftKey && document.activeElement === start) { end.focus(); event.preventDefault(); }
    else if (!event.shiftKey && document.activeElement === end) { start.focus(); event.preventDefault(); }
  };
  dialog.addEventListener("keydown", keep);
  first?.focus();
  return () => {
    dialog.removeEventListener("keydown", keep);
    back();
  };
}

// What lies under the topmost dialog is out of reach; call what it returns when that dialog is gone.
export function freezeBelow() {
  const below = [document.getElementById("app"), ...[...document.getElementById("overlay").children].slice(0, -1)].filter((node) => !node.inert);
  for (const node of below) node.inert = true;
  return () => { for (const node of below) node.inert = false; };
}
