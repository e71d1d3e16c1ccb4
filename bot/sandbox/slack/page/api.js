// The page's side of the control API.

async function call(method, path, body) {
  const answer = await fetch(`/_control/${path}`, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const found = await answer.json();
  if (!answer.ok && found.ok === undefined) throw new Error(`${path}: ${answer.status}`);
  return found;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);

// Nothing is heard of what happens before it is open, for the first time or again.
export function listen(user, onEvent, onOpen) {
  const source = new EventSource(`/_control/events?user=${encodeURIComponent(user)}`);
  source.onmessage = (event) => onEvent(JSON.parse(event.data));
  source.onopen = onOpen;
  return () => source.close();
}
