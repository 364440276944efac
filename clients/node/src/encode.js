import { FlaskCacheError, below, printable } from "./errors.js";
import { isPrintable, tagOf } from "./tags.js";
import { ByteArray } from "./values.js";
import { special, written } from "./writers.js";

const DEEPEST = 400; // levels of a payload; the proxy allows 100 of a value by default, 150 at most

/**
 * What a value is in a payload. Throws FlaskCacheError with the path of what has no type in Python.
 * @param {unknown} value
 * @param {boolean} isBinary msgpack, which has bytes and special floats of its own
 * @param {string} [path]
 * @param {number} [depth]
 * @returns {unknown}
 */
export function toWire(value, isBinary, path = "$", depth = 0) {
  if (depth > DEEPEST) throw new FlaskCacheError(`${path}: nests deeper than ${DEEPEST} levels, or holds itself`);
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return wellFormed(value, path);
    case "number":
      return numberToWire(value, isBinary, path);
    case "bigint":
      return intToWire(value, isBinary, path);
    case "object":
      return value === null ? null : objectToWire(value, isBinary, path, depth + 1);
  }
  const what = value === undefined ? "undefined has no type in Python: use null, or leave the key out" : "";
  throw new FlaskCacheError(`${path}: ${what || `a ${typeof value} has no type in Python`}`);
}

/**
 * A number without a fraction is an int, up to 2^53. Beyond, it is a float in JavaScript, and so in Python.
 * @param {number} value
 * @param {boolean} isBinary
 * @param {string} path
 */
function numberToWire(value, isBinary, path) {
  if (Number.isSafeInteger(value)) return intToWire(value, isBinary, path);
  if (isBinary) return value;
  if (!Number.isFinite(value)) return { "py/float": special(value) };
  return Number.isInteger(value) ? { "py/float": value } : value;
}

/**
 * Some msgpack libraries write an int of more than 32 bits as a float, so it is written as text.
 * @param {number | bigint} value
 * @param {boolean} isBinary
 * @param {string} path
 */
function intToWire(value, isBinary, path) {
  if (!isPrintable(value)) throw new FlaskCacheError(`${path}: the int has more than 4300 digits, which Python does not read`);
  const isPlain = isBinary ? value >= -0x8000_0000 && value < 0x1_0000_0000 : Number.isSafeInteger(Number(value));
  return isPlain ? Number(value) : { "py/int": `${value}` };
}

/** @param {string} text @param {string} path */
function wellFormed(text, path) {
  if (!text.isWellFormed()) throw new FlaskCacheError(`${path}: the text has half of a surrogate pair`);
  return text;
}

/** @param {object} value @param {boolean} isBinary @param {string} path @param {number} depth @returns {unknown} */
function objectToWire(value, isBinary, path, depth) {
  if (value instanceof Uint8Array) return bytesToWire(value, isBinary);
  const tagged = written(value, path);
  if (tagged !== undefined) return { [tagged[0]]: contentToWire(tagged, isBinary, path, depth) };
  if (Array.isArray(value)) return Array.from(value, (each, at) => toWire(each, isBinary, below(path, at), depth));
  if ("toJSON" in value && typeof value.toJSON === "function") return toWire(value.toJSON(), isBinary, path, depth);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new FlaskCacheError(`${path}: the class ${className(prototype)} has no type in Python: ${adviceFor(value)}`);
  }
  return dictToWire(value, isBinary, path, depth);
}

/** @param {object} prototype */
const className = (prototype) => printable(prototype.constructor?.name ?? "").replace(/^"|"$/g, "") || "without a name";

/** @param {object} value */
const adviceFor = (value) => (value instanceof Promise ? "await it" : "give it toJSON(), or write a plain object of its values");

/** @param {Uint8Array} value @param {boolean} isBinary */
function bytesToWire(value, isBinary) {
  const content = isBinary ? Buffer.from(value) : Buffer.from(value).toString("base64");
  if (value instanceof ByteArray) return { "py/bytearray": content };
  return isBinary ? content : { "py/bytes": content };
}

/**
 * The content of a tag. That of py/float is a number as it is.
 * @param {[string, unknown]} tagged @param {boolean} isBinary @param {string} path @param {number} depth
 */
function contentToWire([tag, content], isBinary, path, depth) {
  return tag === "py/float" ? content : toWire(content, isBinary, path, depth);
}

/** @param {object} value @param {boolean} isBinary @param {string} path @param {number} depth */
function dictToWire(value, isBinary, path, depth) {
  /** @type {[string, unknown][]} */
  const entries = Object.entries(value).map(([name, each]) => [
    wellFormed(name, path),
    toWire(each, isBinary, below(path, name), depth),
  ]);
  // A dict that looks like a tag is written as pairs, so that it is none.
  if (tagOf(value) !== undefined) return { "py/dict": entries };
  const wire = Object.fromEntries(entries);
  if (Object.hasOwn(wire, "")) named.add(wire);
  return wire;
}

/** What is on its way, of all objects that could be taken for what JSON.stringify puts around a whole value. */
const named = new WeakSet();

/**
 * For JSON.stringify(value, replacer): writes the types of Python, as `stringify` does. Throws FlaskCacheError.
 * @this {any}
 * @param {string} key
 * @param {unknown} value
 * @returns {unknown}
 */
export function replacer(key, value) {
  // The first call is for the whole value, and gives what is written. Of `this`: before toJSON, which a Date has.
  return key === "" && !named.has(this) && !Array.isArray(this) ? toWire(this[""], false) : value;
}
