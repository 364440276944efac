/**
 * The types of Python that JavaScript has no type of its own for. A value of each is read as such, and written as such.
 * `python` is the name of its type in Python.
 * @module
 */

import { FlaskCacheError, printable } from "./errors.js";
import { instantOf, isDay, isDecimal, isLocal, isTime, isUuid } from "./texts.js";

/** A float without a fraction. A number such as 2 is an int in Python; `new PyFloat(2)` is 2.0. */
export class PyFloat {
  /** @param {number} value */
  constructor(value) {
    if (typeof value !== "number") throw new FlaskCacheError(`a PyFloat of a ${typeof value}: give it a number`);
    this.value = value;
  }

  get python() {
    return /** @type {const} */ ("float");
  }

  valueOf() {
    return this.value;
  }
}

/** A value that is text in Python's own notation. */
class Text {
  /**
   * @param {string} text
   * @param {(text: string) => boolean} fits
   * @param {string} example
   */
  constructor(text, fits, example) {
    if (typeof text !== "string" || !fits(text)) {
      throw new FlaskCacheError(`a ${new.target.prototype.python} is text such as ${JSON.stringify(example)}, not ${printable(text)}`);
    }
    this.text = text;
  }

  /** @returns {string} */
  get python() {
    return "str";
  }

  toString() {
    return this.text;
  }
}

/** A decimal.Decimal, such as `new Decimal("1.10")`. Throws FlaskCacheError for other text. */
export class Decimal extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, isDecimal, "1.10");
  }

  get python() {
    return /** @type {const} */ ("decimal.Decimal");
  }
}

/** A uuid.UUID: 36 lower-case characters. Throws FlaskCacheError for other text. */
export class Uuid extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, isUuid, "12345678-1234-5678-1234-567812345678");
  }

  get python() {
    return /** @type {const} */ ("uuid.UUID");
  }
}

/** A markupsafe.Markup: HTML that templates do not escape. The proxy takes it only where a rule allows it. */
export class Markup extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, () => true, "<b>tea</b>");
  }

  get python() {
    return /** @type {const} */ ("markupsafe.Markup");
  }
}

/** A datetime without a zone, in ISO 8601. It is no Date, because it has no instant. Throws FlaskCacheError. */
export class Naive extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, isLocal, "2024-01-02T03:04:05");
  }

  get python() {
    return /** @type {const} */ ("naive datetime.datetime");
  }
}

/** A datetime.date in ISO 8601, such as `new Day("2024-01-02")`. Throws FlaskCacheError for other text. */
export class Day extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, isDay, "2024-01-02");
  }

  get python() {
    return /** @type {const} */ ("datetime.date");
  }
}

/** A datetime.time in ISO 8601, such as `new TimeOfDay("03:04:05")`. Throws FlaskCacheError for other text. */
export class TimeOfDay extends Text {
  /** @param {string} text */
  constructor(text) {
    super(text, isTime, "03:04:05");
  }

  get python() {
    return /** @type {const} */ ("datetime.time");
  }
}

/**
 * A datetime with an offset. It is a Date that also has Python's text, with its offset and its microseconds. It is
 * written as that text, unless the Date has been changed.
 */
export class Moment extends Date {
  /** @param {string} text in ISO 8601, with an offset. Throws FlaskCacheError. */
  constructor(text) {
    const instant = typeof text === "string" ? instantOf(text) : undefined;
    if (instant === undefined) {
      throw new FlaskCacheError(`a Moment is text such as "2024-01-02T03:04:05+02:00", not ${printable(text)}`);
    }
    super(instant);
    /** @readonly */
    this.text = text;
  }

  get python() {
    return /** @type {const} */ ("datetime.datetime");
  }
}

/** A datetime in a named zone. `at` is ISO 8601 with the offset that holds then. */
export class Zoned {
  /**
   * Throws FlaskCacheError.
   * @param {string} at
   * @param {string} zone such as Europe/Berlin
   */
  constructor(at, zone) {
    this.at = new Moment(at).text;
    if (typeof zone !== "string") throw new FlaskCacheError("a Zoned needs the name of a zone, such as Europe/Berlin");
    this.zone = zone;
  }

  get python() {
    return /** @type {const} */ ("zoned datetime.datetime");
  }

  /** The instant, without microseconds. */
  toDate() {
    return new Moment(this.at);
  }
}

/** A datetime.timedelta. Only the days may be negative. */
export class TimeDelta {
  /**
   * Throws FlaskCacheError.
   * @param {number} days
   * @param {number} seconds
   * @param {number} microseconds
   */
  constructor(days, seconds = 0, microseconds = 0) {
    const isWhole = [days, seconds, microseconds].every(Number.isSafeInteger);
    if (!isWhole || seconds < 0 || seconds >= 86400 || microseconds < 0 || microseconds >= 1e6) {
      throw new FlaskCacheError("a TimeDelta is days, seconds from 0 to 86399 and microseconds from 0 to 999999");
    }
    this.days = days;
    this.seconds = seconds;
    this.microseconds = microseconds;
  }

  get python() {
    return /** @type {const} */ ("datetime.timedelta");
  }

  /** In milliseconds, as a number. */
  valueOf() {
    return (this.days * 86400 + this.seconds) * 1000 + this.microseconds / 1000;
  }
}

/** A complex number. */
export class Complex {
  /**
   * @param {number} re
   * @param {number} im
   */
  constructor(re, im) {
    this.re = re;
    this.im = im;
  }

  get python() {
    return /** @type {const} */ ("complex");
  }
}

/**
 * A tuple: `Tuple.of(1, 2)` or `Tuple.from([1, 2])`.
 * @template [T=unknown]
 * @extends {Array<T>}
 */
export class Tuple extends Array {
  /**
   * @template {unknown[]} Items
   * @param {Items} items
   * @returns {Tuple<Items[number]>}
   * @override
   */
  static of(...items) {
    return /** @type {Tuple<Items[number]>} */ (super.of(...items));
  }

  get python() {
    return /** @type {const} */ ("tuple");
  }
}

/**
 * A frozenset. (A set is a Set.)
 * @template [T=unknown]
 * @extends {Set<T>}
 */
export class FrozenSet extends Set {
  get python() {
    return /** @type {const} */ ("frozenset");
  }
}

/**
 * A collections.OrderedDict. (A dict whose keys are not all text is a Map.)
 * @template [K=unknown]
 * @template [V=unknown]
 * @extends {Map<K, V>}
 */
export class OrderedDict extends Map {
  get python() {
    return /** @type {const} */ ("collections.OrderedDict");
  }
}

/** A bytearray. (Bytes are a Buffer.) */
export class ByteArray extends Uint8Array {
  /** @param {Iterable<number>} bytes */
  constructor(bytes) {
    super([...bytes]);
  }

  /** A part of it is bytes. */
  static get [Symbol.species]() {
    return Uint8Array;
  }

  get python() {
    return /** @type {const} */ ("bytearray");
  }
}

/** A Flask response. The proxy takes it only where a rule allows it. */
export class Response {
  /**
   * @param {number} status
   * @param {[string, string][]} headers
   * @param {string | Uint8Array} body
   */
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get python() {
    return /** @type {const} */ ("flask.Response");
  }
}

/** A value of any other tag, such as py/counter. `value` is its content. */
export class Tagged {
  /**
   * Throws FlaskCacheError.
   * @param {string} tag
   * @param {unknown} value
   */
  constructor(tag, value) {
    if (typeof tag !== "string" || !tag.startsWith("py/")) {
      throw new FlaskCacheError(`a tag begins with py/, and ${printable(tag)} does not`);
    }
    this.tag = tag;
    this.value = value;
  }

  /** @returns {string} */
  get python() {
    return NAMES.get(this.tag) ?? this.tag;
  }
}

const NAMES = new Map([
  ["py/counter", "collections.Counter"],
  ["py/defaultdict", "collections.defaultdict"],
  ["py/deque", "collections.deque"],
  ["py/ndarray", "numpy.ndarray"],
  ["py/timestamp", "pandas.Timestamp"],
  ["py/series", "pandas.Series"],
  ["py/dataframe", "pandas.DataFrame"],
  ["py/global", "class or function"],
  ["py/cycle", "reference to itself"],
]);

/** What the proxy shows and never writes. `tag` says which it is, and `value` is its content as it came. */
export class ReadOnly extends Tagged {
  get isReadOnly() {
    return /** @type {const} */ (true);
  }
}

/** An object of a class of the app. */
export class Instance extends ReadOnly {
  /** @param {{class: string, value: unknown, again?: boolean}} content */
  constructor(content) {
    super("py/instance", content);
    this.class = content.class;
    this.content = content.value;
    /** It stands inside itself, and is whole in another place. */
    this.again = content.again ?? false;
  }

  /** @override */
  get python() {
    return this.class;
  }
}

/** A number, a text or a time of numpy. */
export class Scalar extends ReadOnly {
  /** @param {{dtype: string, value: unknown}} content */
  constructor(content) {
    super("py/numpy", content);
    this.dtype = content.dtype;
    this.content = content.value;
  }

  /** @override */
  get python() {
    return `numpy.${this.dtype}`;
  }
}

/**
 * A column of a frame. A missing value is null.
 * @typedef {{name: unknown, dtype: string, values: unknown[]}} Column
 */

/** A pandas.DataFrame. */
export class Frame extends ReadOnly {
  /** @param {{rows: number, index: unknown, columns: Column[]}} content */
  constructor(content) {
    super("py/dataframe", content);
    this.rows = content.rows;
    this.index = content.index;
    this.columns = content.columns;
  }

  /**
   * The values of a column. Throws a RangeError if there is none of that name.
   * @param {string} name
   * @returns {unknown[]}
   */
  column(name) {
    const found = this.columns.find((column) => column.name === name);
    if (found === undefined) throw new RangeError(`the frame has no column ${JSON.stringify(name)}`);
    return found.values;
  }
}
