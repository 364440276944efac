// Several clients on shared connections: they work at once, and stay connected until the standard input ends.
// The arguments: the address of the proxy, the package, the protocol, and `caching` for some that keep what they read
// until Redis says that it has changed. Prints what was written, and how many of the connections track.

import assert from "node:assert/strict";
import { once } from "node:events";

const SEVERAL = 8;
const [address, name, protocol, caching] = process.argv.slice(2);
const [host, port] = address.split(":");
const library = await import(name);
const wrote = {};

const connects = {
  ioredis: async (number) => {
    const client = new library.default({ host, port, db: 0, protocol: Number(protocol), connectionName: `client-${number}` });
    return {
      set: (key, value) => client.set(key, value, "EX", 60),
      get: (key) => client.get(key),
      mget: (keys) => client.mget(keys),
      del: (keys) => client.del(keys),
      pipeline: async (key, value) => (await client.pipeline().set(key, value).get(key).exec()).map(([, reply]) => reply),
      name: () => client.client("GETNAME"),
      end: () => client.quit(),
    };
  },
  redis: async (number, options = {}) => {
    const settings = { url: `redis://${address}/0`, RESP: Number(protocol), name: `client-${number}`, ...options };
    const client = await library.createClient(settings).connect();
    return {
      set: (key, value) => client.set(key, value, { EX: 60 }),
      get: (key) => client.get(key),
      mget: (keys) => client.mGet(keys),
      del: (keys) => client.del(keys),
      pipeline: (key, value) => client.multi().set(key, value).get(key).execAsPipeline(),
      name: () => client.clientGetName(),
      end: () => client.close(),
    };
  },
  "@valkey/valkey-glide": async (number) => {
    library.Logger.setLoggerConfig("off");
    const client = await library.GlideClient.createClient({
      addresses: [{ host, port: Number(port) }],
      protocol: protocol === "3" ? library.ProtocolVersion.RESP3 : library.ProtocolVersion.RESP2,
      databaseId: 0,
      clientName: `client-${number}`,
      requestTimeout: 60_000,
      advancedConfiguration: { connectionTimeout: 60_000 },
    });
    return {
      set: (key, value) => client.set(key, value, { expiry: { type: library.TimeUnit.Seconds, count: 60 } }),
      get: (key) => client.get(key),
      mget: (keys) => client.mget(keys),
      del: (keys) => client.del(keys),
      pipeline: (key, value) => client.exec(new library.Batch(false).set(key, value).get(key), true),
      name: () => client.customCommand(["CLIENT", "GETNAME"]),
      end: () => client.close(),
    };
  },
};
const connect = connects[name.replace("-6", "")];

async function work(client, number) {
  const key = (rest) => `flask_cache_${name}-${protocol}-${number}:${rest}`;
  const numbers = Array.from({ length: 100 }, (_, value) => value);
  assert.equal(await client.name(), `client-${number}`);
  for (const value of numbers.slice(0, 20)) {
    await client.set(key("one"), `{"value":${value}}`);
    assert.equal(await client.get(key("one")), `{"value":${value}}`);
  }
  await Promise.all(numbers.map((value) => client.set(key(value), `[${value}]`))); // the client pipelines by itself
  const seen = await Promise.all(numbers.map((value) => client.get(key(value))));
  assert.deepEqual(seen, numbers.map((value) => `[${value}]`));
  assert.deepEqual(await client.mget([key("one"), "none", key(7)]), ['{"value":19}', null, "[7]"]);
  assert.deepEqual(await client.pipeline(key(0), '["a"]'), ["OK", '["a"]']);
  assert.equal(await client.del([key(0), "none"]), 1);
  await assert.rejects(client.set(key("bad"), "{nope"), /flask-cache-proxy: /);
  assert.equal(await client.get(key("bad")), null);
  for (const value of numbers.slice(1)) wrote[key(value)] = `[${value}]`;
}

async function changedBy(another, number) {
  const key = `flask_cache_${name}-${protocol}:cached:${number}`;
  const cache = new library.BasicClientSideCache({ maxEntries: 100, recordStats: true });
  const client = await connect(number, { clientSideCache: cache });
  await another.set(key, '"before"');
  for (const hits of [0, 1]) {
    assert.equal(await client.get(key), '"before"');
    assert.equal(cache.stats().hitCount, hits);
  }
  const invalidated = once(cache, "invalidate");
  await another.set(key, '"after"');
  await invalidated;
  assert.equal(await client.get(key), '"after"');
  wrote[key] = '"after"';
  return client;
}

const clients = await Promise.all(Array.from({ length: SEVERAL }, (_, number) => connect(number)));
await Promise.all(clients.map(work));
const tracking = caching ? await Promise.all([0, 1, 2].map((number) => changedBy(clients[number], number))) : [];
console.log(JSON.stringify({ wrote, seen: { tracking: tracking.length } }));
for await (const _ of process.stdin);
await Promise.all([...clients, ...tracking].map((client) => client.end()));
