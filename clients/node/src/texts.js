/**
 * The texts in which Python writes dates, times and numbers.
 * @module
 */

const DATE = String.raw`(\d{4})-(\d\d)-(\d\d)`;
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?`;
const OFFSET = String.raw`(Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)`;
const IS_DAY = new RegExp(`^${DATE}$`);
const IS_LOCAL = new RegExp(`^${DATE}[T ]${TIME}$`);
const IS_AWARE = new RegExp(`^(${DATE}[T ]${TIME})${OFFSET}$`);
const IS_TIME = new RegExp(`^${TIME}${OFFSET}?$`);
const IS_UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const IS_DECIMAL = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|Inf(?:inity)?|s?NaN\d*)$/i;

/** @param {string} text */
export const isDecimal = (text) => text.length < 10_000 && IS_DECIMAL.test(text);

/** @param {string} text */
export const isUuid = (text) => IS_UUID.test(text);

/** @param {string} text */
export const isDay = (text) => IS_DAY.test(text) && !Number.isNaN(utcOf(text));

/** @param {string} text */
export const isLocal = (text) => IS_LOCAL.test(text) && !Number.isNaN(utcOf(text));

/** @param {string} text */
export const isTime = (text) => IS_TIME.test(text) && !Number.isNaN(utcOf(`2000-01-01T${text.replace(/[Z+-].*/, "")}`));

/** The milliseconds of a datetime without an offset, taken as UTC. NaN: there is no such day or time. @param {string} text */
function utcOf(text) {
  const day = Number(text.slice(8, 10));
  const clock = text.length > 10 ? text.replace(" ", "T").replace(/(\.\d{1,3})\d*$/, "$1") : `${text}T00:00`;
  const found = Date.parse(`${clock}Z`);
  // JavaScript reads February 30th as March 1st, and 24:00 as the next day.
  return text.startsWith("0000") || new Date(found).getUTCDate() !== day ? NaN : found;
}

/** The instant of a datetime with an offset, in whole milliseconds. Undefined: it is none. @param {string} text */
export function instantOf(text) {
  const found = IS_AWARE.exec(text);
  if (found === null) return undefined;
  const instant = utcOf(found[1] ?? "") - millisecondsOf(found.at(-1) ?? "");
  return Number.isNaN(instant) ? undefined : Math.floor(instant);
}

/** An offset, which has seconds in old times. @param {string} offset */
function millisecondsOf(offset) {
  if (offset === "Z") return 0;
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(":").map(Number);
  const size = ((hours * 60 + minutes) * 60 + seconds) * 1000;
  return offset.startsWith("-") ? -size : size;
}

/** Whether a datetime has an offset. @param {string} text */
export const isAware = (text) => IS_AWARE.test(text);

/** Whether a datetime's offset is 0. @param {string} text */
export const isUtc = (text) => /(?:Z|[+-]00:00(?::00(?:\.0+)?)?)$/.test(text);

/**
 * The numbers of a date, time or naive datetime, the last of them microseconds.
 * @param {string} text
 * @returns {number[]}
 */
export function numbersOf(text) {
  const [clock = "", fraction = ""] = text.split(".");
  const numbers = clock.match(/\d+/g)?.map(Number) ?? [];
  return fraction === "" ? numbers : [...numbers, Number(fraction.slice(0, 6).padEnd(6, "0"))];
}

/**
 * As Python prints a Decimal: without leading zeros, and with an exponent only where it must be.
 * @param {string} text that isDecimal() takes
 */
export function decimalText(text) {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const minus = sign === "-" ? "-" : "";
  if (whole + fraction === "") return text.startsWith("-") ? `-${special(text)}` : special(text);
  const digits = (whole + fraction).replace(/^0+(?=\d)/, "");
  const power = Number(exponent) - fraction.length;
  const point = digits.length + power; // where it stands among the digits
  if (power <= 0 && point > -6) return minus + placed(digits, point);
  const shown = placed(digits, 1);
  return point === 1 ? minus + shown : `${minus}${shown}E${point > 1 ? "+" : ""}${point - 1}`;
}

/** @param {string} digits @param {number} point */
function placed(digits, point) {
  if (point >= digits.length) return digits + "0".repeat(point - digits.length);
  if (point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** @param {string} text */
function special(text) {
  const [, signals = "", isNan, payload = ""] = /^[+-]?(s?)(nan)?(\d*)/i.exec(text) ?? [];
  return isNan === undefined ? "Infinity" : `${signals && "s"}NaN${payload.replace(/^0+/, "")}`;
}

/** Whether Python takes a Decimal as false. @param {string} text */
export const isZeroDecimal = (text) => !/[1-9n]/i.test(text.replace(/e.*$/i, ""));
