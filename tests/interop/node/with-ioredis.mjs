// An ordinary ioredis producer. Its arguments: the JSON and the msgpack address of the proxy, the package, the protocol.

import { packed, run } from "./checks.mjs";

const [json, msgpack, name, protocol] = process.argv.slice(2);
const { default: Redis } = await import(name);
const options = { protocol: Number(protocol), enableAutoPipelining: true };

const words = ({ EX, ...flags }) => [...(EX ? ["EX", EX] : []), ...Object.keys(flags)];
const client = new Redis(`redis://${json}`, options);
const report = await run(`${name}-${protocol}`, {
  set: (key, value, how) => client.set(key, value, ...words(how)),
  get: (key) => client.get(key),
  getex: (key, seconds) => client.getex(key, "EX", seconds),
  getdel: (key) => client.getdel(key),
  ttl: (key) => client.ttl(key),
  incr: (key) => client.incr(key),
  mset: (values) => client.mset(values),
  mget: (keys) => client.mget(keys),
  scan: async (match) => {
    const found = new Set();
    for await (const keys of client.scanStream({ match, count: 50 })) keys.forEach((key) => found.add(key));
    return [...found];
  },
  transaction: async (key, value) => {
    const replies = await client.multi().set(key, value, "EX", 60).get(key).incr(`${key}:count`).exec();
    return replies.map(([error, reply]) => error ?? reply);
  },
  messages: async (channel, texts) => {
    const listener = client.duplicate();
    const heard = [];
    const all = new Promise((resolve) => listener.on("message", (_, text) => {
      heard.push(text);
      if (heard.length === texts.length) resolve(heard);
    }));
    await listener.subscribe(channel);
    for (const text of texts) await client.publish(channel, text);
    await all;
    await listener.unsubscribe(channel);
    await listener.quit();
    return heard;
  },
});
await client.quit();

const bytes = new Redis(`redis://${msgpack}`, options);
await packed(`${name}-${protocol}`, {
  set: (key, value) => bytes.set(key, value),
  get: (key) => bytes.getBuffer(key),
});
await bytes.quit();
console.log(JSON.stringify(report));
