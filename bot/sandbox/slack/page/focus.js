// Keeps the keyboard inside a dialog while it is open, and gives it back afterwards.

const REACHABLE = "a[href], button:not([disabled]), input:not([disabled]), textarea:not([disabled]), select, [tabindex='0']";

export function trap(dialog, first) {
  const before = document.activeElement;
  const keep = (event) => {
    if (event.key !== "Tab") return;
    const all = [...dialog.querySelectorAll(REACHABLE)].filter((node) => node.offsetParent !== null);
    if (!all.length) return;
    const [start, end] = [all[0], all[all.length - 1]];
    if (event.shiftKey && document.activeElement === start) { end.focus(); event.preventDefault(); }
    else if (!event.shiftKey && document.activeElement === end) { start.focus(); event.preventDefault(); }
  };
  dialog.addEventListener("keydown", keep);
  first?.focus();
  return () => {
    dialog.removeEventListener("keydown", keep);
    if (before?.isConnected) before.focus();
  };
}
