import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import { Camera, EventTransforms, makeShapes, shapeEvents } from "../src/index.ts"

const settings: Camera.CameraOptions = {
  width: 2,
  height: 1,
  duration: 1000,
  steps: 10,
  lead: 0,
  threshold: 0.25,
  refractory: 0,
  noiseRate: 0,
}

/** Pixel 0 follows `signal` (time 0 at the beginning of the recording, 1 at its end), pixel 1 is constant. */
const scene = (signal: (time: number) => number): Camera.Scene => ({
  render: (step, out) => {
    out[0] = signal(step / settings.steps)
    out[1] = 3
  },
})

const rows = (signal: (time: number) => number, changes: Partial<Camera.CameraOptions> = {}) => {
  const events = Camera.record(scene(signal), { ...settings, ...changes }, Key.make(1))
  return Array.from(events.t, (t, i) => ({ x: events.x[i], t, p: events.p[i] }))
}

describe("the simulated camera", () => {
  test("emits one event per threshold of a steady change, evenly spaced in time", () => {
    // The ramp extends beyond the recording on both sides: 2 ⁄ 0.25 = 8 events, 125 µs apart.
    for (const [slope, polarity] of [
      [2, 1],
      [-2, 0],
    ] as const) {
      const events = rows((time) => slope * time, { lead: 4 })
      expect(events.map(({ x, p }) => [x, p])).toEqual(new Array(8).fill([0, polarity]))
      events.slice(1).forEach(({ t }, i) => {
        expect(Math.abs(t - (events[i]?.t ?? 0) - 125)).toBeLessThanOrEqual(1)
      })
    }
  })

  test("after a reversal of brightness, a pixel first has to return from its last crossing", () => {
    // Viewed backwards, the ramp falls to 0 and leaves the reference less than one threshold above it.
    const [first, ...others] = rows((time) => 2 * time)
    expect(first?.t).toBeGreaterThan(125)
    expect(first?.t).toBeLessThan(250)
    expect(others.length).toBe(6)
  })

  test("emits nothing without a change, or for a small one", () => {
    expect(rows(() => 1)).toEqual([])
    // For any initial reference, a wave below two thresholds cannot cross repeatedly in both directions.
    expect(rows((time) => 0.1 * Math.round(Math.sin(time * 20))).length).toBeLessThanOrEqual(1)
  })

  test("an equal increase and decrease of brightness emit equally many events", () => {
    const events = rows((time) => (time < 0.5 ? 4 * time : 4 - 4 * time))
    const on = events.filter(({ p }) => p === 1).length
    expect(on).toBeGreaterThanOrEqual(7)
    expect(events.length - on).toBe(on)
  })

  test("a pixel is silent for its refractory time", () => {
    const events = rows((time) => 10 * time, { refractory: 200 })
    expect(events.length).toBeGreaterThanOrEqual(4)
    expect(events.length).toBeLessThanOrEqual(5)
    events.slice(1).forEach(({ t }, i) => {
      expect(t - (events[i]?.t ?? 0)).toBeGreaterThanOrEqual(200)
    })
  })

  test("noise has the given rate, both polarities, and covers all pixels", () => {
    const noisy = { ...settings, width: 20, height: 20, duration: 1_000_000, noiseRate: 5 }
    const still = { render: (_step: number, out: Float64Array) => void out.fill(0) }
    const events = Camera.record(still, noisy, Key.make(2))
    // A Poisson distribution with mean 2,000 has a standard deviation of 45.
    expect(Math.abs(events.t.length - 2000)).toBeLessThan(225)
    const on = events.p.reduce((total, p) => total + p, 0)
    expect(Math.abs(on - events.t.length / 2)).toBeLessThan(115)
    expect(new Set(events.x).size).toBe(20)
    expect(new Set(events.y).size).toBe(20)
    expect(events.t).toEqual(events.t.toSorted())
  })
})

describe("shapes", () => {
  const write = (dataset: ReturnType<typeof makeShapes>, split: "train" | "test", index: number, timeSteps: number) => {
    const out = new Float32Array(timeSteps * dataset.shape.reduce((a, b) => a * b, 1))
    Effect.runSync(dataset[split].write([index], undefined, out))
    return out
  }

  test("the same seed gives the same data on every machine", () => {
    const digest = (seed: number) => {
      const { t, x, y, p } = shapeEvents(seed, "train", 3, 16)
      let hash = 0
      for (let i = 0; i < t.length; i++) {
        for (const value of [t[i], x[i], y[i], p[i]]) hash = (Math.imul(hash, 31) + (value as number)) >>> 0
      }
      return [t.length, hash]
    }
    // Values of the first implementation, identical in JavaScriptCore (Bun) and V8 (Node).
    expect(digest(0)).toEqual([462, 2655816677])
    expect(digest(1)).not.toEqual(digest(0))
  })

  test("the splits differ, and classes are balanced", () => {
    const dataset = makeShapes({ timeSteps: 2, train: 30, test: 10 })
    expect(write(dataset, "train", 0, 2)).not.toEqual(write(dataset, "test", 0, 2))
    const counts = new Array(dataset.classes).fill(0)
    for (let i = 0; i < dataset.train.size; i++) counts[dataset.train.label(i)]++
    expect(counts).toEqual(new Array(10).fill(3))
    expect(dataset.classNames?.length).toBe(10)
    expect(new Set(dataset.classNames).size).toBe(10)
  })

  test("a sample does not depend on earlier requests, nor its sum on the time steps", () => {
    const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0)
    const first = makeShapes({ timeSteps: 4, train: 5, test: 1, side: 20 })
    write(first, "train", 4, 4)
    const second = makeShapes({ timeSteps: 8, train: 5, test: 1, side: 20 })
    expect(write(first, "train", 2, 4)).toEqual(write(makeShapes({ timeSteps: 4, side: 20 }), "train", 2, 4))
    expect(sum(write(second, "train", 2, 8))).toBe(sum(write(first, "train", 2, 4)))
    expect(sum(write(second, "train", 2, 8))).toBe(shapeEvents(0, "train", 2, 20).t.length)
  })

  test("any size: events lie within it and cover the whole recording", () => {
    for (const side of [8, 33, 64]) {
      for (let index = 0; index < 10; index++) {
        const { width, height, x, y, t } = shapeEvents(2, "test", index, side)
        expect([width, height]).toEqual([side, side])
        expect(Math.max(...x, ...y)).toBeLessThan(side)
        expect(t.length).toBeGreaterThan(3 * side)
        for (let part = 0; part < 8; part++) {
          expect(t.some((time) => Math.floor(time / 10_000) === part)).toBe(true)
        }
      }
    }
  })

  test("the labels for right and left match the direction for any contrast", () => {
    const drift = (index: number) => {
      const { t, x } = shapeEvents(0, "train", index, 16)
      const half = t.findIndex((time) => time >= 40_000)
      const mean = (values: Uint16Array) => values.reduce((total, value) => total + value, 0) / values.length
      return mean(x.subarray(half)) - mean(x.subarray(0, half))
    }
    for (let i = 0; i < 20; i++) {
      expect(drift(10 * i)).toBeGreaterThan(1)
      expect(drift(10 * i + 1)).toBeLessThan(-1)
    }
  })

  test("counts do not reveal the sign of the contrast: equally many ON and OFF events", () => {
    let on = 0
    let all = 0
    for (let i = 0; i < 100; i++) {
      const { p } = shapeEvents(0, "train", 10 * i, 16)
      on += p.reduce((total, value) => total + value, 0)
      all += p.length
      expect(Math.abs(2 * p.reduce((total, value) => total + value, 0) - p.length)).toBeLessThan(0.25 * p.length)
    }
    expect(Math.abs(on / all - 0.5)).toBeLessThan(0.01)
  })

  test("an event transform changes only training batches with a key", () => {
    const options = { timeSteps: 1, train: 4, test: 4 }
    const changed = makeShapes({ ...options, eventTransform: EventTransforms.dropEvent(1) })
    const out = new Float32Array(512)
    Effect.runSync(changed.train.write([0], [Key.make(1)], out))
    expect(out.every((value) => value === 0)).toBe(true)
    Effect.runSync(changed.test.write([0], [Key.make(1)], out))
    expect(out).toEqual(write(makeShapes(options), "test", 0, 1))
    expect(write(changed, "train", 0, 1)).toEqual(write(makeShapes(options), "train", 0, 1))
  })

  test("a transform that changes the sensor is refused", () => {
    const dataset = makeShapes({ timeSteps: 1, eventTransform: EventTransforms.centerCrop(8, 8) })
    const error = Effect.runSync(Effect.flip(dataset.train.write([0], [Key.make(1)], new Float32Array(512))))
    expect(error).toMatchObject({ _tag: "OptionError", option: "transform", value: "8×8" })
  })
})
