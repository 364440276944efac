import { FlaskCacheError, printable } from "./errors.js";
import { isAware } from "./texts.js";
import * as values from "./values.js";

const FLOATS = new Map([
  ["nan", NaN],
  ["inf", Infinity],
  ["-inf", -Infinity],
]);
const MOST_DIGITS = 4300; // of an int, as Python and the proxy have it
const IS_INT = new RegExp(`^-?\\d{1,${MOST_DIGITS}}$`);
const BEYOND = 10n ** BigInt(MOST_DIGITS);

/** @param {boolean} fits @param {string} what @returns {asserts fits} */
function expect(fits, what) {
  if (!fits) throw new FlaskCacheError(`its content is not ${what}`);
}

/** The number for an int: a bigint only where a number would round it. @param {bigint} value */
export const whole = (value) =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

/** Whether Python can print an int. To find out by printing it would take long. @param {number | bigint} value */
export const isPrintable = (value) => typeof value === "number" || (value < BEYOND && value > -BEYOND);

/** @param {unknown} content @returns {number | bigint} */
export function intOf(content) {
  expect(typeof content === "string" && IS_INT.test(content), "an int of at most 4300 digits");
  return whole(BigInt(content));
}

/** @param {unknown} content @returns {Buffer} */
function bytes(content) {
  if (content instanceof Uint8Array) return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  expect(typeof content === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(content) && content.length % 4 === 0, "base64");
  return Buffer.from(content, "base64");
}

/** @param {unknown} content @returns {unknown[]} */
function list(content) {
  expect(Array.isArray(content) && !(content instanceof values.Tuple), "a list");
  return content;
}

/** @param {unknown} content @returns {[unknown, unknown][]} */
function pairs(content) {
  const found = list(content);
  expect(found.every((pair) => Array.isArray(pair) && pair.length === 2), "pairs");
  return /** @type {[unknown, unknown][]} */ (found);
}

/** @param {unknown} content @returns {string} */
function text(content) {
  expect(typeof content === "string", "text");
  return content;
}

/** @param {unknown} content @returns {number} */
function float(content) {
  if (typeof content === "number") return content;
  if (content instanceof values.PyFloat) return content.value;
  const special = typeof content === "bigint" ? Number(content) : FLOATS.get(text(content));
  expect(special !== undefined, "a float");
  return special;
}

/** The fields of an object. @param {unknown} content @returns {Record<string, any>} */
function fields(content) {
  const isObject = typeof content === "object" && content !== null && Object.getPrototypeOf(content) === Object.prototype;
  expect(isObject, "an object");
  // Without a prototype, a field that is not there is undefined, whatever its name.
  return Object.assign(Object.create(null), content);
}

/** @param {unknown} content */
function delta(content) {
  const [days, seconds, microseconds, ...more] = list(content);
  expect([days, seconds, microseconds].every(Number.isSafeInteger) && more.length === 0, "three ints");
  return new values.TimeDelta(Number(days), Number(seconds), Number(microseconds));
}

/** @param {unknown} content */
function complex(content) {
  const parts = list(content);
  expect(parts.length === 2, "two floats");
  return new values.Complex(float(parts[0]), float(parts[1]));
}

/** @param {unknown} content */
function response(content) {
  const { status, headers, body } = fields(content);
  expect(Number.isSafeInteger(status), "a response: its status is no int");
  expect(pairs(headers).flat().every((part) => typeof part === "string"), "a response: its headers are not text");
  expect(typeof body === "string" || body instanceof Uint8Array, "a response: its body is neither text nor bytes");
  return new values.Response(status, headers, body);
}

/** @param {unknown} content */
function instance(content) {
  const { class: name, value, again = false } = fields(content);
  expect(typeof name === "string" && typeof again === "boolean", "an instance with a class");
  return new values.Instance({ class: name, value, again });
}

/** @param {unknown} content */
function scalar(content) {
  const { dtype, value } = fields(content);
  return new values.Scalar({ dtype: text(dtype), value });
}

/** @param {unknown} content */
function frame(content) {
  const { rows, index, columns } = fields(content);
  expect(Number.isSafeInteger(rows), "a frame: its rows are no int");
  const found = list(columns).map((column) => {
    const { name, dtype, values: each, ...more } = fields(column);
    return { ...more, name, dtype: text(dtype), values: list(each) };
  });
  return new values.Frame({ rows, index, columns: found });
}

/** @param {string} tag @returns {Reader} */
const readOnly = (tag) => (content) => new values.ReadOnly(tag, content);

/** @typedef {(content: unknown) => unknown} Reader */

/**
 * What each tag is read as. A function that throws means a proxy that this package does not understand.
 * @type {ReadonlyMap<string, Reader>}
 */
const READERS = new Map(
  /** @type {[string, Reader][]} */ ([
    ["py/int", intOf],
    ["py/float", float],
    ["py/bytes", bytes],
    ["py/bytearray", (content) => new values.ByteArray(bytes(content))],
    ["py/tuple", (content) => values.Tuple.from(list(content))],
    ["py/set", (content) => new Set(list(content))],
    ["py/frozenset", (content) => new values.FrozenSet(list(content))],
    ["py/dict", (content) => new Map(pairs(content))],
    ["py/ordereddict", (content) => new values.OrderedDict(pairs(content))],
    ["py/decimal", (content) => new values.Decimal(text(content))],
    ["py/uuid", (content) => new values.Uuid(text(content))],
    ["py/markup", (content) => new values.Markup(text(content))],
    ["py/date", (content) => new values.Day(text(content))],
    ["py/time", (content) => new values.TimeOfDay(text(content))],
    ["py/datetime", (content) => (isAware(text(content)) ? new values.Moment(text(content)) : new values.Naive(text(content)))],
    ["py/zoned", (content) => new values.Zoned(text(fields(content)["at"]), text(fields(content)["zone"]))],
    ["py/timedelta", delta],
    ["py/complex", complex],
    ["py/response", response],
    ["py/instance", instance],
    ["py/numpy", scalar],
    ["py/dataframe", frame],
    ...["py/ndarray", "py/series", "py/timestamp", "py/global", "py/cycle"].map((tag) => [tag, readOnly(tag)]),
  ]),
);

/** Tags that the proxy shows and never takes. */
export const READ_ONLY = new Set(
  ["py/instance", "py/numpy", "py/dataframe", "py/ndarray", "py/series", "py/timestamp", "py/global", "py/cycle"],
);

/** The tag of an object, if it is one. @param {object} value @returns {string | undefined} */
export function tagOf(value) {
  const names = Object.keys(value);
  return names.length === 1 && names[0]?.startsWith("py/") ? names[0] : undefined;
}

/**
 * The value of a tag whose content has been read. Throws FlaskCacheError.
 * @param {string} tag
 * @param {unknown} content
 * @param {string} path
 */
export function read(tag, content, path) {
  const reader = READERS.get(tag);
  if (reader === undefined) return new values.Tagged(tag, content);
  try {
    return reader(content);
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    throw new FlaskCacheError(`${path}: a ${printable(tag)} that this package does not understand: ${why}. Is the proxy newer?`);
  }
}
