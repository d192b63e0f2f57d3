import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import fc from "fast-check"
import { type Events, EventTransforms, Frames } from "../src/index.ts"

const width = 7
const height = 5

/** Recordings of up to 60 events on a 7 × 5 sensor, within 1,000 µs. */
const recordings: fc.Arbitrary<Events.Events> = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: width - 1 }),
      fc.integer({ min: 0, max: height - 1 }),
      fc.integer({ min: 0, max: 999 }),
      fc.integer({ min: 0, max: 1 }),
    ),
    { maxLength: 60 },
  )
  .map((rows) => {
    rows.sort((a, b) => a[2] - b[2])
    return {
      width,
      height,
      x: Uint16Array.from(rows, (row) => row[0]),
      y: Uint16Array.from(rows, (row) => row[1]),
      t: Float64Array.from(rows, (row) => row[2]),
      p: Uint8Array.from(rows, (row) => row[3]),
    }
  })

const keys = fc.nat().map(Key.make)

const of = (...rows: ReadonlyArray<readonly [x: number, y: number, t: number, p: number]>): Events.Events => ({
  width,
  height,
  x: Uint16Array.from(rows, (row) => row[0]),
  y: Uint16Array.from(rows, (row) => row[1]),
  t: Float64Array.from(rows, (row) => row[2]),
  p: Uint8Array.from(rows, (row) => row[3]),
})

const rowsOf = (events: Events.Events) => Array.from(events.t, (t, i) => [events.x[i], events.y[i], t, events.p[i]])
const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0)
const perFrame = (target: Frames.FrameTarget, timeSteps: number) =>
  Array.from({ length: timeSteps }, (_, step) =>
    sum(target.out.subarray(step * target.stride, (step + 1) * target.stride)),
  )

describe("frames", () => {
  test("by count: every event once, equal shares, the remainder in the last frame", () => {
    fc.assert(
      fc.property(recordings, fc.integer({ min: 1, max: 9 }), (events, timeSteps) => {
        const target = Frames.frameTarget(events, timeSteps)
        Frames.framesByCount(events, timeSteps, target)
        const share = Math.floor(events.t.length / timeSteps)
        const expected = new Array(timeSteps).fill(share)
        expected[timeSteps - 1] = events.t.length - share * (timeSteps - 1)
        expect(perFrame(target, timeSteps)).toEqual(expected)
      }),
    )
  })

  test("by duration: every event once, in the frame of its time", () => {
    fc.assert(
      fc.property(recordings, fc.integer({ min: 1, max: 9 }), (events, timeSteps) => {
        const whole = Frames.frameTarget(events, timeSteps)
        Frames.framesByDuration(events, timeSteps, whole)
        expect(sum(whole.out)).toBe(events.t.length)

        const target = Frames.frameTarget(events, timeSteps)
        Frames.framesByDuration(events, timeSteps, target, { start: 0, duration: 900 })
        const expected = new Array(timeSteps).fill(0)
        for (const t of events.t) if (t < 900) expected[Math.floor((t * timeSteps) / 900)]++
        expect(perFrame(target, timeSteps)).toEqual(expected)
      }),
    )
  })

  test("channel 0 counts OFF, channel 1 ON, and only the sample's own elements are written", () => {
    const events = of([2, 1, 0, 1], [2, 1, 10, 1], [6, 4, 20, 0], [0, 0, 30, 0])
    const frame = width * height * 2
    const target = { out: new Float32Array(2 * 3 * frame), offset: frame, stride: 3 * frame }
    Frames.framesByCount(events, 2, target)
    expect(target.out[frame + (1 * width + 2) * 2 + 1]).toBe(2)
    expect(target.out[frame + 3 * frame + (4 * width + 6) * 2]).toBe(1)
    expect(target.out[frame + 3 * frame]).toBe(1)
    expect(sum(target.out)).toBe(4)
  })

  test("a single event, or all events at the same time, do not cause a division by zero", () => {
    for (const events of [of([0, 0, 5, 1]), of([0, 0, 5, 1], [1, 1, 5, 0])]) {
      const target = Frames.frameTarget(events, 3)
      Frames.framesByDuration(events, 3, target)
      expect(perFrame(target, 3)).toEqual([0, 0, events.t.length])
    }
  })
})

const all = {
  dropEvent: EventTransforms.dropEvent(0.3),
  spatialJitter: EventTransforms.spatialJitter(4, 4),
  timeJitter: EventTransforms.timeJitter(100),
  randomFlipLR: EventTransforms.randomFlipLR(),
  randomFlipPolarity: EventTransforms.randomFlipPolarity(),
  randomTimeReversal: EventTransforms.randomTimeReversal(0.5, true),
  denoise: EventTransforms.denoise(200),
  centerCrop: EventTransforms.centerCrop(3, 3),
  randomCrop: EventTransforms.randomCrop(4, 2),
}

for (const [name, transform] of Object.entries(all)) {
  test(`${name} preserves order and sensor, depends only on the key, and does not modify its input`, () => {
    fc.assert(
      fc.property(recordings, keys, (events, key) => {
        const before = rowsOf(events)
        const changed = transform(events, key)
        for (let i = 0; i < changed.t.length; i++) {
          expect(changed.x[i]).toBeLessThan(changed.width)
          expect(changed.y[i]).toBeLessThan(changed.height)
          expect(changed.p[i]).toBeLessThan(2)
          if (i > 0) expect(changed.t[i]).toBeGreaterThanOrEqual(changed.t[i - 1] as number)
        }
        expect(rowsOf(transform(events, key))).toEqual(rowsOf(changed))
        expect(rowsOf(events)).toEqual(before)
      }),
      { numRuns: 50 },
    )
  })
}

describe("event transforms", () => {
  const key = Key.make(5)
  const many = of(...Array.from({ length: 400 }, (_, i) => [i % width, i % height, i, i % 2] as const))

  test("dropEvent drops ⌊p·n + ½⌋ events, different ones for another key", () => {
    const kept = EventTransforms.dropEvent(0.25)(many, key)
    expect(kept.t.length).toBe(300)
    expect(rowsOf(EventTransforms.dropEvent(0.25)(many, Key.make(6)))).not.toEqual(rowsOf(kept))
    expect(EventTransforms.dropEvent(1)(many, key).t.length).toBe(0)
  })

  test("spatialJitter with zero variance changes nothing; otherwise x and y spread", () => {
    expect(rowsOf(EventTransforms.spatialJitter(0, 0)(many, key))).toEqual(rowsOf(many))
    const middle = { ...many, width: 101, height: 101, x: many.x.map(() => 50), y: many.y.map(() => 50) }
    const { x } = EventTransforms.spatialJitter(9, 1)(middle, key)
    const mean = x.reduce((total, value) => total + value, 0) / x.length
    const variance = x.reduce((total, value) => total + (value - mean) ** 2, 0) / x.length
    expect(Math.abs(mean - 49.5)).toBeLessThan(0.6)
    expect(variance).toBeGreaterThan(6)
    expect(variance).toBeLessThan(12)
  })

  test("timeJitter moves times and drops those before 0", () => {
    const jittered = EventTransforms.timeJitter(50)(many, key)
    expect(jittered.t.length).toBeLessThan(400)
    expect(jittered.t[0]).toBeGreaterThanOrEqual(0)
  })

  test("flips with probability 1 always apply; with 0 they change nothing", () => {
    const events = of([0, 2, 1, 1], [5, 3, 9, 0])
    expect(rowsOf(EventTransforms.randomFlipLR(1)(events, key))).toEqual([
      [6, 2, 1, 1],
      [1, 3, 9, 0],
    ])
    expect(Array.from(EventTransforms.randomFlipPolarity(1)(events, key).p)).toEqual([0, 1])
    expect(rowsOf(EventTransforms.randomFlipLR(0)(events, key))).toEqual(rowsOf(events))
    expect(rowsOf(EventTransforms.randomFlipPolarity(0)(events, key))).toEqual(rowsOf(events))
  })

  test("randomTimeReversal reverses time from 0 and optionally swaps polarities", () => {
    const events = of([0, 2, 1, 1], [5, 3, 9, 0], [1, 1, 11, 0])
    const backwards = [
      [1, 1, 0, 1],
      [5, 3, 2, 1],
      [0, 2, 10, 0],
    ]
    expect(rowsOf(EventTransforms.randomTimeReversal(1, true)(events, key))).toEqual(backwards)
    expect(Array.from(EventTransforms.randomTimeReversal(1)(events, key).p)).toEqual([0, 0, 1])
    expect(rowsOf(EventTransforms.randomTimeReversal(0)(events, key))).toEqual(rowsOf(events))
  })

  test("denoise keeps an event only next to a recent one", () => {
    // The first has no earlier event; the second is its recent neighbour; the third is isolated; the fourth is too late.
    const events = of([2, 2, 0, 1], [3, 2, 50, 1], [6, 4, 60, 1], [2, 3, 500, 1])
    expect(rowsOf(EventTransforms.denoise(100)(events, key))).toEqual([[3, 2, 50, 1]])
  })

  test("centerCrop keeps the centre and shifts the origin", () => {
    const cropped = EventTransforms.centerCrop(3, 3)(of([2, 1, 0, 1], [4, 3, 1, 0], [5, 3, 2, 0]), key)
    expect([cropped.width, cropped.height]).toEqual([3, 3])
    expect(rowsOf(cropped)).toEqual([
      [0, 0, 0, 1],
      [2, 2, 1, 0],
    ])
  })
})
