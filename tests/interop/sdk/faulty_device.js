'use strict';

// A device on the Node SDK: prints what comes, and sends the fault commands that its input names.

const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const transport = process.env.DEVICE_TRANSPORT;
const Protocol = transport === 'azure-iot-device-amqp' ? require(transport).Amqp : require(transport).Mqtt;

const client = Client.fromConnectionString(process.env.DEVICE_CONNECTION_STRING, Protocol);
if (process.env.NO_RETRY) client.setRetryPolicy(new NoRetry());

client.on('message', function (msg) {
  console.log('received ' + msg.data);
  client.complete(msg, function () {});
});

client.open(function (err) {
  console.log(err ? 'could not connect: ' + err.message : 'connected');
});

readline.createInterface({ input: process.stdin }).on('line', function (line) {
  const [operation, delay] = line.trim().split(' ');
  const command = new Message('');
  command.properties.add('AzIoTHub_FaultOperationType', operation);
  command.properties.add('AzIoTHub_FaultOperationCloseReason', 'boom');
  command.properties.add('AzIoTHub_FaultOperationDelayInSecs', delay);
  command.properties.add('AzIoTHub_FaultOperationDurationInSecs', '5');
  client.sendEvent(command, function (err) {
    console.log(err ? 'refused ' + err.constructor.name : 'sent');
  });
});
