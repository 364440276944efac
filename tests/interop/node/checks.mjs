// What both Node clients are asked; each driver says in its own words how it does that.

import assert from "node:assert/strict";

const product = { name: "Tea ☃", price: 2.5, tags: ["hot", "green"] };

/** Writes and reads through the proxy, and returns what Flask has cached by itself. */
export async function run(name, driver) {
  const key = (rest) => `flask_cache_${name}:${rest}`;

  await driver.set(key("set"), JSON.stringify(product), 60);
  assert.deepEqual(JSON.parse(await driver.get(key("set"))), product);
  assert.equal(await driver.setnx(key("setnx"), "[1,2]"), true);
  assert.equal(await driver.setnx(key("setnx"), '"late"'), false);
  await driver.mset({ [key("mset1")]: "1", [key("mset2")]: '"two"', raw: "plain" });
  assert.deepEqual(await driver.mget([key("mset1"), "none", key("mset2"), "raw"]), ["1", null, '"two"', "plain"]);

  const numbers = Array.from({ length: 100 }, (_, number) => number);
  await Promise.all(numbers.map((number) => driver.set(key(`many${number}`), `{"n":${number}}`, 60)));
  assert.deepEqual(
    await Promise.all(numbers.map((number) => driver.get(key(`many${number}`)))),
    numbers.map((number) => `{"n":${number}}`),
  );
  assert.deepEqual(await driver.transaction(key("tx"), '["a"]'), ["OK", '["a"]', 1]);

  assert.equal(await driver.get("none"), null);
  assert.equal(await driver.get(key("none")), null);
  await assert.rejects(driver.set(key("bad"), "{nope", 60), /flask-cache-proxy: .*not valid JSON/);
  assert.equal(await driver.get(key("bad")), null);

  assert.equal(await driver.firstMessage("news", "hello"), "hello");

  return {
    from_flask: await driver.mget(["flask_cache_from_flask", "flask_cache_counter"]),
    view: await driver.get("flask_cache_view//index"),
  };
}
