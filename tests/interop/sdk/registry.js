// Drives Registry of azure-iothub, every device method and the statistics, and prints what came of each as one line.

"use strict";

const { IoTHubTokenCredentials } = require("azure-iothub/dist/auth/iothub_token_credentials");
const { IotHubGatewayServiceAPIs } = require("azure-iothub/dist/pl/iotHubGatewayServiceAPIs");
const { Registry } = require("azure-iothub");

const registry = Registry.fromConnectionString(process.env.CONNECTION_STRING);

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error.constructor.name;
  }
  return null;
}

async function ids() {
  return (await registry.list()).responseBody.map((device) => device.deviceId);
}

async function main() {
  const told = {};
  const created = (await registry.create({ deviceId: "d1" })).responseBody;
  const { type, symmetricKey } = created.authentication;
  told.created = [created.deviceId, created.status, type, symmetricKey.primaryKey.length];
  told.etag = created.etag;
  told.again = await failure(registry.create({ deviceId: "d1" }));

  const thumbprint = "AB".repeat(20);
  const x509 = { deviceId: "d2", authentication: { x509Thumbprint: { primaryThumbprint: thumbprint } } };
  const second = (await registry.create(x509)).responseBody.authentication;
  told.x509 = [second.x509Thumbprint.primaryThumbprint, second.type];

  const read = (await registry.get("d1")).responseBody;
  told.read = [read.etag, read.deviceId];
  const updated = (await registry.update({ deviceId: "d1", status: "disabled" })).responseBody;
  const sameKey = updated.authentication.symmetricKey.primaryKey === symmetricKey.primaryKey;
  told.updated = [updated.status, sameKey];
  told.listed = await ids();

  const added = (await registry.addDevices([{ deviceId: "d3" }, { deviceId: "d4" }])).responseBody;
  told.added = [added.isSuccessful, await ids()];
  told.refused = await failure(registry.addDevices([{ deviceId: "d3" }]));
  const third = (await registry.get("d3")).responseBody;
  told.forced = (await registry.updateDevices([{ deviceId: "d3" }], true)).responseBody.isSuccessful;
  told.stale = await failure(registry.updateDevices([third], false));
  const both = [(await registry.get("d3")).responseBody, (await registry.get("d4")).responseBody];
  const removed = (await registry.removeDevices(both, false)).responseBody;
  told.removed = [removed.isSuccessful, await ids()];

  await registry.delete("d1");
  told.deleted = await ids();
  told.missing = await failure(registry.get("d1"));

  const credentials = new IoTHubTokenCredentials(process.env.CONNECTION_STRING);
  const baseUri = `https://${credentials.getHubName()}`;
  const service = new IotHubGatewayServiceAPIs(credentials, { baseUri, apiVersion: "2021-04-12" });
  told.devices = (await service.statistics.getDeviceStatistics()).totalDeviceCount;
  told.connected = (await service.statistics.getServiceStatistics()).connectedDeviceCount;
  told.twin = await failure(registry.getTwin("d2"));
  console.log(`result ${JSON.stringify(told)}`);
}

main().catch((error) => {
  console.log("failed", error);
  process.exitCode = 1;
});
