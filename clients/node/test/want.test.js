import assert from "node:assert/strict";
import { test } from "node:test";
import { Instance, PythonTypeError, Scalar, parse, want } from "../src/index.js";

/** @type {[string, import("../src/want.js").Want<any>, string, string, string][]} payload, want, and the error */
const SURPRISES = [
  ['{"mean":{"py/numpy":{"dtype":"float64","value":1.5}}}', want.object({ mean: want.number }), "$.mean", "numpy.float64", "number"],
  ['{"price":{"py/decimal":"1.10"}}', want.object({ price: want.number }), "$.price", "decimal.Decimal", "number"],
  ['{"tags":{"py/tuple":["a"]}}', want.object({ tags: want.list(want.text) }), "$.tags", "tuple", "list"],
  ['{"py/instance":{"class":"shop.models.Product","value":{}}}', want.object({}), "$", "shop.models.Product", "object"],
  ['{"items":[{"price":1},{"price":"1"}]}', want.object({ items: want.list(want.object({ price: want.number })) }), "$.items[1].price", "str", "number"],
  ["null", want.text, "$", "None", "string"],
  ["true", want.int, "$", "bool", "int"],
  ["1.5", want.int, "$", "float", "int"],
  ["1.5", want.bigint, "$", "float", "bigint"],
  ["9007199254740993", want.int, "$", "int beyond 2^53", "int"],
  ["9007199254740993", want.number, "$", "int beyond 2^53", "number"],
  ['"AP8="', want.bytes, "$", "str", "bytes"],
  ['{"py/datetime":"2024-01-02T03:04:05"}', want.date, "$", "naive datetime.datetime", "an aware datetime"],
  ['{"py/datetime":"2024-01-02T03:04:05Z"}', want.naive, "$", "datetime.datetime", "a naive datetime"],
  ["{}", want.object({ a: want.text }), "$.a", "dict without this key", "a value"],
  ["{}", want.object({ a: want.any }), "$.a", "dict without this key", "a value"],
  ['{"toString":1}', want.object({ valueOf: want.any }), "$.valueOf", "dict without this key", "a value"],
  ['{"a":null}', want.object({ a: want.text }), "$.a", "None", "string"],
  ['{"py/tuple":[1,2]}', want.tuple(want.int), "$", "tuple of 2", "tuple of 1"],
  ['{"py/tuple":[1,2]}', want.tuple(want.int, want.text), "$[1]", "int", "string"],
  ["[1,2]", want.tupleOf(want.int), "$", "list", "tuple"],
  ['{"a b":{"c":[true]}}', want.dict(want.dict(want.list(want.int))), '$["a b"].c[0]', "bool", "int"],
  ['{"py/set":["a"]}', want.set(want.int), "$[0]", "str", "int"],
  ['{"py/ordereddict":[["a",1]]}', want.dict(want.int), "$", "collections.OrderedDict", "dict"],
  ['{"py/dict":[[1,"a"]]}', want.dict(want.text), "$", "dict with keys that are not text", "dict"],
  ['{"py/counter":{"a":1}}', want.dict(want.int), "$", "collections.Counter", "dict"],
  ['{"py/counter":{"a":1}}', want.list(want.int), "$", "collections.Counter", "list"],
  ['{"py/instance":{"class":"shop.B","value":1}}', want.instance("shop.A", want.int), "$", "shop.B", "shop.A"],
  ['{"py/instance":{"class":"shop.A\\n☃","value":"1"}}', want.text, "$", "shop.A\\n?", "string"],
  ["[1]", want.either(want.text, want.none), "$", "list", "string or null"],
  ["[1]", want.either(want.text, want.list(want.text)), "$[0]", "int", "string"],
];
for (const [payload, of, path, python, wanted] of SURPRISES) {
  test(`a surprise is named: ${payload} as ${wanted}`, () => {
    assert.throws(
      () => of(parse(payload), "$"),
      (error) => {
        assert.ok(error instanceof PythonTypeError);
        assert.deepEqual([error.path, error.python, error.want], [path, python, wanted]);
        assert.equal(error.message, `${path}: Python ${python}, want ${wanted}`);
        return true;
      },
    );
  });
}

/** @type {[string, import("../src/want.js").Want<any>, unknown][]} */
const FITTING = [
  ['{"a":1,"b":2}', want.object({ a: want.int }), { a: 1 }],
  ["{}", want.object({ a: want.optional(want.int) }), { a: null }],
  ['{"a":null}', want.object({ a: want.optional(want.int) }), { a: null }],
  ["2.0", want.int, 2],
  ["7", want.bigint, 7n],
  ["9007199254740993", want.bigint, 9007199254740993n],
  ['{"py/bytes":"AP8="}', want.bytes, Buffer.from([0, 255])],
  ['{"py/bytearray":"AP8="}', want.bytes, Buffer.from([0, 255])],
  ['{"py/tuple":[1,"a"]}', want.tuple(want.int, want.text), [1, "a"]],
  ['{"py/tuple":[1,2]}', want.tupleOf(want.int), [1, 2]],
  ['{"py/frozenset":[1]}', want.set(want.int), new Set([1])],
  ['{"py/dict":[[1,"a"]]}', want.map(want.int, want.text), new Map([[1, "a"]])],
  ["{}", want.map(want.int, want.text), new Map()],
  ['{"py/dict":[["py/a",1]]}', want.dict(want.int), { "py/a": 1 }],
  ['{"__proto__":1}', want.dict(want.int), JSON.parse('{"__proto__":1}')],
  ['{"py/instance":{"class":"shop.A","value":{"id":1}}}', want.instance("shop.A", want.object({ id: want.int })), { id: 1 }],
  ['{"py/numpy":{"dtype":"float64","value":2.5}}', want.scalar("float64", want.number), 2.5],
  ["null", want.either(want.text, want.none), null],
];
for (const [payload, of, value] of FITTING) {
  test(`it fits: ${payload}`, () => assert.deepStrictEqual(of(parse(payload), "$"), value));
}

test("a path is not as long as an attacker has it", () => {
  const payload = `${`{"${"k".repeat(1000)}":`.repeat(90)}1${"}".repeat(90)}`;
  let of = /** @type {import("../src/want.js").Want<any>} */ (want.text);
  for (let depth = 0; depth < 90; depth++) of = want.dict(of);
  assert.throws(() => of(parse(payload), "$"), (error) => error instanceof PythonTypeError && error.message.length < 1000);
  const long = new Instance({ class: "x".repeat(10_000), value: 1 });
  assert.throws(() => want.text(long, "$"), (error) => error instanceof PythonTypeError && error.message.length < 200);
  assert.throws(() => want.text(new Scalar({ dtype: "float64", value: 1 }), "$"), /numpy\.float64/);
});
