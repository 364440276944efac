/** A wrong use of this package, or a value that cannot be written or read. `message` says what, where and what to do. */
export class FlaskCacheError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "FlaskCacheError";
  }
}

/** A value in the cache is not of the wanted type. */
export class PythonTypeError extends FlaskCacheError {
  /**
   * @param {string} path such as $.items[3].price
   * @param {string} python the type in Python, such as decimal.Decimal
   * @param {string} want the wanted type
   */
  constructor(path, python, want) {
    super(`${path}: Python ${python}, want ${want}`);
    this.name = "PythonTypeError";
    this.path = path;
    this.python = python;
    this.want = want;
  }
}

const LONGEST = 64; // characters of a key or a text that a message shows
const LONGEST_PATH = 512;

/**
 * A text for a message: cut, quoted, and without what is not printable ASCII.
 * @param {unknown} text
 * @returns {string}
 */
export function printable(text) {
  if (text === null || text === undefined) return String(text);
  if (typeof text !== "string") return typeof text === "object" ? "an object" : `a ${typeof text}`;
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  return JSON.stringify(cut).replace(/[^\x20-\x7e]/g, "?");
}

/**
 * The path of a part of a value.
 * @param {string} path
 * @param {string | number} step
 * @returns {string}
 */
export function below(path, step) {
  if (path.length > LONGEST_PATH) return path.endsWith("...") ? path : `${path}...`;
  if (typeof step === "number") return `${path}[${step}]`;
  return step.length <= LONGEST && /^[\w-]+$/.test(step) ? `${path}.${step}` : `${path}[${printable(step)}]`;
}
