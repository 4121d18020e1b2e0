'use strict';

// An administrator on azure-iothub's Registry.

const { Registry } = require('azure-iothub');
const { accessToken, serve } = require('./lines');

let registry;

const body = (result) => result.responseBody ?? result;
const device = (found) => ({
  device_id: found.deviceId,
  generation_id: found.generationId,
  etag: found.etag,
  status: found.status,
  status_reason: found.statusReason ?? null,
  connection_state: found.connectionState,
  queue_depth: found.cloudToDeviceMessageCount,
  sign_in: found.authentication.type,
  primary_key: found.authentication.symmetricKey?.primaryKey ?? null,
  primary_thumbprint: found.authentication.x509Thumbprint?.primaryThumbprint ?? null,
});

function identity({ device_id, sign_in, primary_key, secondary_key, thumbprint, status, status_reason }) {
  const made = { deviceId: device_id, status, statusReason: status_reason };
  if (sign_in === 'certificateAuthority') made.authentication = { type: sign_in };
  if (sign_in === 'selfSigned') {
    made.authentication = { type: sign_in, x509Thumbprint: { primaryThumbprint: thumbprint, secondaryThumbprint: null } };
  }
  if (primary_key) {
    made.authentication = { type: 'sas', symmetricKey: { primaryKey: primary_key, secondaryKey: secondary_key } };
  }
  return made;
}

async function update({ device_id, status, status_reason, primary_key }) {
  const found = body(await registry.get(device_id));
  found.status = status ?? found.status;
  found.statusReason = status_reason ?? found.statusReason;
  found.authentication.symmetricKey.primaryKey = primary_key ?? found.authentication.symmetricKey.primaryKey;
  return device(body(await registry.update(found)));
}

// Where not all could be done the hub answers 400, and the SDK has what it said on the error.
async function bulk(pending) {
  const { isSuccessful, errors } = await pending.then(body, (error) => JSON.parse(error.responseBody));
  return { successful: isSuccessful, errors: (errors ?? []).map((error) => error.deviceId) };
}

async function connect({ connection_string, host, entra_token }) {
  registry = entra_token
    ? Registry.fromTokenCredential(host, { getToken: async () => accessToken(entra_token) })
    : Registry.fromConnectionString(connection_string);
}

serve(['azure-iothub'], {
  connect,
  refused: async (step) => {
    await connect(step);
    await registry.get(step.device_id);
  },
  reset: async () => { registry = undefined; },
  create: async (step) => device(body(await registry.create(identity(step)))),
  read: async ({ device_id }) => device(body(await registry.get(device_id))),
  update,
  delete: async ({ device_id }) => { await registry.delete(device_id); },
  list: async () => body(await registry.list()).map((found) => found.deviceId),
  create_all: ({ devices }) => bulk(registry.addDevices(devices.map(identity))),
  delete_all: ({ devices }) => bulk(registry.removeDevices(devices.map(identity), true)),
  statistics: async () => {
    const found = body(await registry.getRegistryStatistics());
    return { total: found.totalDeviceCount, enabled: found.enabledDeviceCount, disabled: found.disabledDeviceCount };
  },
});
