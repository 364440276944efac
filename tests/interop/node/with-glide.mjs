// An ordinary valkey-glide producer. Its arguments: the JSON and the msgpack address of the proxy, the package, the protocol.

import { packed, run } from "./checks.mjs";

const [json, msgpack, name, protocol] = process.argv.slice(2);
const { Batch, Decoder, GlideClient, Logger, ProtocolVersion, TimeUnit } = await import(name);
Logger.setLoggerConfig("off"); // it logs to the standard output, the errors that are expected too

const connect = (address, options = {}) => {
  const [host, port] = address.split(":");
  const version = protocol === "3" ? ProtocolVersion.RESP3 : ProtocolVersion.RESP2;
  const patience = { requestTimeout: 60_000, advancedConfiguration: { connectionTimeout: 60_000 } };
  return GlideClient.createClient({ addresses: [{ host, port: Number(port) }], protocol: version, ...patience, ...options });
};
const words = ({ NX, XX, GET, EX, KEEPTTL }) => ({
  conditionalSet: NX ? "onlyIfDoesNotExist" : XX ? "onlyIfExists" : undefined,
  returnOldValue: GET,
  expiry: KEEPTTL ? "keepExisting" : EX && { type: TimeUnit.Seconds, count: EX },
});

const client = await connect(json);
const report = await run(`${name}-${protocol}`, {
  set: (key, value, how) => client.set(key, value, words(how)),
  get: (key) => client.get(key),
  getex: (key, seconds) => client.getex(key, { expiry: { type: TimeUnit.Seconds, duration: seconds } }),
  getdel: (key) => client.getdel(key),
  ttl: (key) => client.ttl(key),
  incr: (key) => client.incr(key),
  mset: (values) => client.mset(values),
  mget: (keys) => client.mget(keys),
  scan: async (match) => {
    const found = new Set();
    let cursor = "0";
    do {
      const [next, keys] = await client.scan(cursor, { match, count: 50 });
      keys.forEach((key) => found.add(key));
      cursor = next;
    } while (cursor !== "0");
    return [...found];
  },
  transaction: (key, value) => client.exec(
    new Batch(true).set(key, value, words({ EX: 60 })).get(key).incr(`${key}:count`), true,
  ),
  messages: async (channel, texts) => {
    const heard = [];
    let resolve;
    const all = new Promise((done) => { resolve = done; });
    const listener = await connect(json, {
      protocol: ProtocolVersion.RESP3, // without which it does not subscribe
      pubsubSubscriptions: {
        channelsAndPatterns: { 0: new Set([channel]) }, // Exact
        callback: ({ message }) => {
          heard.push(message);
          if (heard.length === texts.length) resolve();
        },
      },
    });
    for (const text of texts) await client.publish(text, channel);
    await all;
    listener.close();
    return heard;
  },
});
client.close();

const bytes = await connect(msgpack, { defaultDecoder: Decoder.Bytes });
await packed(`${name}-${protocol}`, {
  set: (key, value) => bytes.set(key, value),
  get: (key) => bytes.get(key),
});
bytes.close();
console.log(JSON.stringify(report));
