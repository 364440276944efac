import { FlaskCacheError, printable } from "./errors.js";
import { isPrintable } from "./tags.js";
import { decimalText, isAware, isUtc, numbersOf } from "./texts.js";
import {
  ByteArray,
  Complex,
  Day,
  Decimal,
  FrozenSet,
  Markup,
  Naive,
  OrderedDict,
  PyFloat,
  TimeDelta,
  TimeOfDay,
  Tuple,
  Uuid,
} from "./values.js";

/**
 * What Python prints for the value of an argument, which the key of a memoized result hashes. Throws FlaskCacheError.
 * @param {unknown} value
 * @returns {string}
 */
export function repr(value) {
  if (value === null) return "None";
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "bigint":
      if (!isPrintable(value)) throw new FlaskCacheError("the int has more than 4300 digits, which Python does not print");
      return `${value}`;
    case "string":
      return reprText(value);
    case "number":
      return reprNumber(value);
    case "object":
      return reprObject(value);
  }
  throw new FlaskCacheError(`Python has no ${typeof value}: pass null for None, or leave the argument to defaultOf()`);
}

/** @param {number} value A number without a fraction is an int. */
function reprNumber(value) {
  if (Number.isSafeInteger(value)) return `${value}`;
  if (Number.isInteger(value)) {
    throw new FlaskCacheError(`${value} is beyond 2^53: pass a bigint for an int, or a PyFloat for a float`);
  }
  return reprFloat(value);
}

/** As float.__repr__ prints: with an exponent below 1e-4 and from 1e16 on. @param {number} value */
export function reprFloat(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/([+-])(\d)$/, "$10$2");
  const shown = Object.is(value, -0) ? "-0" : `${value}`;
  return shown.includes(".") ? shown : `${shown}.0`;
}

/** @type {readonly (readonly [new (...args: any[]) => any, (value: any) => string])[]} */
const SHOWN = Object.freeze([
  [PyFloat, ({ value }) => reprFloat(value)],
  [Decimal, ({ text }) => `Decimal('${decimalText(text)}')`],
  [Uuid, ({ text }) => `UUID('${text}')`],
  [Markup, ({ text }) => `Markup(${reprText(text)})`],
  [Day, ({ text }) => `datetime.date(${numbersOf(text).join(", ")})`],
  [TimeOfDay, reprTime],
  [Naive, ({ text }) => `datetime.datetime(${clockOf(text, 3)})`],
  [Date, (value) => `datetime.datetime(${clockOf(inUtc(value), 3)}, tzinfo=datetime.timezone.utc)`],
  [TimeDelta, reprDelta],
  [Complex, reprComplex],
  [ByteArray, (value) => `bytearray(${reprBytes(value)})`],
  [Uint8Array, reprBytes],
  [Tuple, (value) => reprTuple(Array.from(value, repr))],
  [Array, (value) => `[${Array.from(value, repr).join(", ")}]`],
  [FrozenSet, (value) => (value.size === 0 ? "frozenset()" : `frozenset(${reprSet(value)})`)],
  [Set, (value) => (value.size === 0 ? "set()" : reprSet(value))],
  [OrderedDict, reprOrdered],
  [Map, (value) => reprPairs([...value])],
]);

/** @param {object} value */
function reprObject(value) {
  for (const [kind, show] of SHOWN) if (value instanceof kind) return show(value);
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return reprPlain(value);
  const name = prototype.constructor?.name ?? "object";
  throw new FlaskCacheError(`only the app knows what Python prints for a ${name}: its key cannot be computed here`);
}

/** @param {object} value */
function reprPlain(value) {
  const names = Object.keys(value);
  if (names.length > 1 && names.some((name) => /^\d+$/.test(name))) {
    throw new FlaskCacheError("JavaScript changes the order of names that are numbers: pass a Map");
  }
  return reprPairs(Object.entries(value));
}

/** @param {[unknown, unknown][]} pairs */
const reprPairs = (pairs) => `{${pairs.map(([key, value]) => `${repr(key)}: ${repr(value)}`).join(", ")}}`;

/** @param {Set<unknown>} members */
function reprSet(members) {
  if (members.size > 1) {
    throw new FlaskCacheError("Python prints a set of several members in an order that varies: its key cannot be computed");
  }
  return `{${[...members].map(repr).join("")}}`;
}

/** @param {Map<unknown, unknown>} value */
function reprOrdered(value) {
  if (value.size === 0) return "OrderedDict()";
  throw new FlaskCacheError("only the app knows what Python prints for an OrderedDict, which depends on its version");
}

/** @param {readonly string[]} shown */
export const reprTuple = (shown) => (shown.length === 1 ? `(${shown[0]},)` : `(${shown.join(", ")})`);

/** @param {Date & {text?: string}} value */
function inUtc(value) {
  if (Number.isNaN(value.getTime())) throw new FlaskCacheError("an invalid Date");
  const text = value.text ?? value.toISOString();
  if (!isUtc(text)) {
    throw new FlaskCacheError("how Python prints a datetime depends on the class of its zone: pass it in UTC, as the app does");
  }
  return text.replace(/(?:Z|[+-]00:00.*)$/, "");
}

/** @param {TimeOfDay} value */
function reprTime({ text }) {
  if (/[Z+-]/.test(text)) throw new FlaskCacheError(`the time ${printable(text)} has an offset: only the app knows what Python prints for it`);
  return `datetime.time(${clockOf(text, 0)})`;
}

/** The arguments of a datetime or a time: seconds and microseconds only where they are not 0. @param {string} text @param {number} at where the hour stands */
function clockOf(text, at) {
  const numbers = numbersOf(isAware(text) ? "" : text);
  if (!numbers[at + 3]) numbers.splice(at + 3);
  if (!numbers[at + 2] && numbers.length <= at + 3) numbers.splice(at + 2);
  return numbers.join(", ");
}

/** @param {TimeDelta} value */
function reprDelta({ days, seconds, microseconds }) {
  const parts = Object.entries({ days, seconds, microseconds }).filter(([, size]) => size !== 0);
  return `datetime.timedelta(${parts.map(([name, size]) => `${name}=${size}`).join(", ") || 0})`;
}

/** @param {Complex} value */
function reprComplex({ re, im }) {
  const [real, imaginary] = [re, im].map((part) => reprFloat(part).replace(/\.0$/, ""));
  if (Object.is(re, 0)) return `${imaginary}j`;
  return `(${real}${imaginary?.startsWith("-") ? "" : "+"}${imaginary}j)`;
}

/** @type {Readonly<Record<string, string>>} */
const SHORT = Object.freeze({ "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" });

/** @param {string} text */
const quoteOf = (text) => (text.includes("'") && !text.includes('"') ? '"' : "'");

/** @param {string} value */
export function reprText(value) {
  if (!value.isWellFormed()) throw new FlaskCacheError("a text has half of a surrogate pair");
  const quote = quoteOf(value);
  const shown = [...value].map((char) => {
    if (char === quote) return `\\${quote}`;
    const short = SHORT[char];
    if (short !== undefined) return short;
    return char === " " || !/[\p{C}\p{Z}]/u.test(char) ? char : escaped(char.codePointAt(0) ?? 0);
  });
  return quote + shown.join("") + quote;
}

/** @param {number} code */
function escaped(code) {
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

/** @param {Uint8Array} value */
function reprBytes(value) {
  const quote = quoteOf(Buffer.from(value).toString("latin1"));
  const shown = Array.from(value, (code) => {
    const char = String.fromCharCode(code);
    if (char === quote) return `\\${quote}`;
    return SHORT[char] ?? (code >= 0x20 && code < 0x7f ? char : escaped(code));
  });
  return `b${quote}${shown.join("")}${quote}`;
}
