'use strict';

// The device of the article "Send cloud-to-device messages (Node.js)": prints each message and completes it.
// The transport is the article's, MQTT, unless the environment names another.

const { Client } = require('azure-iot-device');
const transport = process.env.DEVICE_TRANSPORT || 'azure-iot-device-mqtt';
const Protocol = transport === 'azure-iot-device-amqp' ? require(transport).Amqp : require(transport).Mqtt;

const client = Client.fromConnectionString(process.env.DEVICE_CONNECTION_STRING, Protocol);

client.on('message', function (msg) {
  console.log('Id: ' + msg.messageId + ' Body: ' + msg.data);
  client.complete(msg, function (err) {
    if (err) {
      console.error('complete error: ' + err.toString());
    } else {
      console.log('complete sent');
    }
  });
});

client.open(function (err) {
  if (err) {
    console.error('Could not connect: ' + err.message);
    process.exit(1);
  }
  console.log('Client connected');
});
