import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { type Events, extentOf, indexAedat3, parseAedat2, parseGestureLabels, readAedat3 } from "../src/index.ts"
import { type Aedat3Event, aedat2, aedat3Header, aedat3Packet } from "./support.ts"

const rows = (events: Events.Events) => Array.from(events.t, (t, i) => [events.x[i], events.y[i], t, events.p[i]])
const problem = <A>(result: Result.Result<A, { readonly message: string }>) =>
  Result.getOrThrow(Result.flip(result)).message

describe("AEDAT 2.0", () => {
  const event = { column: 0, row: 0, off: 0, time: 1000 }
  const headerBytes = aedat2([]).length

  test("rotates the image upright, decodes ON from bit 0, makes times relative to the first event", () => {
    const file = aedat2([
      { column: 1, row: 127, off: 1, time: 0x01000000 },
      { column: 100, row: 3, off: 0, time: 0x01000000 + 5, special: true },
      { column: 127, row: 30, off: 0, time: 0x01000000 + 9 },
    ])
    expect(rows(Result.getOrThrow(parseAedat2("f", file)))).toEqual([
      [0, 126, 0, 0],
      [97, 0, 9, 1],
    ])
  })

  test("sorts events by time", () => {
    const file = aedat2([
      { ...event, time: 30 },
      { ...event, row: 1, time: 10 },
    ])
    expect(rows(Result.getOrThrow(parseAedat2("f", file)))).toEqual([
      [126, 127, 0, 1],
      [127, 127, 20, 1],
    ])
  })

  test("an invalid or truncated file is refused with the offset of the error", () => {
    const file = aedat2([event, event])
    expect(problem(parseAedat2("f", file.subarray(0, -3)))).toBe(
      `f, byte ${headerBytes + 8}: event 1 is cut off after 5 of 8 bytes`,
    )
    expect(problem(parseAedat2("f", aedat2([])))).toBe(`f, byte ${headerBytes}: it holds no event`)
    expect(problem(parseAedat2("f", file.subarray(0, 20)))).toBe("f, byte 14: a line of the header has no end")
    expect(problem(parseAedat2("f", Uint8Array.of(0x50, 0x4b, 3, 4)))).toBe(
      'f, byte 0: it begins 50 4b 03 04 (a ZIP archive), where its format has "#!AER-DAT2.0"',
    )
  })
})

describe("AEDAT 3.1", () => {
  const at = (time: number, x = 1): Aedat3Event => ({ x, y: 2, on: 1, time })
  const file = (...packets: ReadonlyArray<ReadonlyArray<number>>) =>
    Uint8Array.from([...aedat3Header, ...packets.flat()])
  const sensor = { width: 128, height: 128 }
  const start = aedat3Header.length

  /** Reads a window of a file as the data set does: indexes the packets, then reads only their part. */
  const read = (bytes: Uint8Array, window: { start: number; end: number }) => {
    const extent = extentOf(Result.getOrThrow(indexAedat3("f", bytes)), window.start, window.end)
    return readAedat3("f", extent, bytes.slice(extent.from, extent.to), sensor, window)
  }

  test("reads only valid polarity events of a window, across packets", () => {
    const bytes = file(
      aedat3Packet([at(5), at(10)]),
      aedat3Packet([at(12)], 0, 0),
      aedat3Packet([{ x: 127, y: 126, on: 0, time: 15 }, { ...at(16), valid: 0 }, at(19, 3)]),
      aedat3Packet([]),
      aedat3Packet([at(20)]),
    )
    expect(rows(Result.getOrThrow(read(bytes, { start: 10, end: 20 })))).toEqual([
      [1, 2, 0, 1],
      [127, 126, 5, 0],
      [3, 2, 9, 1],
    ])
    expect(rows(Result.getOrThrow(read(bytes, { start: 20, end: 21 })))).toEqual([[1, 2, 0, 1]])
    expect(rows(Result.getOrThrow(read(bytes, { start: 100, end: 200 })))).toEqual([])
  })

  test("handles overflow of 31-bit times and sorts events by time", () => {
    const bytes = file(aedat3Packet([at(3, 9)], 1), aedat3Packet([at(2 ** 31 - 2, 8)]))
    expect(rows(Result.getOrThrow(read(bytes, { start: 2 ** 31 - 2, end: 2 ** 32 })))).toEqual([
      [8, 2, 0, 1],
      [9, 2, 5, 1],
    ])
  })

  test("an invalid or truncated file is refused with the offset of the error", () => {
    const good = file(aedat3Packet([at(1)]), aedat3Packet([at(2), at(3)]))
    const second = start + 36
    expect(problem(indexAedat3("f", good.subarray(0, -1)))).toBe(
      `f, byte ${second + 28}: packet 1 is cut off after 15 of 16 bytes of events`,
    )
    expect(problem(indexAedat3("f", good.subarray(0, second + 10)))).toBe(
      `f, byte ${second}: packet 1 is cut off after 10 of the 28 bytes of its header`,
    )
    expect(problem(indexAedat3("f", Uint8Array.from(aedat3Header.slice(0, -14))))).toContain("#!END-HEADER")
    expect(problem(indexAedat3("f", aedat2([])))).toBe(
      'f, byte 0: it begins "#!AER-DAT2.0", where its format has "#!AER-DAT3.1"',
    )
    const wide = good.slice()
    wide[start + 4] = 12
    expect(problem(indexAedat3("f", wide))).toContain(`f, byte ${start + 4}: packet 0 has polarity events of 12 bytes`)
    const roomy = good.slice()
    roomy[start + 16] = 9
    expect(problem(indexAedat3("f", roomy))).toBe(`f, byte ${start + 16}: packet 0 has 1 events in a room for 9`)
    expect(problem(read(file(aedat3Packet([at(1), at(2, 128)])), { start: 0, end: 9 }))).toBe(
      `f, byte ${start + 36}: an event is at (128, 2), outside the 128×128 sensor`,
    )
  })
})

test("gesture labels: classes from 0, windows in microseconds; errors name the line", () => {
  const head = "class,startTime_usec,endTime_usec\r\n"
  expect(
    Result.getOrThrow(parseGestureLabels("f", `${head}1,80048239,85092709\r\n11,89431170,95231007\r\n`, 11)),
  ).toEqual([
    { label: 0, start: 80048239, end: 85092709 },
    { label: 10, start: 89431170, end: 95231007 },
  ])
  expect(problem(parseGestureLabels("f", "", 11))).toStartWith("f, line 1: it begins")
  expect(problem(parseGestureLabels("f", head, 11))).toBe("f, line 2: it holds no gesture")
  expect(problem(parseGestureLabels("f", `${head}1,2,3\n12,4,5`, 11))).toBe("f, line 3: class 12 is not in 1 … 11")
  expect(problem(parseGestureLabels("f", `${head}1,2`, 11))).toBe('f, line 2: "1,2" is not a class, a start and an end')
  expect(problem(parseGestureLabels("f", `${head}1,5,5`, 11))).toContain("f, line 2: the gesture ends at 5 µs")
})
