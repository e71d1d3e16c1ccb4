// Where the page is, in its address: Back, reload and a link find it again. Drafts outlive a reload too.

export function read() {
  const asked = new URLSearchParams(location.search);
  return { user: asked.get("user"), channel: asked.get("channel"), thread: asked.get("thread"),
    message: asked.get("message"), home: asked.get("view") === "home", faults: asked.get("view") === "faults" };
}

export function write({ user, channel, thread, home, faults }, { push }) {
  const next = new URLSearchParams({ user });
  if (home || faults) next.set("view", home ? "home" : "faults");
  if (!home && channel) next.set("channel", channel);
  if (!home && thread) next.set("thread", thread);
  const address = `?${next}`;
  if (address === location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}

const key = (...where) => ["draft", ...where].join("/");

export function draft(user, channel, thread) {
  const mine = key(user, channel, thread || "");
  return {
    text: () => sessionStorage.getItem(mine) || "",
    keep: (text) => (text ? sessionStorage.setItem(mine, text) : sessionStorage.removeItem(mine)),
  };
}
