// Prints one frame of each kind as rhea writes it, with every field given that it can write: a JSON object of
// hexadecimal strings.
"use strict";

let rhea, frames, terminus;
try {
  rhea = require("rhea");
  frames = require("rhea/lib/frames.js");
  terminus = require("rhea/lib/terminus.js");
} catch (error) {
  console.log("rhea is missing: npm install rhea");
  process.exit(1);
}
const { message } = rhea;

const several = ["a", "b"];
const properties = { key: "value" };
const error = { condition: "amqp:not-allowed", description: "so be it" };
const capabilities = { offered_capabilities: several, desired_capabilities: several, properties };
const node = {
  address: "node",
  durable: 2,
  expiry_policy: "never",
  timeout: 70000,
  dynamic: true,
  dynamic_node_properties: properties,
  capabilities: several,
};
const source = {
  ...node,
  distribution_mode: "copy",
  filter: properties,
  default_outcome: message.modified({ delivery_failed: true, undeliverable_here: true }).described(),
  outcomes: several,
};

const amqp = {
  open: {
    container_id: "container",
    hostname: "host",
    max_frame_size: 70000,
    channel_max: 300,
    idle_time_out: 80000,
    outgoing_locales: "en",
    incoming_locales: several,
    ...capabilities,
  },
  begin: {
    remote_channel: 300,
    next_outgoing_id: 70000,
    incoming_window: 80000,
    outgoing_window: 90000,
    handle_max: 300,
    ...capabilities,
  },
  attach: {
    name: "name",
    handle: 300,
    role: true,
    snd_settle_mode: 1,
    rcv_settle_mode: 1,
    source: terminus.source(source).described(),
    target: terminus.target(node).described(),
    incomplete_unsettled: true,
    initial_delivery_count: 70000,
    max_message_size: 80000,
    ...capabilities,
  },
  flow: {
    next_incoming_id: 300,
    incoming_window: 70000,
    next_outgoing_id: 400,
    outgoing_window: 80000,
    handle: 500,
    delivery_count: 600,
    link_credit: 700,
    available: 800,
    drain: true,
    echo: true,
    properties,
  },
  transfer: {
    handle: 300,
    delivery_id: 400,
    delivery_tag: Buffer.from("tag"),
    message_format: 500,
    settled: true,
    more: true,
    rcv_settle_mode: 1,
    // rhea cannot write the field state here.
    resume: true,
    aborted: true,
    batchable: true,
  },
  disposition: {
    role: true,
    first: 300,
    last: 400,
    settled: true,
    state: message.rejected({ error }).described(),
    batchable: true,
  },
  detach: { handle: 300, closed: true, error },
  end: { error },
  close: { error },
};
const sasl = {
  sasl_mechanisms: { sasl_server_mechanisms: several },
  sasl_init: { mechanism: "PLAIN", initial_response: Buffer.from("response"), hostname: "host" },
  sasl_challenge: { challenge: Buffer.from("challenge") },
  sasl_response: { response: Buffer.from("response") },
  sasl_outcome: { code: 4, additional_data: Buffer.from("data") },
};

const written = {};
for (const [name, fields] of Object.entries(amqp)) {
  const payload = name === "transfer" ? Buffer.from("payload") : undefined;
  written[name] = frames.write_frame(frames.amqp_frame(7, frames[name](fields), payload)).toString("hex");
}
for (const [name, fields] of Object.entries(sasl)) {
  written[name] = frames.write_frame(frames.sasl_frame(frames[name](fields))).toString("hex");
}
console.log(JSON.stringify(written));
