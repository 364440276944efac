import { PythonTypeError, below } from "./errors.js";
import { pythonName } from "./names.js";
import * as values from "./values.js";

/**
 * Checks that a value has a type, and returns it. Throws PythonTypeError with the path and both types.
 * @template T
 * @callback Want
 * @param {unknown} value
 * @param {string} path
 * @returns {T}
 */

/**
 * The type that a Want returns.
 * @template {Want<any>} W
 * @typedef {W extends Want<infer T> ? T : never} Wanted
 */

/** The Wants that a key of a dict may be missing for. @type {WeakSet<Want<any>>} */
const mayMiss = new WeakSet();

/**
 * @template T
 * @param {string} name
 * @param {(value: unknown) => value is T} fits
 * @returns {Want<T>}
 */
const check = (name, fits) => (value, path) => {
  if (fits(value)) return value;
  throw new PythonTypeError(path, pythonName(value), name);
};

/**
 * @template T
 * @param {string} name
 * @param {new (...args: any[]) => T} kind
 * @returns {Want<T>}
 */
const instanceOf = (name, kind) => check(name, /** @returns {value is T} */ (value) => value instanceof kind);

/** @type {Want<boolean>} */
export const boolean = check("boolean", (value) => typeof value === "boolean");
/** An int or a float. An int beyond 2^53 is none, because a number would round it. @type {Want<number>} */
export const number = check("number", (value) => typeof value === "number");
/** An int up to 2^53, or a float without a fraction. @type {Want<number>} */
export const int = check("int", /** @returns {value is number} */ (value) => Number.isSafeInteger(value));
/** Any int, as a bigint. @type {Want<bigint>} */
export const bigint = (value, path) => {
  if (typeof value === "bigint") return value;
  if (Number.isSafeInteger(value)) return BigInt(/** @type {number} */ (value));
  throw new PythonTypeError(path, pythonName(value), "bigint");
};
/** @type {Want<string>} */
export const text = check("string", (value) => typeof value === "string");
/** Bytes or a bytearray. @type {Want<Buffer>} */
export const bytes = (value, path) => {
  if (!(value instanceof Uint8Array)) throw new PythonTypeError(path, pythonName(value), "bytes");
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
};
/** None. @type {Want<null>} */
export const none = check("null", (value) => value === null);
/** An aware datetime. */
export const date = instanceOf("an aware datetime", values.Moment);
export const naive = instanceOf("a naive datetime", values.Naive);
export const zoned = instanceOf("a zoned datetime", values.Zoned);
export const day = instanceOf("a date", values.Day);
export const time = instanceOf("a time", values.TimeOfDay);
export const timedelta = instanceOf("a timedelta", values.TimeDelta);
export const decimal = instanceOf("a Decimal", values.Decimal);
export const uuid = instanceOf("a UUID", values.Uuid);
export const markup = instanceOf("a Markup", values.Markup);
export const complex = instanceOf("a complex", values.Complex);
export const response = instanceOf("a Response", values.Response);
export const frame = instanceOf("a DataFrame", values.Frame);
/** @type {Want<import("./types.js").Value>} */
export const any = (value) => /** @type {import("./types.js").Value} */ (value);

/**
 * None, or a value. In object(), the key may be missing too.
 * @template T
 * @param {Want<T>} of
 * @returns {Want<T | null>}
 */
export const optional = (of) => {
  /** @type {Want<T | null>} */
  const want = (value, path) => (value === null ? null : of(value, path));
  mayMiss.add(want);
  return want;
};

/**
 * A value of the first of these types that it has.
 * @template {Want<any>[]} Wants
 * @param {Wants} wants
 * @returns {Want<Wanted<Wants[number]>>}
 */
export const either = (...wants) => (value, path) => {
  const wanted = [];
  for (const of of wants) {
    try {
      return of(value, path);
    } catch (error) {
      if (!(error instanceof PythonTypeError)) throw error;
      if (error.path !== path) throw error; // the value itself fits, and a part of it does not
      wanted.push(error.want);
    }
  }
  throw new PythonTypeError(path, pythonName(value), wanted.join(" or "));
};

/**
 * @template T
 * @param {Want<T>} of
 * @returns {Want<T[]>}
 */
export const list = (of) => (value, path) => {
  if (!Array.isArray(value) || value instanceof values.Tuple) throw new PythonTypeError(path, pythonName(value), "list");
  return value.map((each, at) => of(each, below(path, at)));
};

/**
 * A tuple of these types: `tuple(text, number)`.
 * @template {Want<any>[]} Wants
 * @param {Wants} wants
 * @returns {Want<{[At in keyof Wants]: Wanted<Wants[At]>}>}
 */
export const tuple = (...wants) => (value, path) => {
  const found = tupleOf(any)(value, path);
  if (found.length !== wants.length) throw new PythonTypeError(path, `tuple of ${found.length}`, `tuple of ${wants.length}`);
  return /** @type {any} */ (wants.map((of, at) => of(found[at], below(path, at))));
};

/**
 * A tuple of any length, whose items have one type.
 * @template T
 * @param {Want<T>} of
 * @returns {Want<T[]>}
 */
export const tupleOf = (of) => (value, path) => {
  if (!(value instanceof values.Tuple)) throw new PythonTypeError(path, pythonName(value), "tuple");
  return Array.from(value, (each, at) => of(each, below(path, at)));
};

/**
 * A set or a frozenset.
 * @template T
 * @param {Want<T>} of
 * @returns {Want<Set<T>>}
 */
export const set = (of) => (value, path) => {
  if (!(value instanceof Set)) throw new PythonTypeError(path, pythonName(value), "set");
  return new Set(Array.from(value, (each, at) => of(each, below(path, at))));
};

/**
 * A dict with any keys, or an OrderedDict.
 * @template K, V
 * @param {Want<K>} key
 * @param {Want<V>} of
 * @returns {Want<Map<K, V>>}
 */
export const map = (key, of) => (value, path) => {
  const pairs = value instanceof Map ? [...value] : Object.entries(plain(value, path, "dict"));
  return new Map(pairs.map(([name, each], at) => [key(name, below(path, at)), of(each, below(path, stepOf(name, at)))]));
};

/** @param {unknown} name @param {number} at */
const stepOf = (name, at) => (typeof name === "string" ? name : at);

/**
 * A dict with keys that are text, and values of one type.
 * @template T
 * @param {Want<T>} of
 * @returns {Want<Record<string, T>>}
 */
export const dict = (of) => (value, path) => {
  const entries = Object.entries(isNamed(value) ? Object.fromEntries(value) : plain(value, path, "dict"));
  return Object.fromEntries(entries.map(([name, each]) => [name, of(each, below(path, name))]));
};

/**
 * A dict whose one key begins with py/, which is read as a Map.
 * @param {unknown} value
 * @returns {value is Map<string, unknown>}
 */
const isNamed = (value) =>
  value instanceof Map && !(value instanceof values.OrderedDict) && [...value.keys()].every((name) => typeof name === "string");

/**
 * A dict with these keys. Others are left out. A key that may be missing is `optional`, and null then.
 * @template {Record<string, Want<any>>} Fields
 * @param {Fields} fields
 * @returns {Want<{[Name in keyof Fields]: Wanted<Fields[Name]>}>}
 */
export const object = (fields) => (value, path) => {
  const found = plain(value, path, "object");
  const read = Object.entries(fields).map(([name, of]) => {
    const isThere = Object.hasOwn(found, name);
    if (!isThere && !mayMiss.has(of)) throw new PythonTypeError(below(path, name), "dict without this key", "a value");
    return [name, isThere ? of(found[name], below(path, name)) : null];
  });
  return Object.fromEntries(read);
};

/**
 * An object of a class of the app, whose value has a type: `instance("shop.models.Product", object({ id: int }))`.
 * @template T
 * @param {string} name of the class
 * @param {Want<T>} of
 * @returns {Want<T>}
 */
export const instance = (name, of) => (value, path) => {
  if (value instanceof values.Instance && value.class === name) return of(value.content, path);
  throw new PythonTypeError(path, pythonName(value), name);
};

/**
 * A number, a text or a time of numpy: `scalar("float64", number)`.
 * @template T
 * @param {string} dtype
 * @param {Want<T>} of
 * @returns {Want<T>}
 */
export const scalar = (dtype, of) => (value, path) => {
  if (value instanceof values.Scalar && value.dtype === dtype) return of(value.content, path);
  throw new PythonTypeError(path, pythonName(value), `numpy.${dtype}`);
};

/** @param {unknown} value @param {string} path @param {string} want @returns {Record<string, unknown>} */
function plain(value, path, want) {
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return /** @type {Record<string, unknown>} */ (value);
  }
  throw new PythonTypeError(path, pythonName(value), want);
}
