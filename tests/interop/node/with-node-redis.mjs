// An ordinary node-redis producer. Its arguments: the JSON and the msgpack address of the proxy, the package, the protocol.

import assert from "node:assert/strict";
import { once } from "node:events";
import { packed, run } from "./checks.mjs";

const [json, msgpack, name, protocol] = process.argv.slice(2);
const { BasicClientSideCache, RESP_TYPES, createClient } = await import(name);
const RESP = Number(protocol);

const client = await createClient({ url: `redis://${json}`, RESP }).connect();
const report = await run(`${name}-${protocol}`, {
  set: (key, value, options) => client.set(key, value, options),
  get: (key) => client.get(key),
  getex: (key, seconds) => client.getEx(key, { EX: seconds }),
  getdel: (key) => client.getDel(key),
  ttl: (key) => client.ttl(key),
  incr: (key) => client.incr(key),
  mset: (values) => client.mSet(values),
  mget: (keys) => client.mGet(keys),
  scan: async (match) => {
    const found = new Set();
    for await (const keys of client.scanIterator({ MATCH: match, COUNT: 50 })) keys.forEach((key) => found.add(key));
    return [...found];
  },
  transaction: (key, value) => client.multi().set(key, value, { EX: 60 }).get(key).incr(`${key}:count`).exec(),
  messages: async (channel, texts) => {
    const listener = await client.duplicate().connect();
    const heard = [];
    let resolve;
    const all = new Promise((done) => { resolve = done; });
    await listener.subscribe(channel, (text) => {
      heard.push(text);
      if (heard.length === texts.length) resolve();
    });
    for (const text of texts) await client.publish(channel, text);
    await all;
    await listener.unsubscribe(channel);
    await listener.close();
    return heard;
  },
});
if (RESP === 3) await clientSideCaching();
await client.close();

const raw = await createClient({ url: `redis://${msgpack}`, RESP }).connect();
const bytes = raw.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
await packed(`${name}-${protocol}`, {
  set: (key, value) => bytes.set(key, value),
  get: (key) => bytes.get(key),
});
await raw.close();
console.log(JSON.stringify(report));

/** What is read is kept until Redis says that it has changed, by Flask or by another client. */
async function clientSideCaching() {
  const cache = new BasicClientSideCache({ maxEntries: 100, recordStats: true });
  const caching = await createClient({ url: `redis://${json}`, RESP, clientSideCache: cache }).connect();
  const [key, answer] = [`flask_cache_${name}:cached`, `answer:${name}`];
  const changes = {
    "by Flask": async (value) => {
      await client.rPush("orders", JSON.stringify({ key, value, answer }));
      await client.blPop(answer, 30);
    },
    "by another client": (value) => client.set(key, JSON.stringify(value)),
  };
  await client.set(key, '"before"');
  assert.equal(await caching.get(key), '"before"');
  for (const [who, change] of Object.entries(changes)) {
    const hits = cache.stats().hitCount;
    await caching.get(key);
    assert.equal(cache.stats().hitCount, hits + 1, "what has been read is cached");
    const invalidated = once(cache, "invalidate");
    await change([who]);
    await invalidated;
    assert.equal(await caching.get(key), JSON.stringify([who]));
    report.wrote[key] = JSON.stringify([who]);
  }
  await caching.close();
}
