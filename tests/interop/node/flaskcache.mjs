// Does with the Node client what it is told, line by line: see tests/interop/client_libraries.py. Its third argument may
// also name a package and a protocol, such as ioredis-6/3.

import { createInterface } from "node:readline";
import * as msgpackLibrary from "@msgpack/msgpack";
import { Packr } from "msgpackr";
import * as fc from "../../../clients/node/src/index.js";

const [address, payload, variant] = process.argv.slice(2);
const [name, protocol = "2"] = variant.replace(/^node-redis/, "redis").split("/");

const connections = {
  ioredis: async ({ default: Redis }) => {
    const client = new Redis({ ...(await place()), protocol: Number(protocol), enableAutoPipelining: true });
    return [client, () => client.quit()];
  },
  redis: async ({ createClient }) => {
    const client = createClient({ socket: await place(), RESP: Number(protocol) });
    client.on("error", () => {});
    await client.connect();
    return [client, () => client.close()];
  },
};

async function place() {
  if (address.startsWith("/")) return { path: address };
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
}

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, int64AsType: "bigint", mapsAsObjects: false });
const msgpack = {
  ioredis: { encode: msgpackLibrary.encode, decode: (bytes) => msgpackLibrary.decode(bytes, { useBigInt64: true }) },
  redis: { encode: (value) => packr.pack(value), decode: (bytes) => packr.unpack(bytes) },
};

const libraries = {
  "flask-cache": fc.flaskCache013,
  "flask-caching-2.4": fc.caching24,
  "flask-caching-2.5": fc.caching25,
};

const family = name.replace(/-6$/, "");
const [client, end] = await connections[family](await import(name));

function cacheOf({ library, prefix = "flask_cache_", hash, python }) {
  return new fc.FlaskCache(client, libraries[library], prefix, {
    ...(hash && { hash }),
    ...(python && { python }),
    ...(payload.endsWith("msgpack") && { msgpack: msgpack[family] }),
    plain: payload.startsWith("plain"),
  });
}

// JSON.parse has one type for 2 and 2.0, and rounds large ints. A tag of our own keeps the difference.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const kept = (text) =>
  text.replace(TOKEN, (token) => {
    if (/^-?\d{16,}$/.test(token)) return `{"py/int":"${token}"}`;
    return /^-?\d.*[.eE]/.test(token) && Number.isInteger(Number(token)) ? `{"py/whole":"${token}"}` : token;
  });

const natural = (value) =>
  JSON.parse(JSON.stringify(value), (key, each) => {
    const read = fc.reviver(key, each);
    return read instanceof fc.Tagged && read.tag === "py/whole" ? new fc.PyFloat(Number(read.value)) : read;
  });

const markers = {
  default: (value) => fc.defaultOf(natural(value)),
  ignored: () => fc.ignored,
  self: fc.self,
  class: fc.ofClass,
  keyword: (word, value) => fc.keyword(word, natural(value)),
};

const argument = ([first, ...rest]) => (rest.length ? markers[first](...rest) : natural(first));

function entryOf(cache, [kind, ...args], keyPrefix) {
  const views = keyPrefix === undefined ? cache : cache.keyPrefix(keyPrefix);
  if (kind === "memo") return cache.memo(args[0], ...args.slice(1).map(argument));
  return kind === "fragment" ? cache.fragment(...args) : views[kind](...args);
}

const wanted = {
  bool: fc.want.boolean,
  int: fc.want.int,
  float: fc.want.number,
  text: fc.want.text,
  bytes: fc.want.bytes,
  list: fc.want.list(fc.want.any),
  dict: fc.want.dict(fc.want.any),
  time: fc.want.date,
};

async function done(asked) {
  const { op, ttl = fc.FOREVER } = asked;
  const cache = cacheOf(asked);
  if (op === "invalidate_prefix") return cache.invalidatePrefix(asked.text);
  if (op === "invalidate_all") return cache.invalidateAll();
  const entry = entryOf(cache, asked.entry, asked.key_prefix);
  if (op === "key") return entry.key();
  if (op === "set") return (await entry.set(natural(asked.value), ttl)) ?? null;
  if (op === "get") return answered(await entry.get(wanted[asked.want]));
  if (op === "copy") return (await entryOf(cache, asked.to, asked.key_prefix).set(await entry.get(), ttl)) ?? null;
  return (await entry[op]()) ?? null;
}

/** The value as JSON with tags. */
const answered = (value) => (value === undefined ? undefined : { json: fc.stringify(value) });

async function line(text) {
  try {
    const answer = await done(JSON.parse(kept(text)));
    if (answer === undefined) return '{"miss":true}';
    return `{"answer":${answer?.json ?? JSON.stringify(answer)}}`;
  } catch (error) {
    return JSON.stringify({ error: String(error) });
  }
}

for await (const text of createInterface({ input: process.stdin })) console.log(await line(text));
await end();
