import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../src/index.js";

/** A client that keeps what it is given in a Map, with the replies of Redis. */
class Fake {
  /** @type {string[][]} */
  sent = [];
  /** @type {Map<string, Buffer>} */
  held = new Map();
  options = {};

  getBuffer = this.method("GET");
  setBuffer = this.method("SET");
  delBuffer = this.method("DEL");
  expireBuffer = this.method("EXPIRE");
  setrangeBuffer = this.method("SETRANGE");

  /** @param {string} name */
  method(name) {
    return (/** @type {(string | Buffer)[]} */ ...args) => this.call(name, args);
  }

  /** @param {string} name @param {(string | Buffer)[]} args @returns {Promise<any>} */
  async call(name, args) {
    this.sent.push([name, ...args.map(String)]);
    const key = String(args[0]);
    if (name === "GET") return this.held.get(key) ?? null;
    if (name === "SET" && !(args.includes("NX") && this.held.has(key))) this.held.set(key, Buffer.from(args[1] ?? ""));
    if (name === "DEL") this.held.delete(key);
    return 1;
  }
}

/** @param {Readonly<import("../src/library.js").Library>} [library] @param {import("../src/cache.js").Options} [options] */
const cacheOf = (library = fc.caching25, options = {}) => new fc.FlaskCache(new Fake(), library, "shop_", options);

/** @type {[string, () => unknown, RegExp][]} */
const WRONG = [
  ["no client", () => new fc.FlaskCache(undefined, fc.caching25), /neither of ioredis nor of node-redis/],
  ["another client", () => new fc.FlaskCache({ get() {} }, fc.caching25), /neither of ioredis nor of node-redis/],
  ["a cluster of ioredis", () => new fc.FlaskCache({ isCluster: true, getBuffer() {} }, fc.caching25), /writes past the proxy/],
  ["a cluster of node-redis", () => new fc.FlaskCache({ nodeClient() {}, withTypeMapping() {} }, fc.caching25), /writes past the proxy/],
  ["a keyPrefix of the client", () => new fc.FlaskCache({ options: { keyPrefix: "a" }, getBuffer() {} }, fc.caching25), /give the app's prefix/],
  ["no library", () => new fc.FlaskCache(new Fake(), /** @type {any} */ (undefined)), /needs one of flaskCache013/],
  ["a library of one's own", () => new fc.FlaskCache(new Fake(), { ...fc.caching25 }), /needs one of flaskCache013/],
  ["a callable prefix", () => new fc.FlaskCache(new Fake(), fc.caching25, /** @type {any} */ (() => "")), /callable CACHE_KEY_PREFIX/],
  ["the repr of a callable", () => new fc.FlaskCache(new Fake(), fc.caching25, "<function f at 0x7f3a52c1d0>"), /callable CACHE_KEY_PREFIX/],
  ["a prefix that is no text", () => new fc.FlaskCache(new Fake(), fc.caching25, /** @type {any} */ (null)), /must be text, not null/],
  ["an unknown option", () => cacheOf(fc.caching25, /** @type {any} */ ({ msgPack: 1 })), /no option msgPack/],
  ["an unknown hash", () => cacheOf(fc.caching25, { hash: /** @type {any} */ ("crc32") }), /no hash "crc32"/],
  ["a hash for Flask-Cache", () => cacheOf(fc.flaskCache013, { hash: "sha1" }), /has no hash_method/],
  ["Python 2", () => cacheOf(fc.caching25, { python: "2.7" }), /"2.7" is no version of Python 3/],
  ["a path without a slash", () => cacheOf().view("index"), /does not begin with \//],
  ["a path with a query", () => cacheOf().view("/a?b=1"), /use query\(\)/],
  ["a path with a fragment", () => cacheOf().view("/a#b"), /%3F or %23/],
  ["a path with a line feed", () => cacheOf().view("/a\nb"), /control character/],
  ["a path with half a character", () => cacheOf().view("/\ud83d"), /surrogate/],
  ["a path that is a URL", () => cacheOf().view(/** @type {any} */ (new URL("http://a/"))), /the path must be text/],
  ["no path", () => cacheOf().keyPrefix("page_%s").view(), /needs a path/],
  ["a key_prefix that Python cannot format", () => cacheOf().keyPrefix("100%_%s").view("/"), /Python cannot format/],
  ["a doubled % before an s", () => cacheOf().keyPrefix("a%%s%b").view("/"), /Python cannot format/],
  ["a callable key_prefix", () => cacheOf().keyPrefix(/** @type {any} */ (() => "a")).view("/"), /callable key_prefix/],
  ["a query for Flask-Cache", () => cacheOf(fc.flaskCache013).query("/a", "b=1"), /has no query_string=True/],
  ["a query with a #", () => cacheOf().query("/a", "b=1#c"), /escape it/],
  ["a query that is not UTF-8", () => cacheOf().query("/a", "b=%ff"), /not UTF-8/],
  ["an object as a query", () => cacheOf().query("/a", /** @type {any} */ ({ b: 1 })), /the query must be text/],
  ["a number for a fragment", () => cacheOf().fragment("side", /** @type {any} */ (1)), /must be text, not a number/],
  ["an address in a fragment", () => cacheOf().fragment("side", "<User object at 0x7f3a52c1d0>"), /contains an address/],
  ["a function without a module", () => cacheOf().memo("total"), /module and its qualified name/],
  ["a function itself", () => cacheOf().memo(/** @type {any} */ (() => 1)), /must be text, not a function/],
  ["undefined as an argument", () => cacheOf().memo("shop.total", undefined), /argument 1 of shop.total: Python has no undefined/],
  ["a rounded int", () => cacheOf().memo("shop.total", 2 ** 53), /beyond 2\^53/],
  ["an object of a class", () => cacheOf().memo("shop.total", new Map(), new Fake()), /argument 2 of shop.total: only the app knows/],
  ["a set of several", () => cacheOf().memo("shop.total", new Set([1, 2])), /order that varies/],
  ["a frozenset of several", () => cacheOf().memo("shop.total", new fc.FrozenSet([1, 2])), /order that varies/],
  ["an OrderedDict", () => cacheOf().memo("shop.total", new fc.OrderedDict([["a", 1]])), /only the app knows/],
  ["names that are numbers", () => cacheOf().memo("shop.total", { b: 1, 1: 2 }), /pass a Map/],
  ["a datetime with an offset", () => cacheOf().memo("shop.total", new fc.Moment("2024-01-02T03:04:05+02:00")), /pass it in UTC/],
  ["an invalid Date", () => cacheOf().memo("shop.total", new Date(NaN)), /invalid Date/],
  ["a list in itself", () => cacheOf().memo("shop.total", cyclic()), /nests too deep, or holds itself/],
  ["half a character", () => cacheOf().memo("shop.total", "\ud83d"), /surrogate/],
  ["the default repr", () => cacheOf().memo("shop.Cart.total", fc.self("<shop.Cart object at 0x7f3a52c1d0>")), /only the app can compute/],
  ["an empty repr", () => cacheOf().memo("shop.Cart.total", fc.self("")), /is empty/],
  ["an object as self", () => cacheOf().memo("shop.Cart.total", fc.self(/** @type {any} */ ({}))), /must be text/],
  ["a class as self", () => cacheOf().memo("shop.Cart.total", fc.self("<class 'shop.Cart'>")), /use ofClass\(\)/],
  ["an object as a class", () => cacheOf().memo("shop.Cart.total", fc.ofClass("<shop.Cart object at 0x7f3a52c1d0>")), /not of a class/],
  ["self in the middle", () => cacheOf().memo("shop.Cart.total", 1, fc.self("Cart(5)")), /must be the first argument/],
  ["a class without a module", () => cacheOf().memo("shop.Cart.total", fc.ofClass("Cart")), /named by its module/],
  ["keywords without a Python", () => cacheOf().memo("shop.total", fc.keyword("a", 1)), /set the option python/],
  ["keywords for Flask-Cache", () => cacheOf(fc.flaskCache013, { python: "3.12" }).memo("shop.total", fc.keyword("a", 1)), /no keyword-only/],
  ["ignored for Flask-Cache", () => cacheOf(fc.flaskCache013).memo("shop.total", fc.ignored), /no args_to_ignore/],
  ["a keyword twice", () => cacheOf(fc.caching25, { python: "3.12" }).memo("shop.total", fc.keyword("a", 1), fc.keyword("a", 2)), /given twice/],
  ["a keyword before", () => cacheOf(fc.caching25, { python: "3.12" }).memo("shop.total", fc.keyword("a", 1), 2), /keywords come last/],
  ["a keyword of no value", () => cacheOf(fc.caching25, { python: "3.12" }).memo("shop.total", fc.keyword("a", undefined)), /the keyword a of shop.total: /],
  ["a ttl of 0", () => cacheOf().view("/").set(1, 0), /less than a millisecond; use FOREVER/],
  ["a negative ttl", () => cacheOf().view("/").set(1, -1), /less than a millisecond/],
  ["no ttl", () => cacheOf().view("/").set(1, /** @type {any} */ (undefined)), /number of seconds or FOREVER, not undefined/],
  ["a ttl as text", () => cacheOf().view("/").set(1, /** @type {any} */ ("60")), /number of seconds or FOREVER, not "60"/],
  ["a ttl of NaN", () => cacheOf().view("/").set(1, NaN), /number of seconds/],
  ["a ttl in nanoseconds", () => cacheOf().view("/").set(1, 6e19), /more than 100 years/],
  ["an unwritable value", () => cacheOf().view("/").set(/** @type {any} */ ({ a: undefined }), 60), /^FlaskCacheError: \$\.a: undefined/],
  ["writing to a plain listener", () => cacheOf(fc.caching25, { plain: true }).view("/").set(1, 60), /plain listener/],
  ["an empty prefix to invalidate", () => cacheOf().invalidatePrefix(""), /use invalidateAll/],
  ["no prefix to invalidate", () => cacheOf().invalidatePrefix(/** @type {any} */ (undefined)), /must be text/],
  ["to invalidate all of a database", () => new fc.FlaskCache(new Fake(), fc.caching25, "").invalidateAll(), /use FLUSHDB/],
  ["an argument of 4301 digits", () => cacheOf().memo("shop.total", 10n ** 4300n), /argument 1 of shop.total: the int has more than 4300/],
  ["null as options", () => new fc.FlaskCache(new Fake(), fc.caching25, "shop_", /** @type {any} */ (null)), /options of FlaskCache are an/],
  ["plain as text", () => cacheOf(fc.caching25, { plain: /** @type {any} */ ("no") }), /plain is true or false, not "no"/],
  ["a fragment that is a number", () => cacheOf().fragment("side").set(5, 60), /a template fragment is text/],
  ["a fragment that is null", () => cacheOf().fragment("side").set(null, 60), /a template fragment is text/],
  ["a want that is none", () => cacheOf().view("/").get(/** @type {any} */ ([])), /takes one of `want`, such as want.text/],
  ["a Decimal of a number", () => new fc.Decimal(/** @type {any} */ (1.1)), /a decimal.Decimal is text such as "1.10", not a number/],
  ["a UUID in upper case", () => new fc.Uuid("ABCDEF78-1234-5678-1234-567812345678"), /a uuid.UUID is text such as/],
  ["a day that is none", () => new fc.Day("2023-02-29"), /a datetime.date is text such as/],
  ["a datetime with an offset as naive", () => new fc.Naive("2024-01-02T03:04:05Z"), /a naive datetime.datetime is text such as/],
  ["a time that is none", () => new fc.TimeOfDay("24:00:00"), /a datetime.time is text such as/],
  ["a Moment without an offset", () => new fc.Moment("2024-01-02T03:04:05"), /a Moment is text such as/],
  ["a TimeDelta of a fraction", () => new fc.TimeDelta(0, 1.5), /a TimeDelta is/],
  ["a tag that is none", () => new fc.Tagged("date", 1), /a tag begins with py\//],
];

function cyclic() {
  const list = /** @type {any[]} */ ([]);
  list.push(list);
  return list;
}

for (const [what, use, message] of WRONG) {
  test(`${what} is an error`, async () => {
    await assert.rejects(async () => use(), (error) => {
      assert.ok(error instanceof fc.FlaskCacheError, String(error));
      assert.match(String(error), message);
      return true;
    });
  });
}

test("a wrong use sends nothing", async () => {
  const client = new Fake();
  const entry = new fc.FlaskCache(client, fc.caching25).memo("shop.total", 1);
  await assert.rejects(entry.set(/** @type {any} */ (() => 1), 60), fc.FlaskCacheError);
  await assert.rejects(entry.set(1, 0), fc.FlaskCacheError);
  assert.deepEqual(client.sent, []);
});

test("a template fragment is text or Markup", async () => {
  const client = new Fake();
  const entry = new fc.FlaskCache(client, fc.caching25, "shop_").fragment("side", "v1");
  for (const value of ["<b>tea</b>", new fc.Markup("<b>tea</b>")]) {
    await entry.set(value, 60);
    assert.deepEqual(await entry.get(), value);
  }
});

test("the version of a function that is no text is an error that says what to do", async () => {
  const client = new Fake();
  client.held.set("shop_shop.total_memver", Buffer.from("7"));
  const entry = new fc.FlaskCache(client, fc.caching25, "shop_").memo("shop.total", 1);
  for (const use of [() => entry.get(), () => entry.key(), () => entry.set(1, 60), () => entry.delete()]) {
    await assert.rejects(use, /is no text, so the app runs it uncached: delete the key shop_shop.total_memver/);
  }
});

test("the value stands under a version that lives as long", async () => {
  const client = new Fake();
  const entry = new fc.FlaskCache(client, fc.caching25, "shop_").memo("shop.Cart.total", fc.self("Cart(5)"), 1);
  assert.equal(await entry.key(), undefined);
  assert.equal(await entry.get(), undefined);
  await entry.set({ total: 3 }, 1.5);
  assert.deepEqual(await entry.get(), { total: 3 });
  const made = client.sent.filter((command) => command.at(-1) === "NX");
  assert.deepEqual(
    made.map(([, key, , ...how]) => [key, ...how]),
    [
      ["shop_shop.Cart.total_memver", "EX", "2", "NX"],
      ["shop_shop.Cart.total.Cart5_memver", "EX", "2", "NX"],
    ],
  );
  assert.deepEqual(client.sent.filter(([name]) => name === "EXPIRE"), [
    ["EXPIRE", "shop_shop.Cart.total_memver", "2", "GT"],
    ["EXPIRE", "shop_shop.Cart.total.Cart5_memver", "2", "GT"],
  ]);
  await entry.invalidate();
  assert.deepEqual(client.sent.at(-1), ["DEL", "shop_shop.Cart.total.Cart5_memver"]);
  assert.equal(await entry.get(), undefined);
});

/** What check() says, on a server that answers SETRANGE with this error; undefined: with no error. */
const checked = async (/** @type {string | undefined} */ answer, options = {}) => {
  const client = new Fake();
  client.setrangeBuffer = async (...args) => {
    client.sent.push(["SETRANGE", ...args.map(String)]);
    if (answer !== undefined) throw new Error(answer);
    return 0;
  };
  const cache = new fc.FlaskCache(client, fc.caching25, "shop_", options);
  const said = [];
  for (const entry of [cache.view("/"), cache.memo("shop.total", 1)]) said.push(await entry.check().catch((error) => error));
  assert.deepEqual(client.sent, [
    ["SETRANGE", "shop_view//", "0", ""],
    ["SETRANGE", "shop_shop.total_memver", "0", ""],
  ]);
  return said;
};

test("check() tells the proxy from Redis and from another prefix", async () => {
  const [refused, reads] = ["on keys that hold cached values", ": this listener only reads"].map(
    (why) => `ERR flask-cache-proxy: SETRANGE is refused${why}`,
  );
  assert.deepEqual(await checked(refused), [undefined, undefined]);
  assert.deepEqual(await checked(reads, { plain: true }), [undefined, undefined]);
  for (const error of await checked(undefined)) assert.match(String(error), /^FlaskCacheError: the server stores any bytes .* the prefix "shop_"/);
  for (const error of await checked(reads)) assert.match(String(error), /^FlaskCacheError: the listener is plain and only reads/);
  for (const error of await checked("NOPERM no")) assert.equal(String(error), "Error: NOPERM no");
});
