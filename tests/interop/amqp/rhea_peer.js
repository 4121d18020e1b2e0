// A rhea container that does what the lines of its input say, and tells what it sees, a JSON array a line.
// With the name of a package as its argument it uses the rhea that this package uses.
"use strict";

const { createRequire } = require("node:module");
const readline = require("node:readline");

const rhea = load(process.argv[2]);
const links = {};
const sessions = {};
const deliveries = {};
let connection;
let refusal;

function load(user) {
  try {
    return user ? createRequire(require.resolve(`${user}/package.json`))("rhea") : require("rhea");
  } catch (error) {
    console.log(`${user || "rhea"} is missing: npm install ${user || "rhea"}`);
    process.exit(1);
  }
}

const say = (...what) => console.log(JSON.stringify(what, (_, value) => (value === undefined ? null : value)));
const errorOf = (error) => (error ? [error.condition, error.description] : null);
const made = (error) => (error ? { condition: error[0], description: error[1] } : undefined);
const linkOf = (context) => context.sender || context.receiver;
const keyOf = (context) => [linkOf(context).name, context.delivery.tag.toString()];

const settings = (options) => ({
  host: "127.0.0.1",
  container_id: "stranger",
  max_frame_size: options.max_frame_size,
  idle_time_out: options.silence * 500,
  reconnect: false,
  sender_options: { treat_modified_as_released: false },
  receiver_options: { autoaccept: false, credit_window: 0 },
});

const orders = {
  listen(options) {
    if (options.mechanism === "PLAIN") {
      rhea.sasl_server_mechanisms.enable_plain((user, word) => user === options.username && word === options.password);
    }
    const server = rhea.listen({ ...settings(options), port: 0 });
    server.on("listening", () => say("listening", server.address().port));
  },
  connect(options) {
    rhea.connect({
      ...settings(options),
      port: options.port,
      hostname: "hub.example",
      username: options.mechanism === "ANONYMOUS" ? "anonymous" : options.username,
      password: options.password,
    });
  },
  refuse({ error }) {
    refusal = made(error);
    say("refusing");
  },
  attach({ link, role, session, settle }) {
    if (!(session in sessions)) {
      sessions[session] = connection.create_session();
      sessions[session].begin();
    }
    const options = {
      ...connection.options[`${role}_options`],
      name: link,
      source: "from",
      target: "to",
      rcv_settle_mode: settle === "second" ? 1 : 0,
    };
    links[link] = sessions[session][`attach_${role}`](options);
  },
  credit({ link, credit }) {
    links[link].add_credit(credit);
  },
  drain({ link }) {
    // What drain_credit() of later versions does.
    Object.assign(links[link], { drain: true, issue_flow: true });
    connection._register();
  },
  drained({ link }) {
    links[link].set_drained(true);
    connection._register();
  },
  send({ link, tag, body, settled }) {
    const content = rhea.message.data_section(Buffer.from(body));
    const message = { message_id: tag, application_properties: { number: 7 }, body: content };
    const delivery = links[link].send(message, Buffer.from(tag));
    delivery.settled = Boolean(settled);
    deliveries[[link, tag]] = delivery;
  },
  settle({ link, tag, outcome, settled }) {
    const [state, ...details] = outcome || [];
    const delivery = deliveries[[link, tag]];
    delivery.update(settled !== false, state && rhea.message[state](fieldsOf(state, details)).described());
  },
  detach({ link, error, closed }) {
    if (closed === false) {
      links[link].detach();
    } else {
      links[link].close(made(error));
    }
  },
  end({ link, error }) {
    links[link].session.close(made(error));
  },
  close({ error }) {
    connection.close(made(error));
  },
  drop() {
    connection.socket.destroy();
  },
};

function fieldsOf(state, details) {
  if (state === "rejected") {
    return { error: made(details) };
  }
  const [delivery_failed, undeliverable_here, message_annotations] = details;
  return state === "modified" ? { delivery_failed, undeliverable_here, message_annotations } : {};
}

function outcomeOf(state, { error, delivery_failed, undeliverable_here, message_annotations }) {
  if (state === "rejected") {
    return [state, ...errorOf(error)];
  }
  return state === "modified" ? [state, delivery_failed, undeliverable_here, message_annotations] : [state];
}

function answer(link) {
  links[link.name] = link;
  if (refusal) {
    link.close(refusal);
    return;
  }
  link.set_source(link.source);
  link.set_target(link.target);
  link.local.attach.rcv_settle_mode = link.rcv_settle_mode;
}

rhea.on("connection_open", (context) => {
  connection = context.connection;
  const { container_id, hostname, max_frame_size, idle_time_out } = connection;
  say("opened", container_id, hostname, max_frame_size, idle_time_out);
});
for (const role of ["sender", "receiver"]) {
  rhea.on(`${role}_open`, (context) => {
    const link = linkOf(context);
    if (!(link.name in links)) {
      answer(link);
    }
    say("attached", link.name, link.source && link.source.address, link.target && link.target.address);
  });
  rhea.on(`${role}_close`, (context) => {
    const link = linkOf(context);
    say("detached", link.name, errorOf(link.error), Boolean(link.remote.detach.closed));
  });
}
rhea.on("sender_flow", ({ sender }) => say("credit", sender.name, sender.credit, Boolean(sender._draining)));
rhea.on("receiver_drained", ({ receiver }) => say("drained", receiver.name));
rhea.on("message", (context) => {
  const [link, tag] = keyOf(context);
  const { message, delivery } = context;
  deliveries[[link, tag]] = delivery;
  const body = message.body.content.toString();
  say("message", link, tag, message.message_id, message.application_properties, body, delivery.remote_settled);
});
for (const state of ["accepted", "rejected", "released", "modified"]) {
  rhea.on(state, (context) => {
    const { delivery } = context;
    // A second disposition, which only settles, repeats the outcome.
    if (!delivery.told) {
      delivery.told = true;
      say("outcome", ...keyOf(context), outcomeOf(state, delivery.remote_state));
    }
  });
}
rhea.on("settled", (context) => say("settled", ...keyOf(context)));
rhea.on("session_close", ({ session }) => say("ended", errorOf(session.error)));
rhea.on("connection_close", (context) => {
  if (context.connection.transport_error) {
    say("failed", context.connection.transport_error.condition);
  } else {
    say("closed", errorOf(context.connection.error));
  }
});
rhea.on("disconnected", () => say("disconnected"));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
say("ready");
