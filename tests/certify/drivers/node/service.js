'use strict';

// A back end on azure-iothub, over the transport that the first argument names.

const { Message } = require('azure-iot-common');
const { Client, AmqpWs, Amqp } = require('azure-iothub');
const { Mailbox, accessToken, serve } = require('./lines');
const { toSdk } = require('./messages');

const Transport = { 'AMQP': Amqp, 'AMQP-WS': AmqpWs }[process.argv[2]];
const clients = new Map();

class BackEnd {
  constructor(step) {
    this.client = make(step);
    this.client.on('disconnect', () => this.lost.put(null));
    this.lost = new Mailbox();
    this.records = new Mailbox();
    this.receiving = false;
  }

  async feedback(device_id) {
    if (!this.receiving) await this.receive();
    for (;;) {
      const record = await this.records.take();
      if (record.device_id === device_id) return record;
    }
  }

  async receive() {
    this.receiving = true;
    const receiver = await new Promise((resolve, reject) => {
      this.client.getFeedbackReceiver((error, made) => (error ? reject(error) : resolve(made)));
    });
    receiver.on('message', (batch) => {
      for (const record of JSON.parse(batch.getData().toString('utf-8'))) this.records.put(fields(record));
    });
    receiver.on('error', () => { this.receiving = false; });
  }
}

function make({ host, connection_string, token, entra_token }) {
  if (entra_token) return Client.fromTokenCredential(host, { getToken: async () => accessToken(entra_token) }, Transport);
  if (token) return Client.fromSharedAccessSignature(token, Transport);
  return Client.fromConnectionString(connection_string, Transport);
}

function fields(record) {
  return {
    original_message_id: record.originalMessageId,
    device_id: record.deviceId,
    generation_id: record.deviceGenerationId,
    status: record.statusCode,
    description: record.description,
    enqueued_at: record.enqueuedTimeUtc,
  };
}

async function connect(step) {
  const backEnd = new BackEnd(step);
  clients.set(step.client, backEnd);
  await backEnd.client.open();
}

// The SDK attaches its link with the first message.
async function refused(step) {
  await connect(step);
  await clients.get(step.client).client.send(step.device_id, new Message('x'));
}

async function close({ client }) {
  const backEnd = clients.get(client);
  clients.delete(client);
  await backEnd.client.close();
}

async function reset() {
  for (const client of [...clients.keys()]) {
    await close({ client }).catch(() => {}); // it may be closed already
  }
}

serve(['azure-iothub'], {
  connect,
  refused,
  close,
  reset,
  send: ({ client, device_id, message }) => clients.get(client).client.send(device_id, toSdk(message)).then(() => null),
  lost: ({ client }) => clients.get(client).lost.take(),
  feedback: ({ client, device_id }) => clients.get(client).feedback(device_id),
});
