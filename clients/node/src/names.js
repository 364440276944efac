import { printable } from "./errors.js";

/**
 * The type of a value in Python, cut and without what is not printable ASCII.
 * @param {unknown} value
 * @returns {string}
 */
export function pythonName(value) {
  switch (typeof value) {
    case "string":
      return "str";
    case "boolean":
      return "bool";
    case "bigint":
      return "int beyond 2^53";
    case "number":
      return Number.isSafeInteger(value) ? "int" : "float";
  }
  return value === null || typeof value !== "object" ? "None" : objectName(value);
}

/** @param {object} value */
function objectName(value) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "dict";
  if ("python" in value) return printable(value.python).replace(/^"|"$/g, "");
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict with keys that are not text";
  if (value instanceof Set) return "set";
  return value instanceof Uint8Array ? "bytes" : "datetime.datetime";
}
