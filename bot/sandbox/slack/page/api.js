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

export function listen(user, onEvent, onReconnect) {
  let broken = false;
  const source = new EventSource(`/_control/events?user=${encodeURIComponent(user)}`);
  source.onmessage = (event) => onEvent(JSON.parse(event.data));
  source.onerror = () => { broken = true; };
  source.onopen = () => {
    if (broken) onReconnect();
    broken = false;
  };
  return () => source.close();
}
