/** Frames of streamed packets compared with those of whole recordings. */
import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import { EventStream, type Events, Frames, shapeEvents } from "../src/index.ts"
import { duration } from "../src/sets/shapes.ts"

const side = 16
const recording = shapeEvents(0, "train", 4, side)

const part = (events: Events.Events, from: number, to: number): Events.Events => ({
  width: events.width,
  height: events.height,
  x: events.x.slice(from, to),
  y: events.y.slice(from, to),
  t: events.t.slice(from, to),
  p: events.p.slice(from, to),
})

/** Splits the recording into packets of random lengths, some of them empty. */
async function* packets(events: Events.Events, seed: number) {
  const random = Key.generator(Key.make(seed))
  for (let from = 0; from < events.t.length; ) {
    const to = from + Math.floor(random.nextDoubleUnsafe() * 60)
    yield part(events, from, to)
    from = to
  }
}

const of = (...rows: ReadonlyArray<readonly [x: number, y: number, t: number, p: number]>): Events.Events => ({
  width: 2,
  height: 1,
  x: Uint16Array.from(rows, (row) => row[0]),
  y: Uint16Array.from(rows, (row) => row[1]),
  t: Float64Array.from(rows, (row) => row[2]),
  p: Uint8Array.from(rows, (row) => row[3]),
})

const framed = async (framing: Partial<EventStream.StreamFraming>, ...packets: ReadonlyArray<Events.Events>) => {
  async function* stream() {
    yield* packets
  }
  const options = { width: 2, height: 1, every: { events: 2 }, ...framing }
  return (await Array.fromAsync(EventStream.framesOf(stream(), options))).map((frame) => [...frame])
}

test("by duration: frames equal those of the whole recording, for any packets", async () => {
  const timeSteps = 8
  const whole = Frames.frameTarget(recording, timeSteps)
  Frames.framesByDuration(recording, timeSteps, whole, { start: 0, duration })
  for (const seed of [1, 2, 3]) {
    const framing = { width: side, height: side, every: { duration: duration / timeSteps, start: 0 } }
    const frames = await Array.fromAsync(EventStream.framesOf(packets(recording, seed), framing))
    expect(frames.length).toBe(timeSteps)
    expect(frames.flatMap((frame) => [...frame])).toEqual([...whole.out])
  }
})

describe("manual cases on a sensor of two pixels", () => {
  const first = of([0, 0, 5, 1], [1, 0, 6, 0], [1, 0, 7, 0])
  test("by count: OFF and ON separate or together; remaining events form a last frame", async () => {
    expect(await framed({}, first)).toEqual([
      [0, 1, 1, 0],
      [0, 0, 1, 0],
    ])
    expect(await framed({ channels: 1 }, first, of([0, 0, 9, 0]))).toEqual([
      [1, 1],
      [1, 1],
    ])
  })
  test("by duration: starts at the first event, and gaps yield empty frames", async () => {
    const later = of([0, 0, 11, 1])
    expect(await framed({ channels: 1, every: { duration: 2 } }, first, later)).toEqual([
      [1, 1],
      [0, 1],
      [0, 0],
      [1, 0],
    ])
    expect(await framed({ every: { duration: 2 } })).toEqual([])
  })
  test("consecutive empty frames are limited, so that a wrong time does not yield endless frames", async () => {
    const every = { duration: 2 }
    const gap = of([0, 0, 5, 1], [1, 0, 13, 1])
    expect(await framed({ channels: 1, every, maximumEmptyFrames: 3 }, gap)).toEqual([
      [1, 0],
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 1],
    ])
    await expect(framed({ every, maximumEmptyFrames: 2 }, gap)).rejects.toThrow(
      "event 1 (x 1, y 0, t 13, polarity 1) comes after 3 empty frames, more than maximumEmptyFrames: 2",
    )
    // Frames before the first event are also empty.
    await expect(framed({ every: { ...every, start: 0 }, maximumEmptyFrames: 1 }, gap)).rejects.toThrow(
      "event 0 (x 0, y 0, t 5, polarity 1) comes after 2 empty frames",
    )
    for (const t of [2 ** 53, Number.POSITIVE_INFINITY])
      await expect(framed({ every }, of([0, 0, 5, 1], [0, 0, t, 1]))).rejects.toBeInstanceOf(
        EventStream.EventStreamError,
      )
    const endless = { every, maximumEmptyFrames: Number.POSITIVE_INFINITY }
    expect(await framed(endless, of([0, 0, 0, 1], [0, 0, 40_000, 1]))).toHaveLength(20_001)
    await expect(framed(endless, of([0, 0, 0, 1], [0, 0, Number.POSITIVE_INFINITY, 1]))).rejects.toThrow("t Infinity")
  })
  test("a frame is yielded before the stream ends", async () => {
    async function* stream() {
      yield first
      throw new Error("the camera is gone")
    }
    const frames = EventStream.framesOf(stream(), { width: 2, height: 1, every: { duration: 2 } })
    expect((await frames.next()).value).toEqual(Float32Array.of(0, 1, 1, 0))
    await expect(frames.next()).rejects.toThrow("the camera is gone")
    const counted = EventStream.framesOf(stream(), { width: 2, height: 1, every: { events: 3 } })
    expect((await counted.next()).value).toEqual(Float32Array.of(0, 1, 2, 0))
    await expect(counted.next()).rejects.toThrow("the camera is gone")
  })
})

describe("invalid events are refused with a line that names them", () => {
  test.each([
    [of([2, 0, 1, 1]), "event 0 (x 2, y 0, t 1, polarity 1) lies outside a sensor of 2×1"],
    [of([0, 0, 1, 2]), "event 0 (x 0, y 0, t 1, polarity 2) lies outside a sensor of 2×1"],
    [of([0, 0, 9, 1], [0, 0, 1, 1]), "event 1 (x 0, y 0, t 1, polarity 1) comes after the end of its frame"],
    [of([0, 0, Number.NaN, 1]), "event 0 (x 0, y 0, t NaN, polarity 1) comes after the end of its frame"],
    [{ ...of([0, 0, 1, 1]), width: 3 }, "events of 3×1 pixels for frames of 2×1"],
  ])("%#", async (packet, message) => {
    await expect(framed({ every: { duration: 4 } }, packet)).rejects.toThrow(message)
  })
  test("a frame of zero duration", async () => {
    await expect(framed({ every: { duration: 0 } }, of([0, 0, 1, 1]))).rejects.toThrow(
      "a frame of 0 µs: it must be above 0",
    )
  })
})
