'use strict';

// The driver protocol of README.md: a step a line on standard input, what happened a line on standard output.

const readline = require('readline');

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + '\n');
}

async function answer(verbs, step) {
  if (!verbs[step.do]) return { error: 'UnknownStep', text: step.do };
  try {
    return { ok: (await verbs[step.do](step)) ?? null };
  } catch (error) {
    return { error: nameOf(error), text: String(error.message) };
  }
}

// An error that the SDK has no class for has what it came from beside it: another error, or the response over HTTP.
function nameOf({ name, amqpError, response }) {
  if (name !== 'Error') return name;
  return amqpError?.name ?? (response ? `Error(${response.statusCode})` : name);
}

// One step after another: the next line is read when the last one has been answered.
async function serve(packages, verbs) {
  say({ packages: Object.fromEntries(packages.map((name) => [name, require(name + '/package.json').version])) });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    say(await answer(verbs, JSON.parse(line)));
  }
  process.exit(0);
}

// What comes when it comes: a value waits for its taker, and a taker for its value.
class Mailbox {
  constructor() {
    this.values = [];
    this.takers = [];
  }

  put(value) {
    const taker = this.takers.shift();
    if (taker) taker(value);
    else this.values.push(value);
  }

  take() {
    if (this.values.length > 0) return Promise.resolve(this.values.shift());
    return new Promise((resolve) => this.takers.push(resolve));
  }
}

// What a token credential gives.
function accessToken({ token, expires_at }) {
  return { token, expiresOnTimestamp: expires_at * 1000 };
}

module.exports = { Mailbox, accessToken, serve };
