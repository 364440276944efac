import { FlaskCacheError, below, printable } from "./errors.js";
import { intOf, read, tagOf, whole } from "./tags.js";

const DEEPEST = 400; // levels of a payload; the proxy allows 150 of a value at most

/**
 * What a part of a payload is in JavaScript. Throws FlaskCacheError.
 * @param {unknown} wire
 * @param {boolean} isPlain a plain listener's values have no tags
 * @param {string} [path]
 * @param {number} [depth]
 * @returns {unknown}
 */
export function fromWire(wire, isPlain, path = "$", depth = 0) {
  if (depth > DEEPEST) throw new FlaskCacheError(`${path}: nests deeper than ${DEEPEST} levels`);
  if (typeof wire === "bigint") return whole(wire);
  if (wire === undefined) throw new FlaskCacheError(`${path}: the msgpack library made undefined of it, which the proxy never writes`);
  if (typeof wire !== "object" || wire === null) return wire;
  if (wire instanceof Uint8Array) return Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength);
  if (Array.isArray(wire)) return wire.map((each, at) => fromWire(each, isPlain, below(path, at), depth + 1));
  return dictFromWire(wire instanceof Map ? ofMap(wire, path) : wire, isPlain, path, depth);
}

/** An object for what a msgpack library can also decode as a Map. @param {Map<unknown, unknown>} wire @param {string} path */
function ofMap(wire, path) {
  const names = [...wire.keys()];
  if (!names.every((name) => typeof name === "string")) throw new FlaskCacheError(`${path}: the payload has a key that is no text`);
  return Object.fromEntries(wire);
}

/** @param {object} wire @param {boolean} isPlain @param {string} path @param {number} depth @returns {unknown} */
function dictFromWire(wire, isPlain, path, depth) {
  if (Object.getPrototypeOf(wire) !== Object.prototype) {
    throw new FlaskCacheError(`${path}: the msgpack library made a ${wire.constructor?.name} of it, which the proxy never writes`);
  }
  const tag = isPlain ? undefined : tagOf(wire);
  if (tag !== undefined) return read(tag, fromWire(Reflect.get(wire, tag), isPlain, path, depth + 1), path);
  /** @type {[string, unknown][]} */
  const entries = Object.entries(wire).map(([name, each]) => [name, fromWire(each, isPlain, below(path, name), depth + 1)]);
  return Object.fromEntries(entries); // it defines __proto__ as a property, and sets no prototype
}

/**
 * Parse JSON without rounding an int, for `fromWire`. Throws FlaskCacheError.
 * @param {string} text
 * @returns {unknown}
 */
export function parseJson(text) {
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new FlaskCacheError(`$: the payload is no JSON: is this the proxy's JSON port? It begins with ${printable(text)}`);
  }
  return /\d{16}/.test(text) ? unmarked(JSON.parse(marked(text)), 0) : parsed;
}

/**
 * The same JSON, with each large int as text. So that no text can pass for one, each begins with a letter: s or i.
 * @param {string} text that is JSON
 */
function marked(text) {
  const token = /"|-?\d[\d.eE+-]*/g;
  const parts = [];
  let copied = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const isText = found[0] === '"';
    if (!isText && isExact(found[0])) continue;
    parts.push(text.slice(copied, found.index), isText ? '"s' : `"i${found[0]}"`);
    copied = token.lastIndex;
    if (isText) token.lastIndex = endOfText(text, copied);
  }
  return parts.join("") + text.slice(copied);
}

/** A float, or an int that a number has exactly. @param {string} token */
const isExact = (token) => !/^-?\d{16,}$/.test(token) || Number.isSafeInteger(Number(token));

/** Where a text ends, behind its closing quote. @param {string} text @param {number} from */
function endOfText(text, from) {
  for (let quote = text.indexOf('"', from); ; quote = text.indexOf('"', quote + 1)) {
    let before = quote;
    while (text[before - 1] === "\\") before--;
    if ((quote - before) % 2 === 0) return quote + 1;
  }
}

/** @param {string} digits */
function largeInt(digits) {
  try {
    return BigInt(intOf(digits));
  } catch {
    throw new FlaskCacheError("$: an int of the payload has more than 4300 digits, which the proxy never writes");
  }
}

/** @param {any} value @param {number} depth @returns {unknown} */
function unmarked(value, depth) {
  if (depth > DEEPEST) throw new FlaskCacheError(`$: nests deeper than ${DEEPEST} levels`);
  if (typeof value === "string") return value.startsWith("i") ? largeInt(value.slice(1)) : value.slice(1);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => unmarked(each, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.slice(1), unmarked(each, depth + 1)]));
}

/**
 * For JSON.parse(text, reviver): reads the types of Python. JSON.parse rounds ints beyond 2^53 before; `parse` does not.
 * @param {string} _key
 * @param {unknown} value whose parts have been read
 * @returns {unknown}
 */
export function reviver(_key, value) {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const tag = tagOf(value);
  return tag === undefined ? value : read(tag, Reflect.get(value, tag), "$");
}
