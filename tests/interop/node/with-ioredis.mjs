// An ordinary ioredis producer, against the proxy whose address is its first argument.

import Redis from "ioredis";
import { run } from "./checks.mjs";

const client = new Redis(`redis://${process.argv[2]}`);

const seen = await run("ioredis", {
  set: (key, value, seconds) => client.set(key, value, "EX", seconds),
  get: (key) => client.get(key),
  setnx: async (key, value) => (await client.set(key, value, "EX", 60, "NX")) === "OK",
  mset: (values) => client.mset(values),
  mget: (keys) => client.mget(keys),
  transaction: async (key, value) => {
    const replies = await client.multi().set(key, value, "EX", 60).get(key).incr(`${key}:count`).exec();
    return replies.map(([error, reply]) => error ?? reply);
  },
  firstMessage: async (channel, text) => {
    const listener = client.duplicate();
    const message = new Promise((resolve) => listener.once("message", (_, body) => resolve(body)));
    await listener.subscribe(channel);
    await client.publish(channel, text);
    const body = await message;
    await listener.quit();
    return body;
  },
});
console.log(JSON.stringify(seen));
await client.quit();
