// Shows what the hub says of itself, once a second. Whatever comes from the hub is text and never becomes markup.

const POLL_MS = 1000;
const TIMEOUT_MS = 5000;
const COPIED_MS = 1500;

const byId = (id) => document.getElementById(id);
let paused = false;
let strings = {};

/** Ask for the status until the key turns out to be wrong. */
async function poll() {
  const answer = await ask();
  show(answer);
  if (!answer.refused) {
    setTimeout(poll, POLL_MS);
  }
}

/** Return the status, or why there is none; nothing while nobody looks. */
async function ask() {
  if (paused || document.hidden) {
    return {};
  }
  const key = location.hash.slice(1);
  if (!key) {
    return { refused: true };
  }
  try {
    const response = await fetch("/$c2dkit/status", {
      headers: { Authorization: `Bearer ${key}` },
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 401) {
      return { refused: true };
    }
    if (response.ok) {
      return { status: await response.json() };
    }
  } catch {
    // The network's reasons are the same to the reader.
  }
  return { problem: "The hub does not answer. This is how it was when it last did." };
}

function show({ status, refused = false, problem }) {
  if (refused) {
    byId("where").textContent = "";
    strings = {};
    reveal(false);
  }
  if (status) {
    showStatus(status);
    reveal(true);
  }
  if (status || problem || refused) {
    setText(byId("notice"), problem ?? "");
  }
}

function reveal(hasData) {
  byId("data").hidden = byId("pause").hidden = !hasData;
  byId("locked").hidden = hasData;
}

function showStatus(status) {
  strings = { ...status.connection_strings };
  setText(byId("where"), `${status.host}, ${status.ports.length > 1 ? "ports" : "port"} ${status.ports.join(", ")}`);
  setText(byId("ca-file"), status.ca_file);
  setText(byId("device-count"), count(status.devices, status.device_count));
  setText(byId("message-count"), count(status.messages, status.message_count));
  setText(byId("connection-count"), count(status.connections, status.connection_count));
  fill(byId("devices"), status.devices, (each) => each.device_id, newDevice, showDevice);
  fill(byId("messages"), status.messages, (each) => `${each.sequence_number} ${each.device_id}`, newMessage, showMessage);
  fill(byId("connections"), status.connections, (each) => each.peer, newConnection, showConnection);
  fill(byId("events"), status.events, (_, index) => status.event_count - index, newEvent, showEvent);
}

const count = (shown, all) => (shown.length < all ? `${shown.length} of ${all} shown` : `${all}`);

/** Make the children of an element those of a list, and touch only what has changed: a reader keeps his place. */
function fill(parent, items, keyOf, create, update) {
  const frame = parent.closest(".frame");
  const heads = [...frame.querySelectorAll("thead th")];
  const before = new Map([...parent.children].map((child) => [child.key, child]));
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    const child = before.get(key) ?? label(Object.assign(create(item), { key }), heads);
    before.delete(key);
    update(child, item);
    if (parent.children[index] !== child) {
      parent.insertBefore(child, parent.children[index] ?? null);
    }
  });
  before.forEach((child) => child.remove());
  frame.querySelector(".empty").hidden = items.length > 0;
  frame.querySelector("table, ol").hidden = items.length === 0;
}

/** Have each cell of a row know the head of its column, which a narrow window shows beside it. */
function label(row, heads) {
  heads.forEach((head, index) => {
    row.children[index].dataset.label = head.textContent;
  });
  return row;
}

function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function setTag(cell, text, kind) {
  setText(cell.firstChild, text);
  cell.firstChild.className = `tag ${kind}`;
}

function make(name, className = "", ...children) {
  const element = document.createElement(name);
  element.className = className;
  element.append(...children);
  return element;
}

function newRow(head, ...cells) {
  const first = make("th", head);
  first.scope = "row";
  return make("tr", "", first, ...cells);
}

function newDevice(device) {
  const button = make("button", "", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy the connection string of ${device.device_id}`);
  button.addEventListener("click", () => copy(button, `device ${device.device_id}`));
  return newRow(
    "id",
    make("td", "", make("span")),
    make("td"),
    make("td", "number"),
    make("td", "number"),
    make("td", "", button),
  );
}

function showDevice({ children: [name, enabled, connected, queue, locked] }, device) {
  strings[`device ${device.device_id}`] = device.connection_string;
  setText(name, device.device_id);
  setTag(enabled, device.enabled ? "yes" : "disabled", device.enabled ? "plain" : "warn");
  setText(connected, device.connected.join(", ") || "–");
  setText(queue, `${device.queue_depth}`);
  setText(locked, `${device.locked}`);
}

function newMessage() {
  return newRow(
    "id",
    make("td", "number"),
    make("td", "id"),
    make("td", "", make("span")),
    make("td", "number"),
    make("td", "number"),
    make("td", "number"),
    make("td", "number"),
  );
}

function showMessage({ children: [device, number, id, state, lock, deliveries, bytes, expiry] }, message) {
  setText(device, message.device_id);
  setText(number, `${message.sequence_number}`);
  setText(id, message.message_id ?? "–");
  setTag(state, message.locked ? "locked" : "waiting", message.locked ? "" : "plain");
  setText(lock, lockLeft(message));
  setText(deliveries, `${message.delivery_count}`);
  setText(bytes, message.body_bytes.toLocaleString("en"));
  setText(expiry, duration(message.expiry_seconds));
}

function lockLeft(message) {
  if (!message.locked) {
    return "–";
  }
  return message.lock_seconds === null ? "as long as connected" : duration(message.lock_seconds);
}

function duration(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) {
    return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  }
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

const newConnection = () => newRow("id", make("td"), make("td", "short"));

function showConnection({ children: [clients, way, peer] }, connection) {
  setText(clients, connection.clients.join(", ") || "nobody yet");
  setText(way, connection.way);
  setText(peer, connection.peer);
}

const newEvent = () => make("li", "", make("time"), make("span", "who"), make("span"), make("span", "detail"));

function showEvent({ children: [time, who, what, detail] }, event) {
  const at = new Date(event.at);
  time.dateTime = event.at;
  setText(time, `${at.toLocaleTimeString("en-GB")}.${`${at.getMilliseconds()}`.padStart(3, "0")}`);
  setText(who, event.who);
  setText(what, event.what);
  setText(detail, event.detail);
}

async function copy(button, name) {
  try {
    await navigator.clipboard.writeText(strings[name]);
    say(button, "Copied");
  } catch {
    say(button, "Not allowed");
  }
}

function say(button, text) {
  button.textContent = text;
  setText(byId("copied"), text);
  setTimeout(() => {
    button.textContent = "Copy";
    setText(byId("copied"), "");
  }, COPIED_MS);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", `${paused}`);
});
for (const policy of ["service", "iothubowner"]) {
  byId(policy).setAttribute("aria-label", `Copy the connection string of policy ${policy}`);
  byId(policy).addEventListener("click", () => copy(byId(policy), policy));
}
addEventListener("hashchange", () => location.reload());
poll();
