import assert from "node:assert/strict";
import { test } from "node:test";
import * as mp from "@msgpack/msgpack";
import { Packr } from "msgpackr";
import * as fc from "../src/index.js";
import { json, msgpack } from "../src/formats.js";

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, int64AsType: "bigint" });
const FORMATS = {
  JSON: json(false),
  "@msgpack/msgpack": msgpack(
    { encode: (value) => mp.encode(value), decode: (payload) => mp.decode(payload, { useBigInt64: true }) },
    false,
  ),
  msgpackr: msgpack({ encode: (value) => packr.pack(value), decode: (payload) => packr.unpack(payload) }, false),
};

const SAME = {
  none: null,
  bools: [true, false],
  ints: [0, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  bigints: [2n ** 53n, -(2n ** 64n), 10n ** 400n],
  floats: [1.5, -0.25, 1e300, 1e21, 2 ** 53 + 2, NaN, Infinity, -Infinity],
  text: ["", "tea ☃ 😀", "\0 \u007f \u2028", '"\\i1"'],
  dict: { a: { b: [] }, "": { "": 1 }, "\0int": "12", s: "s", i: "i12345678901234567890" },
  proto: JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 1, "x": 2}'),
  bytes: Buffer.from([0, 255]),
  bytearray: new fc.ByteArray([0, 255]),
  tuple: fc.Tuple.of(/** @type {any} */ (1), fc.Tuple.of(), [2]),
  set: new Set([1, "a"]),
  frozenset: new fc.FrozenSet([1]),
  map: new Map(/** @type {[any, any][]} */ ([[1, "one"], [fc.Tuple.of(1), null], ["py/date", "x"]])),
  ordered: new fc.OrderedDict([["b", 1], ["a", 2]]),
  "looks like a tag": new Map([["py/date", "x"]]),
  decimal: new fc.Decimal("1.10"),
  uuid: new fc.Uuid("12345678-1234-5678-1234-567812345678"),
  markup: new fc.Markup("<b>tea</b>"),
  naive: new fc.Naive("2024-01-02T03:04:05.678901"),
  day: new fc.Day("2024-02-29"),
  time: new fc.TimeOfDay("03:04:05.000001"),
  timedelta: new fc.TimeDelta(-1, 86399, 999999),
  zoned: new fc.Zoned("2024-07-02T03:04:05+02:00", "Europe/Berlin"),
  complex: [new fc.Complex(1.5, -2), new fc.Complex(NaN, Infinity)],
  moment: new fc.Moment("2024-01-02T03:04:05.678901+05:30"),
  response: new fc.Response(201, [["X-A", "b"]], Buffer.from([255])),
  counter: new fc.Tagged("py/counter", { tea: 3 }),
  "counter of what looks like a tag": new fc.Tagged("py/counter", new Map([["py/date", 3]])),
};

for (const [name, format] of Object.entries(FORMATS)) {
  for (const [what, value] of Object.entries(SAME)) {
    if (name !== "JSON" && what === "proto") continue; // both msgpack libraries have their own way with such a key
    test(`${name}: ${what} comes back as it was`, () => {
      assert.deepStrictEqual(format.read(format.write(value)), value);
    });
  }

  test(`${name}: a key __proto__ sets no prototype`, () => {
    try {
      const read = /** @type {any} */ (format.read(format.write(SAME.proto)));
      assert.equal(Object.getPrototypeOf(read), Object.prototype);
      assert.equal(read.polluted, undefined);
    } catch (error) {
      assert.ok(error instanceof fc.FlaskCacheError, String(error));
    }
    assert.equal(/** @type {any} */ ({}).polluted, undefined);
  });

  test(`${name}: an int stays an int, and a float a float`, () => {
    const wire = JSON.parse(fc.stringify([2, new fc.PyFloat(2), 2 ** 53]));
    assert.deepEqual(wire, [2, { "py/float": 2 }, { "py/float": 2 ** 53 }]);
    assert.deepEqual(format.read(format.write([new fc.PyFloat(2), new fc.PyFloat(-Infinity)])), [2, -Infinity]);
  });

  test(`${name}: a dict that looks like a tag is none`, () => {
    assert.deepEqual(format.read(format.write({ "py/date": "x" })), new Map([["py/date", "x"]]));
  });

  test(`${name}: what nests too deep is an error`, () => {
    let value = /** @type {any} */ ([]);
    for (let depth = 0; depth < 1000; depth++) value = [value];
    assert.throws(() => format.write(value), /nests deeper than 400 levels/);
    const cycle = /** @type {any[]} */ ([]);
    cycle.push(cycle);
    assert.throws(() => format.write(cycle), fc.FlaskCacheError);
  });

  test(`${name}: bytes that are no payload are an error`, () => {
    for (const bytes of [Buffer.from([0xc1]), Buffer.from("!\x80\x05", "latin1"), Buffer.from([0x92, 0x01]), Buffer.alloc(0)]) {
      assert.throws(() => format.read(bytes), fc.FlaskCacheError);
    }
  });
}

test("a Date is an aware datetime, whose microseconds and offset stay in its text", () => {
  assert.equal(fc.stringify(new Date(0)), '{"py/datetime":"1970-01-01T00:00:00.000Z"}');
  const read = fc.parse('{"py/datetime":"2024-01-02T03:04:05.678901+05:30"}');
  assert.ok(read instanceof fc.Moment);
  assert.equal(read.toISOString(), "2024-01-01T21:34:05.678Z");
  assert.equal(fc.stringify(read), '{"py/datetime":"2024-01-02T03:04:05.678901+05:30"}');
  read.setUTCFullYear(2025);
  assert.equal(fc.stringify(read), '{"py/datetime":"2025-01-01T21:34:05.678Z"}');
});

test("an offset may have seconds, and a year few digits", () => {
  assert.equal(fc.parse('{"py/datetime":"1890-01-01T00:00:00+00:53:28"}').toISOString(), "1889-12-31T23:06:32.000Z");
  assert.equal(fc.parse('{"py/datetime":"0001-01-01T00:00:00+00:00"}').toISOString(), "0001-01-01T00:00:00.000Z");
  assert.ok(fc.parse('{"py/datetime":"0001-01-01T00:00:00"}') instanceof fc.Naive);
});

test("JSON is read without rounding an int, whatever its texts hold", () => {
  const text = '{"a\\"9007199254740993":[9007199254740993,-12345678901234567890,1e3,123456789012345.75,"9007199254740993","\\\\"]}';
  assert.deepEqual(fc.parse(text), {
    'a"9007199254740993': [9007199254740993n, -12345678901234567890n, 1000, 123456789012345.75, "9007199254740993", "\\"],
  });
});

test("an int of more digits than Python prints is refused where it stands in JSON", () => {
  assert.equal(fc.parse("9".repeat(4300)), 10n ** 4300n - 1n);
  assert.throws(() => fc.parse(`[${"9".repeat(4301)}]`), { name: "FlaskCacheError", message: /^\$: an int of the payload has more than 4300/ });
});

test("a long text beside a large int takes linear time, and no stack", () => {
  const text = "\\n\\\\\\\"".repeat(1_000_000);
  assert.equal(fc.parse(`["${text}",9007199254740993]`)[0].length, 3_000_000);
});

test("the reviver and the replacer do what parse and stringify do", () => {
  for (const [what, value] of Object.entries(SAME)) {
    const text = JSON.stringify(value, fc.replacer);
    assert.equal(text, fc.stringify(value), what);
    assert.deepStrictEqual(JSON.parse(text, fc.reviver), value, what);
  }
  assert.equal(JSON.stringify({ at: new Date(0) }, fc.replacer), '{"at":{"py/datetime":"1970-01-01T00:00:00.000Z"}}');
  assert.throws(() => JSON.stringify({ a: [() => 1] }, fc.replacer), { message: "$.a[0]: a function has no type in Python" });
});

test("toJSON says what an object is", () => {
  class Product {
    toJSON() {
      return { id: 7n, tags: new Set(["a"]), price: new fc.Decimal("1.10") };
    }
  }
  const text = '[{"id":7,"tags":{"py/set":["a"]},"price":{"py/decimal":"1.10"}}]';
  assert.equal(fc.stringify([new Product()]), text);
  assert.equal(JSON.stringify([new Product()], fc.replacer), text);
  assert.equal(fc.stringify(new URL("http://127.0.0.1/")), '"http://127.0.0.1/"');
});

/** @type {[string, unknown, string | RegExp][]} */
const UNWRITABLE = [
  ["undefined", { a: undefined }, "$.a: undefined has no type in Python: use null, or leave the key out"],
  ["a hole", [, 1], "$[0]: undefined has no type in Python: use null, or leave the key out"], // eslint-disable-line no-sparse-arrays
  ["a function", { items: [0, 1, 2, () => 1] }, "$.items[3]: a function has no type in Python"],
  ["a symbol", { "a b": Symbol() }, '$["a b"]: a symbol has no type in Python'],
  ["an instance", [new (class Product {})()], "$[0]: the class Product has no type in Python: give it toJSON(), or write a plain object of its values"],
  ["a RegExp", /x/, /^\$: the class RegExp has no type in Python: give it toJSON\(\), or/],
  ["a promise", { a: Promise.resolve(1) }, "$.a: the class Promise has no type in Python: await it"],
  ["a class without a name", new (class {})(), /^\$: the class without a name has no type/],
  ["an int of 4301 digits", [10n ** 4300n], "$[0]: the int has more than 4300 digits, which Python does not read"],
  ["an int of -4301 digits", [-(10n ** 4300n)], "$[0]: the int has more than 4300 digits, which Python does not read"],
  ["another typed array", new Float64Array(1), /^\$: the class Float64Array has no type/],
  ["half a character", { a: "\ud83d" }, "$.a: the text has half of a surrogate pair"],
  ["half a character in a key", { "\ud83d": 1 }, "$: the text has half of a surrogate pair"],
  ["an invalid Date", { at: new Date(NaN) }, "$.at: an invalid Date"],
  ["a year of five digits", [new Date(Date.UTC(10000, 0))], /^\$\[0\]: Python has the years 1 to 9999 only/],
  ["an instance of the app's", new fc.Instance({ class: "a.B", value: 1 }), '$: a "py/instance" can be read but not written'],
  ["its tag", { a: new fc.Tagged("py/global", "a.B") }, '$.a: a "py/global" can be read but not written'],
  ["an error in a Map", new Map([["a", Symbol()]]), "$[0][1]: a symbol has no type in Python"],
];
for (const [what, value, message] of UNWRITABLE) {
  test(`${what} cannot be written, and the error says where`, () => {
    for (const format of Object.values(FORMATS)) assert.throws(() => format.write(value), { name: "FlaskCacheError", message });
  });
}

/** Contents that no proxy writes. */
const HOSTILE = [
  '{"py/int":""}', '{"py/int":"0x10"}', '{"py/int":" 1"}', `{"py/int":"${"9".repeat(5000)}"}`, '{"py/float":"x"}', '{"py/float":[]}',
  '{"py/bytes":"*"}', '{"py/bytes":1}', '{"py/bytearray":{"length":1e9}}', '{"py/tuple":{"length":1e9}}', '{"py/tuple":"abc"}',
  '{"py/tuple":null}', '{"py/set":"abc"}', '{"py/set":{}}', '{"py/frozenset":null}', '{"py/dict":{}}', '{"py/dict":[[1]]}', '{"py/dict":[1]}',
  '{"py/dict":["ab"]}', '{"py/ordereddict":null}', '{"py/decimal":1}', '{"py/decimal":"x"}', '{"py/uuid":"x"}', '{"py/markup":{}}',
  '{"py/date":"2024-02-30"}', '{"py/time":"25:00:00"}', '{"py/datetime":"tomorrow"}', '{"py/datetime":null}', '{"py/datetime":{"__proto__":"x"}}',
  '{"py/zoned":{}}', '{"py/zoned":[]}', '{"py/zoned":{"at":"x","zone":"y"}}', '{"py/timedelta":[1]}', '{"py/timedelta":"abc"}',
  '{"py/timedelta":[1,2,3,4]}', '{"py/complex":"ab"}', '{"py/complex":[1]}', '{"py/response":null}', '{"py/response":{"status":"x"}}',
  '{"py/response":{"status":200,"headers":[[1,2]],"body":""}}', '{"py/response":{"status":200,"headers":[],"body":{}}}',
  '{"py/instance":null}', '{"py/instance":{"value":1}}', '{"py/instance":{"class":{"toString":1},"value":1}}', '{"py/numpy":{}}', '{"py/numpy":1}',
  '{"py/dataframe":{"rows":1,"index":null}}', '{"py/dataframe":{"rows":1,"columns":[null]}}', '{"py/dataframe":{"rows":1,"columns":[{"name":1,"dtype":"x","values":{"length":1e9}}]}}',
];
for (const payload of HOSTILE) {
  test(`it refuses ${payload.slice(0, 60)}`, () => {
    assert.throws(() => fc.parse(`{"a":[${payload}]}`), (error) => {
      assert.ok(error instanceof fc.FlaskCacheError, String(error));
      assert.match(error.message, /^\$\.a\[0\]: a "py\/\w+" that this package does not understand: /);
      return true;
    });
    assert.throws(() => JSON.parse(payload, fc.reviver), fc.FlaskCacheError);
  });
}

test("depth is an error and no crash", () => {
  for (const [open, close] of [["[", "]"], ['{"a":', "}"], ['{"py/tuple":[', "]}"], ['{"py/instance":', "}"]]) {
    const payload = `${open?.repeat(100_000)}1${close?.repeat(100_000)}`;
    assert.throws(() => fc.parse(payload), fc.FlaskCacheError);
    assert.throws(() => fc.parse(`[9007199254740993,${payload}]`), fc.FlaskCacheError);
  }
});

test("a tag that is new is kept with its content", () => {
  assert.deepStrictEqual(fc.parse('{"py/new":{"py/decimal":"1"}}'), new fc.Tagged("py/new", new fc.Decimal("1")));
  assert.deepStrictEqual(fc.parse('{"py/toString":1}'), new fc.Tagged("py/toString", 1));
});

test("what only the proxy makes is read", () => {
  const product = fc.parse('{"py/instance":{"class":"shop.Product","value":{"id":1},"again":true}}');
  assert.deepStrictEqual([product.class, product.content, product.again], ["shop.Product", { id: 1 }, true]);
  const column = '{"name":"a","dtype":"int64","values":[1,null]}';
  const frame = fc.parse(`{"py/dataframe":{"rows":2,"index":{"start":0,"stop":2,"step":1},"columns":[${column}]}}`);
  assert.deepStrictEqual(frame.column("a"), [1, null]);
  assert.throws(() => frame.column("b"), RangeError);
  assert.deepStrictEqual(fc.parse('{"py/numpy":{"dtype":"float64","value":2.5}}').content, 2.5);
  assert.deepStrictEqual(fc.parse('{"py/cycle":1}'), new fc.ReadOnly("py/cycle", 1));
});

test("a plain listener's values have no tags", () => {
  assert.deepEqual(json(true).read(Buffer.from('{"py/date":"x"}')), { "py/date": "x" });
});

test("a msgpack library whose options round or extend is refused", () => {
  const encode = (/** @type {any} */ value) => mp.encode(value);
  assert.throws(() => msgpack({ encode, decode: (payload) => mp.decode(payload) }, false), /rounds ints beyond 2\^53: pass useBigInt64/);
  const records = new Packr({ int64AsType: "bigint", useRecords: true });
  const recording = { encode: (/** @type {any} */ value) => records.pack(value), decode: (/** @type {any} */ payload) => records.unpack(payload) };
  assert.throws(() => msgpack(recording, false), /pass useRecords: false/);
  assert.throws(() => msgpack(/** @type {any} */ ({}), false), /needs two functions/);
});

test("what a msgpack library reads as undefined is no miss", () => {
  const packr = new Packr({ int64AsType: "bigint", useRecords: false });
  const packed = msgpack({ encode: (value) => packr.pack(value), decode: (payload) => packr.unpack(payload) }, false);
  assert.throws(() => packed.read(Buffer.from("d40000", "hex")), { message: /^\$: the msgpack library made undefined of it/ });
});

test("a msgpack library may decode maps as Maps, and keeps a key __proto__ then", () => {
  const maps = new Packr({ int64AsType: "bigint", useRecords: false, mapsAsObjects: false });
  const mapping = msgpack({ encode: (value) => maps.pack(value), decode: (payload) => maps.unpack(payload) }, false);
  assert.deepStrictEqual(mapping.read(mapping.write(SAME.proto)), SAME.proto);
  assert.deepStrictEqual(mapping.read(mapping.write([{ a: new fc.Day("2024-01-02") }])), [{ a: new fc.Day("2024-01-02") }]);
  assert.throws(() => mapping.read(Buffer.from([0x81, 1, 1])), /a key that is no text/);
  assert.throws(() => mapping.read(Buffer.from(mp.encode(new Date(0)))), /made a Date of it, which the proxy never writes/);
});
