// What every Node client is asked; each driver says in its own words how it does that.

import assert from "node:assert/strict";
import { decode, encode } from "@msgpack/msgpack";

const product = { name: "Tea ☃", price: 2.5, tags: ["hot", "green"] };
const upTo = (count) => Array.from({ length: count }, (_, number) => number);

/** Writes and reads through the proxy. Returns what the tests judge by: what was written, and what Flask had cached. */
export async function run(name, driver) {
  const wrote = {};
  const key = (rest) => `flask_cache_${name}:${rest}`;
  const set = async (rest, payload, options = { EX: 60 }) => {
    await driver.set(key(rest), payload, options);
    wrote[key(rest)] = payload;
  };

  await set("set", JSON.stringify(product));
  assert.deepEqual(JSON.parse(await driver.get(key("set"))), product);
  await options(driver, key);

  await driver.mset({ [key("mset1")]: "1", [key("mset2")]: '"two"', raw: "plain" });
  assert.deepEqual(await driver.mget([key("mset1"), "none", key("mset2"), "raw"]), ["1", null, '"two"', "plain"]);
  assert.equal(await driver.incr(key("mset1")), 2);
  Object.assign(wrote, { [key("mset1")]: "2", [key("mset2")]: '"two"' });

  // All at once: the client pipelines by itself.
  await Promise.all(upTo(200).map((number) => set(`many${number}`, `{"n":${number}}`)));
  const seen = await Promise.all(upTo(200).map((number) => driver.get(key(`many${number}`))));
  assert.deepEqual(seen, upTo(200).map((number) => `{"n":${number}}`));
  await Promise.all(upTo(16).map(async (producer) => {
    for (const round of upTo(10)) {
      await set(`own${producer}`, JSON.stringify({ producer, round }));
      assert.deepEqual(JSON.parse(await driver.get(key(`own${producer}`))), { producer, round });
    }
  }));
  assert.deepEqual((await driver.scan(key("many*"))).sort(), upTo(200).map((number) => key(`many${number}`)).sort());

  assert.deepEqual(await driver.transaction(key("{tx}"), '["a"]'), ["OK", '["a"]', 1]);
  Object.assign(wrote, { [key("{tx}")]: '["a"]', [key("{tx}:count")]: "1" });

  await misses(driver, key);
  assert.deepEqual(await driver.messages(key("news"), upTo(20).map(String)), upTo(20).map(String));

  return {
    wrote,
    seen: {
      from_flask: await driver.mget(["flask_cache_from_flask", "flask_cache_counter"]),
      view: await driver.get("flask_cache_view//index"),
    },
  };
}

async function options(driver, key) {
  assert.equal(await driver.set(key("options"), '"a"', { XX: true }), null);
  assert.equal(await driver.set(key("options"), '"a"', { NX: true, EX: 60 }), "OK");
  assert.equal(await driver.set(key("options"), '"late"', { NX: true }), null);
  assert.equal(await driver.set(key("options"), "[null]", { KEEPTTL: true, GET: true }), '"a"');
  assert.equal(await driver.getex(key("options"), 600), "[null]");
  assert.ok((await driver.ttl(key("options"))) > 60);
  assert.equal(await driver.getdel(key("options")), "[null]");
}

async function misses(driver, key) {
  for (const absent of ["none", key("none")]) {
    assert.equal(await driver.get(absent), null);
    assert.equal(await driver.getdel(absent), null);
  }
  await assert.rejects(driver.set(key("bad"), "{nope", {}), /flask-cache-proxy: .*not valid JSON/);
  assert.equal(await driver.get(key("bad")), null);
}

/** On the msgpack listener payloads are bytes: what one writes there is what Flask, and the JSON listener, read. */
export async function packed(name, driver) {
  const value = { bytes: new Uint8Array([0, 13, 10, 255]), when: new Date(1704164645000), list: [1, -1.5, "☃", null] };
  const key = `flask_cache_${name}:packed`;
  await driver.set(key, Buffer.from(encode(value)));
  const read = decode(await driver.get(key));
  assert.deepEqual(read.list, value.list);
  assert.deepEqual(new Uint8Array(read.bytes), value.bytes);
}
