import { FlaskCacheError, printable } from "./errors.js";
import { READ_ONLY } from "./tags.js";
import {
  Complex,
  Day,
  Decimal,
  FrozenSet,
  Markup,
  Moment,
  Naive,
  OrderedDict,
  PyFloat,
  Response,
  Tagged,
  TimeDelta,
  TimeOfDay,
  Tuple,
  Uuid,
  Zoned,
} from "./values.js";

/** @typedef {[tag: string, content: unknown]} Written */

/** The text for a float that JSON lacks. @param {number} value */
export const special = (value) => (Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf");

/** @param {Date} value @param {string} path @returns {Written} */
function moment(value, path) {
  if (Number.isNaN(value.getTime())) throw new FlaskCacheError(`${path}: an invalid Date`);
  const isUnchanged = value instanceof Moment && new Moment(value.text).getTime() === value.getTime();
  if (isUnchanged) return ["py/datetime", value.text];
  const shown = value.toISOString();
  if (!/^(?!0000)\d{4}-/.test(shown)) throw new FlaskCacheError(`${path}: Python has the years 1 to 9999 only, not ${shown}`);
  return ["py/datetime", shown];
}

/** @param {Tagged} value @param {string} path @returns {Written} */
function tagged({ tag, value }, path) {
  if (READ_ONLY.has(tag)) throw new FlaskCacheError(`${path}: a ${printable(tag)} can be read but not written`);
  return [tag, value];
}

/**
 * How each class is written: its tag and its content, whose parts are written next. The first that fits counts.
 * @type {readonly (readonly [new (...args: any[]) => any, (value: any, path: string) => Written])[]}
 */
const WRITERS = Object.freeze([
  [PyFloat, ({ value }) => ["py/float", Number.isFinite(value) ? value : special(value)]],
  [Date, moment],
  [Naive, ({ text }) => ["py/datetime", text]],
  [Day, ({ text }) => ["py/date", text]],
  [TimeOfDay, ({ text }) => ["py/time", text]],
  [Decimal, ({ text }) => ["py/decimal", text]],
  [Uuid, ({ text }) => ["py/uuid", text]],
  [Markup, ({ text }) => ["py/markup", text]],
  [Zoned, ({ at, zone }) => ["py/zoned", { at, zone }]],
  [TimeDelta, ({ days, seconds, microseconds }) => ["py/timedelta", [days, seconds, microseconds]]],
  [Complex, ({ re, im }) => ["py/complex", [new PyFloat(re), new PyFloat(im)]]],
  [Tuple, (value) => ["py/tuple", Array.from(value)]],
  [FrozenSet, (value) => ["py/frozenset", [...value]]],
  [Set, (value) => ["py/set", [...value]]],
  [OrderedDict, (value) => ["py/ordereddict", [...value]]],
  [Map, (value) => ["py/dict", [...value]]],
  [Response, ({ status, headers, body }) => ["py/response", { status, headers, body }]],
  [Tagged, tagged],
]);

/**
 * The tag and the content of an object that needs a tag, or undefined.
 * @param {object} value
 * @param {string} path
 * @returns {Written | undefined}
 */
export function written(value, path) {
  for (const [kind, write] of WRITERS) if (value instanceof kind) return write(value, path);
  return undefined;
}
