// Node's azure-iot-device over MQTT or AMQP: complete() in the message handler.
'use strict';

const fs = require('fs');
const { parseArgs } = require('util');
const { Client } = require('azure-iot-device');

const SETTLE_MILLISECONDS = 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { transport: { type: 'string' }, idle: { type: 'string', default: '0' } },
});
const [host, port] = positionals;
const { [values.transport === 'mqtt' ? 'Mqtt' : 'Amqp']: Transport } = require(`azure-iot-device-${values.transport}`);

async function connect(deviceId) {
  const key = Buffer.alloc(32).toString('base64');
  const text = `HostName=${host}:${port};DeviceId=${deviceId};SharedAccessKey=${key}`;
  const client = Client.fromConnectionString(text, Transport);
  client.on('error', fail);
  await client.open();
  // Listening for messages is what makes the SDK subscribe or attach.
  client.on('message', (message) => client.complete(message, (error) => error && fail(error)));
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

function residentBytes() {
  if (global.gc) global.gc();
  return process.memoryUsage.rss();
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MILLISECONDS));

async function measureIdle(count) {
  await connect('dev-0');
  await settle();
  const threads = fs.readdirSync('/proc/self/task').length;
  const before = residentBytes();
  for (let number = 1; number <= count; number++) await connect(`dev-${number}`);
  await settle();
  const bytes = (residentBytes() - before) / count;
  console.log(JSON.stringify({ event: 'idle', bytes, threads }));
  process.exit(0);
}

const idle = Number(values.idle);
(idle ? measureIdle(idle) : connect('dev-1')).catch(fail);
