// What a TypeScript program sees of the package: `tsc --strict` compiles it against the packed one.

import {
  Decimal,
  Entry,
  FOREVER,
  FlaskCache,
  FrozenSet,
  Instance,
  Moment,
  Naive,
  PythonTypeError,
  Tuple,
  Uuid,
  caching25,
  defaultOf,
  keyword,
  parse,
  replacer,
  reviver,
  self,
  want,
  type Value,
  type Writable,
} from "flaskcache";

/** Compiles only if both types are the same. */
function same<A, B>(_same: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

const cache = new FlaskCache({}, caching25, "shop_", { hash: "sha1", python: "3.12" });
const entry: Entry = cache.memo("shop.Cart.total", self("Cart(5)"), 1, defaultOf(null), keyword("deep", true));

const product = want.object({
  id: want.int,
  name: want.text,
  price: want.decimal,
  note: want.optional(want.text),
  big: want.bigint,
  raw: want.bytes,
  at: want.date,
  tags: want.list(want.text),
  pair: want.tuple(want.text, want.number),
  sizes: want.tupleOf(want.int),
  stock: want.dict(want.int),
  ids: want.map(want.int, want.set(want.text)),
  either: want.either(want.text, want.none),
  owner: want.instance("shop.User", want.object({ id: want.int })),
});
same<
  Awaited<ReturnType<typeof entry.get<ReturnType<typeof product>>>>,
  | {
      id: number;
      name: string;
      price: Decimal;
      note: string | null;
      big: bigint;
      raw: Buffer;
      at: Moment;
      tags: string[];
      pair: [string, number];
      sizes: number[];
      stock: Record<string, number>;
      ids: Map<number, Set<string>>;
      either: string | null;
      owner: { id: number };
    }
  | undefined
>(true);

interface Product {
  id: number;
  name?: string;
  price: Decimal;
  parts: readonly Product[];
}

class Basket {
  total(): number {
    return 1;
  }
}

/** An interface can be written, as a type can: what cannot be written in it is an error. */
export async function written(one: Product, maybe: Product | undefined, clock: { now: () => number }, thing: unknown): Promise<void> {
  await entry.set(one, 60);
  await entry.set({ all: [one], byId: new Map([[one.id, one]]) }, 60);
  await entry.set(Tuple.of(one, "x"), 60);
  const pair = Tuple.of(1, 2);
  same<typeof pair, Tuple<number>>(true);
  // @ts-expect-error -- it may be undefined
  await entry.set(maybe, 60);
  // @ts-expect-error -- a part of it is a function
  await entry.set(clock, 60);
  // @ts-expect-error -- an object of a class has methods
  await entry.set([new Basket()], 60);
  // @ts-expect-error -- a promise
  await entry.set(Promise.resolve(1), 60);
  // @ts-expect-error -- it can be anything
  await entry.set(thing, 60);
  // @ts-expect-error -- undefined has no type in Python
  await entry.set({ a: undefined }, 60);
  new FlaskCache({}, caching25, undefined, { hash: undefined, python: undefined, msgpack: undefined, plain: undefined });
}

export async function used(): Promise<string> {
  const read = await entry.get(product);
  if (read === undefined) return "";
  same<typeof read.pair, [string, number]>(true);
  const any = await entry.get();
  same<typeof any, Value | undefined>(true);

  const writable: Writable = [{ a: 1, at: new Date(), raw: new Uint8Array(1), tags: new Set(["a"]), price: new Decimal("1.10") }, read.id];
  await entry.set(writable, 60);
  await entry.set(JSON.parse("1", reviver), FOREVER);
  // @ts-expect-error -- a function has no type in Python
  await entry.set(() => 1, 60);
  // @ts-expect-error -- the ttl is missing
  await entry.set(1);
  // @ts-expect-error -- a path is text
  cache.view(1);
  // @ts-expect-error -- no such hash
  new FlaskCache({}, caching25, "", { hash: "crc32" });
  // @ts-expect-error -- a Uuid is no Decimal
  const _decimal: Decimal = new Uuid("12345678-1234-5678-1234-567812345678");

  try {
    return JSON.stringify(parse("1"), replacer);
  } catch (error) {
    return error instanceof PythonTypeError ? error.path + error.python + error.want : "";
  }
}

/** Each class stays apart from its neighbours. */
export function narrowed(value: Value): string {
  if (value instanceof Decimal) return value.text;
  if (value instanceof Uuid) return value.text;
  if (value instanceof Naive) return value.text;
  if (value instanceof Moment) return value.toISOString();
  if (value instanceof Tuple) return `${value.length}`;
  if (Array.isArray(value)) return `${value.length}`;
  if (value instanceof FrozenSet) return `${value.size}`;
  if (value instanceof Set) return `${value.size}`;
  if (value instanceof Instance) return value.class;
  return typeof value === "bigint" ? `${value + 1n}` : "";
}
