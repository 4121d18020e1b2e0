// One MQTT.js client that tells what it sees, a JSON array a line, and is ended by the end of its standard input.
// Arguments: the folder that holds node_modules, the package's name, the server's port.
"use strict";

const path = require("node:path");
const { createRequire } = require("node:module");

const [folder, name, port] = process.argv.slice(2);
const mqtt = createRequire(path.join(folder, "any.js"))(name);
const say = (...what) => console.log(JSON.stringify(what));

const client = mqtt.connect({
  host: "127.0.0.1",
  port: Number(port),
  protocol: "mqtt",
  protocolVersion: 4,
  clientId: "node",
  username: "hub/node",
  password: "secret",
  clean: false,
  keepalive: 2,
  reconnectPeriod: 0,
  will: { topic: "w/node", payload: "gone", qos: 0, retain: true },
});

client.on("connect", (connack) => {
  say("connect", connack.sessionPresent);
  client.subscribe({ "down/#": { qos: 1 }, refused: { qos: 0 } }, (error, granted) => {
    // Version 5 reports a refused filter as an error, version 4 among the granted.
    say("subscribe", granted ? granted.map((one) => one.qos) : String(error));
    for (const number of [1, 2, 3]) {
      client.publish("up", `message ${number}`, { qos: 1 }, () => say("puback", number));
    }
  });
});
client.on("message", (topic, payload, packet) => say("message", topic, payload.length, packet.qos, packet.dup));
client.on("packetreceive", (packet) => packet.cmd === "pingresp" && say("pingresp"));
client.on("error", (error) => say("error", error.code ?? null, String(error)));
client.on("close", () => say("close"));

process.stdin.resume();
process.stdin.on("end", () => client.end(false, {}, () => say("end")));
