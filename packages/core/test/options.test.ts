/** Records of options: the first fault is named with its path, its value and what is expected; text of any origin stays on one line. */
import { expect, test } from "bun:test"
import { Effect, Schema } from "effect"
import {
  BackendError,
  CheckpointError,
  GraphError,
  MismatchError,
  OptionError,
  PolicyError,
  ProgramError,
} from "../src/errors.ts"
import { check, Float32, faultIn, Positive, ShareBelowOne, whole } from "../src/options.ts"
import { nearest, quote } from "../src/text.ts"

const Record = Schema.Struct({
  rate: Positive,
  decay: Schema.optionalKey(ShareBelowOne),
  steps: Schema.optionalKey(whole(1, 100)),
  inner: Schema.optionalKey(Schema.Struct({ value: Float32 })),
})

test("a valid record is returned", async () => {
  const record = { rate: 0.1, decay: 0, steps: 100, inner: { value: -3 } }
  expect(await Effect.runPromise(check("the record", Record, record))).toBe(record)
})

test.each([
  [{ rate: 0 }, "rate", 0],
  [{ rate: 1e-60 }, "rate", 1e-60],
  [{ rate: Number.NaN }, "rate", Number.NaN],
  [{ rate: 1, decay: 1 }, "decay", 1],
  [{ rate: 1, decay: 1 - 1e-12 }, "decay", 1 - 1e-12],
  [{ rate: 1, steps: 0 }, "steps", 0],
  [{ rate: 1, steps: 2.5 }, "steps", 2.5],
  [{ rate: 1, inner: { value: 1e39 } }, "inner.value", 1e39],
  [{}, "rate", undefined],
])("%p is refused at %p", (record, option, value) => {
  const fault = faultIn(Record as Schema.Codec<unknown>, record)
  expect(fault).toMatchObject({ option, value })
  expect(fault?.expected).toBeString()
})

test("an unknown option is named", async () => {
  const error = await Effect.runPromise(Effect.flip(check("the record", Record, { rate: 1, steps_: 3 })))
  expect(error).toBeInstanceOf(OptionError)
  expect(error).toMatchObject({ owner: "the record", option: "steps_", expected: undefined })
})

test("an element that a list does not have is a fault of the list", () => {
  const Pair = Schema.Struct({ pair: Schema.Tuple([Float32, Float32]).annotate({ expected: "a pair" }) })
  const Either = Schema.Struct({ values: Schema.Union([Float32, Schema.Array(Float32), Record]) })
  for (const [schema, record, option] of [
    [Pair, { pair: [1, 2, 3] }, "pair"],
    [Either, { values: Float64Array.of(1, 2) }, "values"],
  ] as const)
    expect(faultIn(schema as Schema.Codec<unknown>, record)).toMatchObject({
      option,
      value: record[option as never],
      expected: expect.any(String),
    })
})

test("a value that is not a record is rejected as a whole", () => {
  expect(faultIn(Record as Schema.Codec<unknown>, 3)).toMatchObject({ option: "", value: 3 })
})

test("error messages are one line without control characters, whatever names and reasons they contain", () => {
  const hostile = "\u001b[31m\n\u009b\u202e\u2028\u{e0041}\ud800"
  const name = hostile.repeat(1000)
  const tensors = Array.from({ length: 1000 }, (_, i) => ({ name: `${i}${hostile}`, shape: [i] }))
  const mismatch = new MismatchError({
    file: hostile,
    missing: tensors,
    unexpected: tensors,
    misshapen: tensors.map((each) => ({ ...each, expected: [2] })),
    unsupported: tensors.map((each) => ({ name: each.name, dtype: name })),
  })
  for (const error of [
    mismatch,
    mismatch.in(name),
    new GraphError({ node: name, reason: name }),
    new PolicyError({ policy: name, reason: name }),
    new ProgramError({ reason: name }),
    new CheckpointError({ file: name, reason: name }),
    new BackendError({ backend: "native", reason: name }),
    new OptionError({ owner: name, option: name, value: name, expected: name }),
  ]) {
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    expect(error.message.length).toBeLessThanOrEqual(2000)
  }
  // All are there for programs; the message names the first.
  expect(mismatch.missing).toHaveLength(1000)
  expect(mismatch.message).toContain("and 992 more")
})

test("untrusted text is quoted, truncated and on one line", () => {
  const hostile = quote(`\u001b[31m\n\u009b\u202e${"x".repeat(100_000)}`)
  expect(hostile.length).toBeLessThan(100)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
  expect(hostile).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
  expect(quote("a\nb")).toBe('"a\\nb"')
  expect(quote({ a: 1 })).toBe('{"a":1}')
  expect(quote(Float32Array.of(1, 2))).toBe("Float32Array of 2")
  expect([new ArrayBuffer(2), new Map(), Promise.resolve()].map(quote)).toEqual(["ArrayBuffer", "Map", "Promise"])
})

test("a name is like another if fewer letters differ than it has", () => {
  expect(nearest("cifar-10", ["mnist", "cifar10"])).toBe("cifar10")
  expect(nearest("A", ["b", "a"])).toBe("a")
  expect(nearest("x", ["2", "out"])).toBeUndefined()
})
