'use strict';

// The back end of the article "Send cloud-to-device messages (Node.js)": sends one message with full feedback and
// prints the feedback that comes.

const { Client } = require('azure-iothub');
const { Message } = require('azure-iot-common');

const serviceClient = Client.fromConnectionString(process.env.SERVICE_CONNECTION_STRING);
const targetDevice = process.env.TARGET_DEVICE;

function printResultFor(op) {
  return function printResult(err, res) {
    if (err) console.log(op + ' error: ' + err.toString());
    if (res) console.log(op + ' status: ' + res.constructor.name);
  };
}

function receiveFeedback(err, receiver) {
  receiver.on('message', function (msg) {
    console.log('Feedback message:');
    console.log(msg.getData().toString('utf-8'));
  });
}

serviceClient.open(function (err) {
  if (err) {
    console.error('Could not connect: ' + err.message);
    process.exit(1);
  }
  console.log('Service client connected');
  serviceClient.getFeedbackReceiver(receiveFeedback);
  const message = new Message('Cloud to device message.');
  message.ack = 'full';
  message.messageId = 'My Message ID';
  console.log('Sending message: ' + message.getData());
  serviceClient.send(targetDevice, message, printResultFor('send'));
});
