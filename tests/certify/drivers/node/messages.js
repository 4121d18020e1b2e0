'use strict';

// Messages between the fields of README.md and those of azure-iot-common.

const { Message } = require('azure-iot-common');

// The HTTPS transport leaves the names of application properties as its headers have them, and the MQTT transport the
// feedback that was asked for among them.
const HEADER_PREFIX = 'iothub-app-';
const ACK = 'iothub-ack';

function toSdk(fields) {
  const message = new Message(Buffer.from(fields.body, 'base64'));
  message.messageId = fields.message_id;
  message.correlationId = fields.correlation_id;
  message.userId = fields.user_id;
  message.contentType = fields.content_type;
  message.contentEncoding = fields.content_encoding;
  message.ack = fields.ack;
  if (fields.expires_at_ms) message.expiryTimeUtc = fields.expires_at_ms;
  for (const [name, value] of Object.entries(fields.properties ?? {})) message.properties.add(name, value);
  return message;
}

function fromSdk(message) {
  const { [ACK]: ack, ...properties } = propertiesOf(message);
  return {
    body: Buffer.from(message.data).toString('base64'),
    message_id: message.messageId,
    correlation_id: message.correlationId,
    user_id: message.userId || null,
    to: message.to,
    content_type: message.contentType,
    content_encoding: message.contentEncoding,
    ack: message.ack || ack,
    expires_at: message.expiryTimeUtc && new Date(message.expiryTimeUtc).toISOString(),
    properties,
  };
}

function propertiesOf(message) {
  const found = {};
  for (let index = 0; index < message.properties.count(); index++) {
    const { key, value } = message.properties.getItem(index);
    found[key.startsWith(HEADER_PREFIX) ? key.slice(HEADER_PREFIX.length) : key] = value;
  }
  return found;
}

module.exports = { fromSdk, toSdk };
