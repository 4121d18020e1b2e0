'use strict';

// A device on azure-iot-device, over the transport that the first argument names.

const { NoRetry } = require('azure-iot-common');
const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mailbox, serve } = require('./lines');
const { fromSdk } = require('./messages');

const TRANSPORTS = {
  'MQTT': ['azure-iot-device-mqtt', 'Mqtt'],
  'MQTT-WS': ['azure-iot-device-mqtt', 'MqttWs'],
  'AMQP': ['azure-iot-device-amqp', 'Amqp'],
  'AMQP-WS': ['azure-iot-device-amqp', 'AmqpWs'],
  'HTTPS': ['azure-iot-device-http', 'Http'],
};
const POLLING_SECONDS = 0.1;
const [packageName, className] = TRANSPORTS[process.argv[2]];
const Transport = require(packageName)[className];

class Device {
  constructor(step) {
    this.messages = new Mailbox();
    this.lost = new Mailbox();
    this.renewed = new Mailbox();
    this.refused = new Mailbox();
    this.client = this.make(step);
    if (step.reconnect === false) this.client.setRetryPolicy(new NoRetry());
    this.client.on('disconnect', ({ transportObj }) => this.ended(transportObj));
    this.client.on('error', (error) => this.refused.put(error));
    this.client.on('message', (message) => this.messages.put(message)); // enables receiving, also after a reconnect
  }

  make({ connection_string, certificate, token_seconds, renewal_margin_seconds }) {
    if (!connection_string.includes('SharedAccessKey=')) {
      const client = Client.fromConnectionString(connection_string, this.transport());
      if (certificate) client.setOptions({ cert: certificate, key: certificate });
      return client;
    }
    const key = SharedAccessKeyAuthenticationProvider;
    const provider = key.fromConnectionString(connection_string, token_seconds, renewal_margin_seconds);
    provider.on('newTokenAvailable', () => this.renewed.put(null));
    return Client.fromAuthenticationProvider(provider, this.transport());
  }

  // It is the transport alone that tells of a link that the hub has ended, and of a poll that it has refused.
  transport() {
    const device = this;
    return function (provider) {
      const transport = new Transport(provider);
      if (className === 'Http') transport.setOptions({ http: { receivePolicy: { interval: POLLING_SECONDS } } });
      transport.on('error', (error) => device.ended(error));
      return transport;
    };
  }

  ended(error) {
    this.refused.put(error);
    this.lost.put(null);
  }

  async close() {
    this.client.removeAllListeners('error').on('error', () => {});
    await this.client.close();
  }
}

const devices = new Map();
const held = [];

async function connect(step) {
  const device = new Device(step);
  devices.set(step.client, device);
  await device.client.open();
  return device;
}

async function refused(step) {
  const device = await connect(step);
  throw await device.refused.take();
}

async function receive({ client }) {
  const message = await devices.get(client).messages.take();
  return { ...fromSdk(message), number: held.push(message) - 1 };
}

async function close({ client }) {
  const device = devices.get(client);
  devices.delete(client);
  await device.close();
}

async function reset() {
  for (const client of [...devices.keys()]) {
    await close({ client }).catch(() => {}); // it may be closed already
  }
}

serve(['azure-iot-device', packageName], {
  connect: (step) => connect(step).then(() => null),
  refused,
  receive,
  close,
  reset,
  complete: ({ client, number }) => devices.get(client).client.complete(held[number]).then(() => null),
  abandon: ({ client, number }) => devices.get(client).client.abandon(held[number]).then(() => null),
  reject: ({ client, number }) => devices.get(client).client.reject(held[number]).then(() => null),
  lost: ({ client }) => devices.get(client).lost.take(),
  renewed: ({ client }) => devices.get(client).renewed.take(),
});
