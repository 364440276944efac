// Fills Flask's cache from ioredis. Arguments: address, prefix of keys, a file with a JSON object of keys and values.
// Prints the seconds that it took, from JavaScript values to the last reply, as JSON.

import { readFileSync } from "node:fs";

import Redis from "ioredis";

const BATCH = 500;
const [address, prefix, file] = process.argv.slice(2);
const values = Object.entries(JSON.parse(readFileSync(file, "utf8")));
const client = new Redis(`redis://${address}`, { enableAutoPipelining: true });
await client.ping();

const start = process.hrtime.bigint();
for (let at = 0; at < values.length; at += BATCH) {
  const batch = values.slice(at, at + BATCH);
  await Promise.all(batch.map(([key, value]) => client.set(prefix + key, JSON.stringify(value), "EX", 300)));
}
console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - start) / 1e9 }));
client.disconnect();
