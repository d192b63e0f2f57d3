import { describe, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { Result } from "effect"
import fc from "fast-check"
import { gunzip } from "../src/formats/bytes.ts"
import { parseCifar } from "../src/formats/cifar.ts"
import { parseIdx, parseIdxPair } from "../src/formats/idx.ts"
import { parseNmnist } from "../src/formats/nmnist.ts"
import { parseOptdigits } from "../src/formats/optdigits.ts"
import { cifarRecord, failure, idx, nmnistEvent, run } from "./support.ts"

const problem = (result: Result.Result<unknown, Error>): string => {
  if (Result.isSuccess(result)) throw new Error("parsed what it should refuse")
  expect(result.failure.message).not.toContain("\n")
  return result.failure.message
}

describe("IDX", () => {
  test("round-trips", () => {
    const bytes = fc.uint8Array({ minLength: 12, maxLength: 12 })
    fc.assert(
      fc.property(bytes, (data) => {
        const read = Result.getOrThrow(parseIdx("a", idx([2, 3, 2], data), 3))
        expect(read.shape).toEqual([2, 3, 2])
        expect(read.data).toEqual(data)
      }),
    )
  })

  test("reads a file inside a larger buffer", () => {
    const file = idx([2], [7, 8])
    const larger = new Uint8Array(file.length + 5)
    larger.set(file, 5)
    expect(Array.from(Result.getOrThrow(parseIdx("a", larger.subarray(5), 1)).data)).toEqual([7, 8])
  })

  test("errors name file and offset", () => {
    const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
    expect(problem(parseIdx("x.idx", png, 1))).toBe(
      "x.idx, byte 0: an IDX file begins 00 00 08 01, this one 89 50 4e 47 (a PNG image)",
    )
    expect(problem(parseIdx("x.idx", idx([3], [1, 2, 3]), 3))).toContain("begins 00 00 08 03, this one 00 00 08 01")
    expect(problem(parseIdx("x.idx", idx([3], [1, 2]), 1))).toBe(
      "x.idx, byte 10: the header promises 3 bytes from byte 8 on, up to 11, but the file ends here",
    )
    expect(problem(parseIdx("x.idx", idx([1], [1, 2]), 1))).toContain("byte 10")
    expect(problem(parseIdx("x.idx", Uint8Array.of(0, 0), 1))).toContain("x.idx, byte 2: the file ends inside")
  })

  test("checks images and labels against each other", () => {
    const images = { file: "i", bytes: idx([2, 1, 1], [5, 6]) }
    const labels = (...values: ReadonlyArray<number>) => ({ file: "l", bytes: idx([values.length], values) })
    const pair = Result.getOrThrow(parseIdxPair(images, labels(1, 9), 10))
    expect(pair.shape).toEqual([1, 1, 1])
    expect(Array.from(pair.labels)).toEqual([1, 9])
    expect(problem(parseIdxPair(images, labels(1), 10))).toBe("l, byte 4: it holds 1 labels for the 2 images of i")
    expect(problem(parseIdxPair(images, labels(1, 10), 10))).toBe("l, byte 9: label 10 of sample 1 is not in 0 … 9")
    expect(problem(parseIdxPair({ file: "i", bytes: idx([0, 1, 1], []) }, labels(), 10))).toContain("no images")
  })
})

describe("gzip", () => {
  const original = Uint8Array.from({ length: 5000 }, (_, i) => (i * i) % 251)
  const whole = () => Result.succeed(original.length)

  test("unpacks", async () => {
    expect(await run(gunzip("a.gz", gzipSync(original), 4, whole))).toEqual(original)
  })

  test("refuses truncated or modified data", async () => {
    const packed = gzipSync(original)
    const cut = await failure(gunzip("a.gz", packed.subarray(0, packed.length - 20), 4, whole))
    expect(cut._tag).toBe("MalformedFile")
    expect(cut.message).toContain("a.gz, byte ")
    expect(cut.message).toContain("truncated or corrupt")
    const changed = Uint8Array.from(packed)
    changed[changed.length - 6] = (changed[changed.length - 6] as number) ^ 1
    expect((await failure(gunzip("a.gz", changed, 4, whole))).message).toContain("truncated or corrupt")
  })
})

describe("CIFAR", () => {
  const layout = { labelBytes: 1, classes: 10 } as const

  test("converts planes to channels last", () => {
    const bytes = Uint8Array.from([
      ...cifarRecord([3], (channel, index) => channel * 80 + (index % 32)),
      ...cifarRecord([9], (channel) => channel),
    ])
    const read = Result.getOrThrow(parseCifar("c.bin", bytes, layout))
    expect(Array.from(read.labels)).toEqual([3, 9])
    expect(read.shape).toEqual([32, 32, 3])
    // Row 2, column 5 of the first image; the last pixel of the second.
    expect(Array.from(read.pixels.subarray((2 * 32 + 5) * 3, (2 * 32 + 5) * 3 + 3))).toEqual([5, 85, 165])
    expect(Array.from(read.pixels.subarray(-3))).toEqual([0, 1, 2])
  })

  test("reads CIFAR-100's fine label", () => {
    const bytes = Uint8Array.from(cifarRecord([19, 99], () => 0))
    expect(Array.from(Result.getOrThrow(parseCifar("c", bytes, { labelBytes: 2, classes: 100 })).labels)).toEqual([99])
  })

  test("refuses a truncated record, an invalid label and an empty file", () => {
    const record = cifarRecord([1], () => 0)
    const cut = Uint8Array.from([...record, ...record.slice(0, 100)])
    expect(problem(parseCifar("c.bin", cut, layout))).toBe(
      "c.bin, byte 3073: record 1 is cut off after 100 of 3073 bytes",
    )
    const wrong = Uint8Array.from([...record, ...cifarRecord([10], () => 0)])
    expect(problem(parseCifar("c.bin", wrong, layout))).toBe("c.bin, byte 3073: label 10 of record 1 is not in 0 … 9")
    expect(problem(parseCifar("c.bin", new Uint8Array(0), layout))).toContain("no records")
  })
})

describe("N-MNIST", () => {
  test("round-trips events", () => {
    const event = fc.record({
      x: fc.integer({ min: 0, max: 33 }),
      y: fc.integer({ min: 0, max: 33 }),
      p: fc.integer({ min: 0, max: 1 }),
      t: fc.integer({ min: 0, max: 2 ** 23 - 1 }),
    })
    fc.assert(
      fc.property(fc.array(event, { minLength: 1 }), (events) => {
        events.sort((a, b) => a.t - b.t)
        const bytes = Uint8Array.from(events.flatMap(({ x, y, p, t }) => nmnistEvent(x, y, p, t)))
        const read = Result.getOrThrow(parseNmnist("e.bin", bytes))
        expect(Array.from(read.x, (x, i) => ({ x, y: read.y[i], p: read.p[i], t: read.t[i] }))).toEqual(events)
      }),
    )
  })

  test("refuses invalid recordings", () => {
    const first = nmnistEvent(1, 2, 1, 100)
    const parse = (...bytes: ReadonlyArray<number>) => problem(parseNmnist("e.bin", Uint8Array.from(bytes)))
    expect(parse(...first, 1, 2)).toBe("e.bin, byte 5: event 1 is cut off after 2 of 5 bytes")
    expect(parse(...first, ...nmnistEvent(34, 0, 0, 200))).toContain("e.bin, byte 5: event 1 is at (34, 0)")
    expect(parse(...first, ...nmnistEvent(0, 0, 0, 99))).toContain("e.bin, byte 7: event 1 is at 99 µs")
    expect(parse()).toContain("e.bin, byte 0: it holds no event")
  })
})

describe("optdigits", () => {
  const line = (first: string, label: string) => [first, ...new Array(63).fill("16"), label].join(",")

  test("reads digits and skips comments", () => {
    const read = Result.getOrThrow(parseOptdigits("o.tra", `# a comment\r\n${line("0", "7")}\r\n\n${line("3", "0")}\n`))
    expect(Array.from(read.labels)).toEqual([7, 0])
    expect(Array.from(read.pixels.subarray(0, 2))).toEqual([0, 16])
    expect(read.pixels[64]).toBe(3)
  })

  test("accepts a byte order mark, all line endings, spaces and empty lines; numbers must be decimal integers", () => {
    const cells = new Array(64).fill(" 7 ").join(",")
    const read = Result.getOrThrow(parseOptdigits("o.tra", `\ufeff${cells},3\r\n\r\n${cells}, 4\n  \n`))
    expect(Array.from(read.labels)).toEqual([3, 4])
    for (const value of ["NaN", "", "1e0", "0x1", "-1", "1.5", "Infinity", "17", "+1", "1_0"])
      expect(problem(parseOptdigits("o.tra", `${line("1", "1")}\n${line(value, "1")}`))).toStartWith("o.tra, line 2: ")
  })

  test("errors name file and line", () => {
    const parse = (text: string) => problem(parseOptdigits("o.tra", text))
    expect(parse(`${line("1", "1")}\n${line("17", "1")}`)).toBe('o.tra, line 2: value 1 "17" is not in 0 … 16')
    expect(parse(line("1", "10"))).toBe('o.tra, line 1: label "10" is not in 0 … 9')
    expect(parse(line("1", ""))).toBe('o.tra, line 1: label "" is not in 0 … 9')
    expect(parse("1,2,3")).toStartWith("o.tra, line 1: 3 values instead of 65")
    expect(parse("# nothing")).toContain("no digits")
  })
})
