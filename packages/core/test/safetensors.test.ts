/** The safetensors format, byte for byte, and files that are none. */
import { describe, expect, test } from "bun:test"
import { Effect, Exit } from "effect"
import { CheckpointError, fit, Safetensors } from "../src/index.ts"

const file = {
  tensors: new Map([
    ["a", { shape: [2, 1], values: Float32Array.of(1, -2) }],
    ["scalar", { shape: [], values: Float32Array.of(0.5) }],
    ["none", { shape: [0, 3], values: new Float32Array(0) }],
    ["ü.β", { shape: [2], values: Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY) }],
  ]),
  metadata: { epoch: "3", name: "größe" },
}

/** Tensors with the bits of their numbers: NaN has many. */
const bitsOf = ({ tensors }: Safetensors.TensorFile) =>
  [...tensors].map(([name, { shape, values }]) => [name, shape, [...new Uint32Array(values.slice().buffer)]])

/** A file with this header and so many bytes of data. */
const bytesOf = (header: unknown, data: number, headerLength?: bigint): Uint8Array => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + data)
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const entry = (shape: ReadonlyArray<number>, from: number, to: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [from, to],
})

const refusal = (bytes: Uint8Array): string => {
  const error = Effect.runSync(Effect.flip(Safetensors.decode(bytes, "file")))
  expect(error).toBeInstanceOf(CheckpointError)
  return error.message
}

describe("a written file", () => {
  test("is read back bit-identically", () => {
    const read = Effect.runSync(Safetensors.decode(Safetensors.encode(file), "file"))
    expect(read.metadata).toEqual(file.metadata)
    expect(bitsOf(read)).toEqual(bitsOf(file))
  })
  test("is read from the middle of a larger buffer", () => {
    const encoded = Safetensors.encode(file)
    const larger = new Uint8Array(encoded.length + 7)
    larger.set(encoded, 3)
    const read = Effect.runSync(Safetensors.decode(larger.subarray(3, 3 + encoded.length), "file"))
    expect(bitsOf(read)).toEqual(bitsOf(file))
  })
  test("consists of the header's length, the header padded to 8 bytes with spaces, and the data", () => {
    const tensors = new Map([["a", { shape: [2], values: Float32Array.of(1, -2) }]])
    const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  '
    expect(header.length % 8).toBe(0)
    expect([...Safetensors.encode({ tensors, metadata: {} })]).toEqual([
      ...[header.length, 0, 0, 0, 0, 0, 0, 0],
      ...new TextEncoder().encode(header),
      ...[0, 0, 128, 63, 0, 0, 0, 192],
    ])
  })
  test("can be empty", () => {
    const empty = { tensors: new Map(), metadata: {} }
    expect(Effect.runSync(Safetensors.decode(Safetensors.encode(empty), "file"))).toEqual(empty)
  })
  test("contains the part of a larger array that a view covers", () => {
    const values = Float32Array.of(9, 1, 2, 9).subarray(1, 3)
    const bytes = Safetensors.encode({ tensors: new Map([["a", { shape: [2], values }]]), metadata: {} })
    const { tensors } = Effect.runSync(Safetensors.decode(bytes, "file"))
    expect([...tensors.get("a")!.values]).toEqual([1, 2])
  })
})

describe("other number types are converted to float32", () => {
  const read = (dtype: string, bytesPerNumber: number, count: number, set: (data: DataView) => void) => {
    const bytes = bytesOf({ w: entry([count], 0, count * bytesPerNumber, dtype) }, count * bytesPerNumber)
    set(new DataView(bytes.buffer, bytes.length - count * bytesPerNumber))
    return [...Effect.runSync(Safetensors.decode(bytes, "file")).tensors.get("w")!.values]
  }
  const words =
    (...values: ReadonlyArray<number>) =>
    (data: DataView) =>
      values.forEach((value, i) => {
        data.setUint16(2 * i, value, true)
      })
  test("float64, int64 and int32", () => {
    const doubles = (data: DataView) =>
      [0.1, -3].forEach((value, i) => {
        data.setFloat64(8 * i, value, true)
      })
    expect(read("F64", 8, 2, doubles)).toEqual([Math.fround(0.1), -3])
    expect(read("I64", 8, 1, (data) => data.setBigInt64(0, -7n, true))).toEqual([-7])
    const tensors = new Map([["w", { shape: [2], values: Int32Array.of(3, -4) }]])
    const written = Safetensors.encode({ tensors, metadata: {} })
    expect([...Effect.runSync(Safetensors.decode(written, "file")).tensors.get("w")!.values]).toEqual([3, -4])
  })
  test("float16: 1, −2, the largest, the smallest normal and subnormal, −0, infinities, NaN", () => {
    const halves = words(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00)
    expect(read("F16", 2, 9, halves)).toEqual([
      ...[1, -2, 65504, 2 ** -14, 2 ** -24, -0],
      ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
    ])
  })
  test("bfloat16: 1, −2, 3.140625, infinity", () => {
    expect(read("BF16", 2, 4, words(0x3f80, 0xc000, 0x4049, 0x7f80))).toEqual([
      1,
      -2,
      3.140625,
      Number.POSITIVE_INFINITY,
    ])
  })
})

describe("a truncated file", () => {
  const encoded = Safetensors.encode(file)
  test("at any byte", () => {
    for (let length = 0; length < encoded.length; length++)
      expect(refusal(encoded.subarray(0, length))).toMatch(/^file: truncated/)
  })
  test("in its first bytes", () => {
    expect(refusal(encoded.subarray(0, 5))).toBe(
      "file: truncated at byte 5: a safetensors file begins with 8 bytes of header length",
    )
  })
  test("in a tensor, which is named", () => {
    const bytes = bytesOf({ a: entry([1], 0, 4), b: entry([2], 4, 12) }, 8)
    expect(refusal(bytes)).toBe(`file: truncated at byte ${bytes.length}: tensor b ends at byte ${bytes.length + 4}`)
  })
})

describe("an invalid file", () => {
  test("a header longer than the file", () => {
    expect(refusal(bytesOf({}, 0, 1000n))).toBe(
      "file: truncated, or not a safetensors file: the header ends at byte 1008, the file at byte 10",
    )
    expect(refusal(bytesOf({}, 0, 2n ** 64n - 1n))).toContain("truncated, or not a safetensors file")
  })
  test("a PyTorch checkpoint, which is a ZIP archive or a pickle", () => {
    for (const first of [
      [0x50, 0x4b, 3, 4],
      [0x80, 2, 0x8a, 10],
    ])
      expect(refusal(Uint8Array.from([...first, ...new Array(60).fill(7)]))).toContain("torch.save")
    // A header of 128 bytes begins as a pickle does.
    const header = `{"__metadata__":{"note":"${"x".repeat(100)}"}}`.padEnd(128)
    expect(header.length).toBe(128)
    expect(Effect.runSync(Safetensors.decode(bytesOf(header, 0), "file")).tensors.size).toBe(0)
  })
  test("a header that is not JSON, not an object, or not UTF-8", () => {
    expect(refusal(bytesOf("{nonsense}", 0))).toBe("file: not a safetensors file: the header at byte 8 is not JSON")
    for (const header of ["[]", "null", "3", '"text"'])
      expect(refusal(bytesOf(header, 0))).toBe(
        "file: not a safetensors file: the header at byte 8 is not a JSON object",
      )
    const bytes = bytesOf('{"a":1}', 0)
    bytes[10] = 0xff
    expect(refusal(bytes)).toBe("file: not a safetensors file: the header at byte 8 is not JSON")
  })
  test("metadata that map a string to a number", () => {
    expect(refusal(bytesOf({ __metadata__: { epoch: 3 } }, 0))).toBe(
      "file: the header's __metadata__ does not map texts to texts",
    )
  })
})

describe("a tensor of an unsupported type", () => {
  const bytes = bytesOf({ w: entry([2], 0, 2, "U8"), b: entry([1], 2, 6), mask: entry([3], 6, 7, "F4\n\u001b[31m") }, 7)
  const { tensors } = Effect.runSync(Safetensors.decode(bytes, "file"))
  test("does not prevent reading others", () => {
    expect(tensors.get("b")).toEqual({ shape: [1], values: Float32Array.of(0) })
    expect(tensors.get("w")).toEqual({ shape: [2], values: new Float32Array(), unsupported: "U8" })
    Effect.runSync(fit(new Map([["b", [1]]]), tensors))
  })
  test("is rejected if it is needed, in one line", () => {
    const error = Effect.runSync(
      Effect.flip(
        fit(
          new Map([
            ["b", [1]],
            ["w", [2]],
            ["mask", [3]],
          ]),
          tensors,
        ),
      ),
    )
    expect(error).toMatchObject({
      missing: [],
      unexpected: [],
      misshapen: [],
      unsupported: [
        { name: "w", dtype: "U8" },
        { name: "mask", dtype: "F4\n\u001b[31m" },
      ],
    })
    expect(error.message).not.toMatch(/\p{Cc}/u)
  })
  test("with offsets outside the file is rejected too", () => {
    expect(refusal(bytesOf({ w: entry([2], 0, 9, "U8") }, 2))).toContain("truncated")
    expect(refusal(bytesOf({ w: entry([2], 2, 0, "U8") }, 2))).toContain("span -2 bytes")
  })
})

describe("tensors given by programs", () => {
  const shape = [2]
  const fitted = (values: unknown) =>
    Effect.runSyncExit(fit(new Map([["w", shape]]), new Map([["w", { shape, values: values as Float32Array }]])))
  test.each([
    ["float64", Float64Array.of(1.5, -2)],
    ["plain", [1.5, -2]],
    ["proxied", new Proxy([1.5, -2], {})],
  ])("of numbers of any kind are made float32: %s", (_, values) => {
    expect(fitted(values)).toEqual(Exit.succeed(new Map([["w", { shape, values: Float32Array.of(1.5, -2) }]])))
  })
  test.each([[Float64Array.of(1, 1e39)], [[1, Number.NaN]], [[1, -1e300]]])(
    "beyond float32 are rejected: %p",
    (values) => {
      expect(fitted(values)).toEqual(
        Exit.fail(expect.objectContaining({ _tag: "NonFiniteTensorError", tensor: "w", index: 1 })),
      )
    },
  )
  test.each([
    ["nothing", undefined],
    ["texts", ["1", "2"]],
    ["int64", BigInt64Array.of(1n, 2n)],
    ["a view", new DataView(new ArrayBuffer(8))],
    ["a proxy", new Proxy(new Float32Array(2), {})],
  ])("that are no numbers are refused: %s", (_, values) => {
    expect(fitted(values)).toEqual(
      Exit.fail(
        expect.objectContaining({ _tag: "MismatchError", unsupported: [{ name: "w", dtype: expect.any(String) }] }),
      ),
    )
  })
  test.each([[undefined], [null], [{}], [[["w", undefined]]]])("that are not a map lack all tensors: %p", (tensors) => {
    expect(Effect.runSyncExit(fit(new Map([["w", shape]]), tensors as never))).toEqual(
      Exit.fail(expect.objectContaining({ _tag: "MismatchError", missing: [{ name: "w", shape }] })),
    )
  })
  test("that are not tensors are rejected", () => {
    for (const tensor of [undefined, null, 5, { values: Float32Array.of(1) }, { shape: 5, values: Float32Array.of(1) }])
      expect(Effect.runSyncExit(fit(new Map([["w", shape]]), new Map([["w", tensor]]) as never))).toEqual(
        Exit.fail(expect.objectContaining({ _tag: "MismatchError" })),
      )
  })
})

test("tensors with any names are written and read", () => {
  const names = ["__proto__", "constructor", "toString", "a\nb", ""]
  const tensors = new Map(names.map((name, i) => [name, { shape: [1], values: Float32Array.of(i) }]))
  const read = Effect.runSync(Safetensors.decode(Safetensors.encode({ tensors, metadata: {} }), "file"))
  expect(read.tensors).toEqual(tensors)
})

describe("an invalid tensor is named", () => {
  test("with a type that does not match its size", () => {
    expect(refusal(bytesOf({ w: entry([2], 0, 8, "F16") }, 8))).toBe("file: tensor w is 2 but its offsets span 8 bytes")
  })
  test("with an entry that lacks a field or has an invalid one", () => {
    for (const wrong of [
      3,
      null,
      {},
      { dtype: "F32", shape: [1] },
      entry([-1], 0, 4),
      entry([0.5], 0, 4),
      { ...entry([1], 0, 4), data_offsets: [0, 4, 8] },
      { ...entry([1], 0, 4), data_offsets: ["0", "4"] },
      { ...entry([1], 0, 4), dtype: 32 },
    ])
      expect(refusal(bytesOf({ w: wrong }, 4))).toBe("file: the header's entry for tensor w is malformed")
  })
  test("with offsets that do not match its shape", () => {
    expect(refusal(bytesOf({ w: entry([2, 3], 0, 20) }, 20))).toBe(
      "file: tensor w is 2×3 but its offsets span 20 bytes",
    )
    expect(refusal(bytesOf({ w: entry([1], 4, 0) }, 4))).toBe("file: tensor w is 1 but its offsets span -4 bytes")
    expect(refusal(bytesOf({ w: entry([1], -4, 0) }, 4))).toContain("tensor w is 1 but")
  })
  test("that overlaps another", () => {
    const bytes = bytesOf({ a: entry([2], 0, 8), b: entry([2], 4, 12) }, 12)
    const start = bytes.length - 12
    expect(refusal(bytes)).toBe(
      `file: tensor b begins at byte ${start + 4}, where the one before it ends at ${start + 8}`,
    )
  })
  test("after a gap, or before unused bytes", () => {
    const gap = bytesOf({ b: entry([1], 8, 12), a: entry([1], 0, 4) }, 12)
    expect(refusal(gap)).toContain("tensor b begins at byte")
    const rest = bytesOf({ a: entry([1], 0, 4) }, 5)
    expect(refusal(rest)).toBe(`file: the last tensor ends at byte ${rest.length - 1}, the file at byte ${rest.length}`)
  })
})
