/**
 * Random numbers from explicit keys.
 *
 * A key and a counter determine the same bits on every machine and in every backend. There is no hidden generator, and random
 * access is constant-time: the millionth number costs as much as the first. The generator is Threefry-2×32 with 20 rounds (Salmon
 * et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), which uses only additions, rotations and exclusive-ors of 32-bit
 * words.
 *
 * It is not a cryptographic generator.
 */

import type { Random } from "effect"
import { aCount, aKey, aNumber, argument, type Kind, someFloats, someWords } from "./arguments.ts"
import { OptionError } from "./errors.ts"

/** A 64-bit random key, as two unsigned 32-bit words. */
export interface Key {
  /** The upper 32 bits. */
  readonly hi: number
  /** The lower 32 bits. */
  readonly lo: number
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const
const parity = 0x1bd11bda

/** Encrypts one block, without checking its arguments. */
const encrypt = (key: Key, c0: number, c1: number, out: Uint32Array): void => {
  const k0 = key.hi | 0
  const k1 = key.lo | 0
  const k2 = k0 ^ k1 ^ parity
  let x0 = (c0 + k0) | 0
  let x1 = (c1 + k1) | 0
  for (let group = 0; group < 5; group++) {
    const first = (group & 1) * 4
    for (let round = first; round < first + 4; round++) {
      const turn = rotations[round] as number
      x0 = (x0 + x1) | 0
      x1 = (x1 << turn) | (x1 >>> (32 - turn))
      x1 ^= x0
    }
    const injection = group % 3
    x0 = (x0 + (injection === 0 ? k1 : injection === 1 ? k2 : k0)) | 0
    x1 = (x1 + (injection === 0 ? k2 : injection === 1 ? k0 : k1) + group + 1) | 0
  }
  out[0] = x0
  out[1] = x1
}

/**
 * Encrypts the counter `(c0, c1)` under `key` into `out[0]` and `out[1]`: one Threefry-2×32 block.
 *
 * @throws OptionError for arguments of another type
 */
export const threefry = (key: Key, c0: number, c1: number, out: Uint32Array): void =>
  encrypt(
    argument(key, aKey, "Key"),
    argument(c0, aNumber, "Key"),
    argument(c1, aNumber, "Key"),
    argument(out, someWords, "Key"),
  )

/** The 32-bit FNV-1a hash of a string, over UTF-16 code units. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/**
 * The key of a seed, a whole number from 0 to 2⁵³ − 1.
 *
 * @throws OptionError for any other value
 */
export const make = (seed: number): Key => {
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    throw new OptionError({
      owner: "the random key",
      option: "seed",
      value: seed,
      expected: "a whole number from 0 to 2^53 − 1",
    })
  return { hi: Math.floor(seed / 2 ** 32) >>> 0, lo: seed >>> 0 }
}

const aName: Kind = ["names and finite numbers", (value) => typeof value === "string"]

/**
 * Derives a key for a path of names and finite numbers below `key`. Different paths give independent keys.
 *
 * @throws OptionError for other path elements
 *
 * @example
 * const dropout = Key.fold(Key.make(1), "dropout", epoch, batch)
 */
export const fold = (key: Key, ...path: ReadonlyArray<string | number>): Key => {
  const block = new Uint32Array(2)
  return path.reduce<Key>(
    (parent, part) => {
      if (typeof part === "number" && Number.isFinite(part)) encrypt(parent, Math.floor(part / 2 ** 32), part, block)
      else
        encrypt(
          parent,
          hash(argument(part as string, aName, "Key.fold", "path")),
          0x73747200 + ((part as string).length & 0xff),
          block,
        )
      return { hi: block[0] as number, lo: block[1] as number }
    },
    argument(key, aKey, "Key.fold"),
  )
}

/** Fills `out` with uniform numbers in [0, 1), multiples of 2⁻²⁴, which are exact in float32. Returns `out`. */
export const uniform = (key: Key, out: Float32Array): Float32Array => {
  argument(key, aKey, "Key")
  argument(out, someFloats, "Key")
  const block = new Uint32Array(2)
  for (let i = 0; i < out.length; i++) {
    if ((i & 1) === 0) encrypt(key, 0, i >>> 1, block)
    out[i] = ((block[i & 1] as number) >>> 8) / 2 ** 24
  }
  return out
}

/** Fills `out` with numbers from the standard normal distribution (Box–Muller). Returns `out`. */
export const normal = (key: Key, out: Float32Array): Float32Array => {
  argument(key, aKey, "Key")
  argument(out, someFloats, "Key")
  const block = new Uint32Array(2)
  for (let i = 0; i < out.length; i += 2) {
    encrypt(key, 1, i >>> 1, block)
    const radius = Math.sqrt(-2 * Math.log(((block[0] as number) + 1) / 2 ** 32))
    const angle = (2 * Math.PI * (block[1] as number)) / 2 ** 32
    out[i] = radius * Math.cos(angle)
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle)
  }
  return out
}

/** A sequential generator over the numbers of one key, as Effect's `Random` service. */
export const generator = (key: Key): Random.Random => {
  argument(key, aKey, "Key")
  const block = new Uint32Array(2)
  let counter = 0
  const draw = () => {
    encrypt(key, Math.floor(counter / 2 ** 32), counter, block)
    counter++
    return (((block[0] as number) & 0x1fffff) * 2 ** 32 + (block[1] as number)) / 2 ** 53
  }
  return {
    nextDoubleUnsafe: draw,
    nextIntUnsafe: () => Math.floor(draw() * (2 * Number.MAX_SAFE_INTEGER + 1)) - Number.MAX_SAFE_INTEGER,
  }
}

/** A random permutation of 0 … length − 1 (Fisher–Yates). */
export const permutation = (key: Key, length: number): Uint32Array => {
  argument(key, aKey, "Key")
  const order = Uint32Array.from({ length: argument(length, aCount, "Key") }, (_, i) => i)
  const random = generator(key)
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random.nextDoubleUnsafe() * (i + 1))
    const kept = order[i] as number
    order[i] = order[j] as number
    order[j] = kept
  }
  return order
}
