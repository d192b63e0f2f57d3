/** Random numbers from keys: the generator's published test vectors, and what is built on it. */
import { describe, expect, test } from "bun:test"
import { Effect, Random } from "effect"
import { Key } from "../src/index.ts"

describe("Threefry-2×32, 20 rounds: the known answers in Random123's kat_vectors", () => {
  const vectors = [
    [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ] as const
  for (const [hi, lo, c0, c1, x0, x1] of vectors)
    test(`key ${hi.toString(16)} ${lo.toString(16)}, counter ${c0.toString(16)} ${c1.toString(16)}`, () => {
      const out = new Uint32Array(2)
      Key.threefry({ hi, lo }, c0, c1, out)
      expect([...out]).toEqual([x0, x1])
    })
})

test("a seed has 53 bits, in a high and a low word", () => {
  expect(Key.make(0)).toEqual({ hi: 0, lo: 0 })
  expect(Key.make(2 ** 53 - 1)).toEqual({ hi: 0x1fffff, lo: 0xffffffff })
  expect(Key.make(2 ** 32 + 5)).toEqual({ hi: 1, lo: 5 })
})

describe("folding", () => {
  const key = Key.make(1)
  test("a number is encrypted as the counter", () => {
    const out = new Uint32Array(2)
    Key.threefry(key, 3, 7, out)
    expect(Key.fold(key, 3 * 2 ** 32 + 7)).toEqual({ hi: out[0]!, lo: out[1]! })
  })
  test("a path is a sequence of folds, and its order matters", () => {
    expect(Key.fold(key, "a", 2)).toEqual(Key.fold(Key.fold(key, "a"), 2))
    expect(Key.fold(key, "a", "b")).not.toEqual(Key.fold(key, "b", "a"))
    expect(Key.fold(key)).toEqual(key)
  })
  test("different paths give different keys", () => {
    const keys = new Set<string>()
    for (let i = 0; i < 1000; i++) {
      keys.add(JSON.stringify(Key.fold(key, i)))
      keys.add(JSON.stringify(Key.fold(key, String(i))))
      keys.add(JSON.stringify(Key.fold(Key.make(2), i)))
    }
    expect(keys.size).toBe(3000)
  })
})

describe("uniform", () => {
  test("the first numbers of key 0 are the top 24 bits of its first block", () => {
    expect([...Key.uniform(Key.make(0), new Float32Array(2))]).toEqual([0x6b2001 / 2 ** 24, 0x99ba4e / 2 ** 24])
  })
  test("a prefix does not depend on the length", () => {
    const long = Key.uniform(Key.make(5), new Float32Array(101))
    expect([...Key.uniform(Key.make(5), new Float32Array(7))]).toEqual([...long.subarray(0, 7)])
  })
  test("is in [0, 1), with the moments of the uniform distribution", () => {
    const values = Key.uniform(Key.make(3), new Float32Array(100_000))
    let sum = 0
    let squares = 0
    for (const value of values) {
      if (!(value >= 0 && value < 1)) throw new Error(`${value} is outside [0, 1)`)
      sum += value
      squares += (value - 0.5) ** 2
    }
    // Standard errors 0.0009 and 0.0002.
    expect(Math.abs(sum / values.length - 0.5)).toBeLessThan(0.004)
    expect(Math.abs(squares / values.length - 1 / 12)).toBeLessThan(0.001)
  })
})

test("normal has the moments of the normal distribution", () => {
  const values = Key.normal(Key.make(3), new Float32Array(100_001))
  const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length
  expect(values.every(Number.isFinite)).toBe(true)
  // Standard errors 0.003, 0.0045, 0.012 and 0.03.
  expect(Math.abs(moment(1))).toBeLessThan(0.013)
  expect(Math.abs(moment(2) - 1)).toBeLessThan(0.018)
  expect(Math.abs(moment(3))).toBeLessThan(0.05)
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.13)
})

describe("permutation", () => {
  test("is a permutation of 0 … n − 1, the same for the same key", () => {
    const order = Key.permutation(Key.make(1), 100)
    expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(Key.permutation(Key.make(1), 100)).toEqual(order)
    expect(Key.permutation(Key.make(2), 100)).not.toEqual(order)
    expect([...Key.permutation(Key.make(1), 0)]).toEqual([])
  })
  test("all permutations are equally likely", () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 6000; seed++) {
      const order = Key.permutation(Key.fold(Key.make(9), seed), 3).join()
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    // 1000 each, standard deviation 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120)
  })
})

test("as Effect's Random service, a key is deterministic, and another key differs", () => {
  const five = (seed: number) =>
    Effect.runSync(
      Effect.all(Array.from({ length: 5 }, () => Random.next)).pipe(
        Effect.provideService(Random.Random, Key.generator(Key.make(seed))),
      ),
    )
  expect(five(1)).toEqual(five(1))
  expect(new Set([...five(1), ...five(2)]).size).toBe(10)
  expect(five(1).every((value) => value >= 0 && value < 1)).toBe(true)
})
