/**
 * Event streams as columns of typed arrays: the output of every event-format reader and the input of every event transform.
 *
 * An event camera reports, independently for each pixel, when the brightness rose (ON) or fell (OFF). One column per
 * property takes 13 bytes per event, and transforms copy only the columns that they change.
 */
import { argument, type Kind, OptionError } from "@spikeroute/core/options"

/**
 * A recording of an event camera: `n` events in order of time.
 *
 * @example
 * const events: Events = {
 *   width: 34,
 *   height: 34,
 *   x: Uint16Array.of(3, 4),
 *   y: Uint16Array.of(10, 10),
 *   t: Float64Array.of(0, 125),
 *   p: Uint8Array.of(1, 0),
 * }
 */
export interface Events {
  /** Width of the sensor, in pixels: every `x` is below it. */
  readonly width: number
  /** Height of the sensor, in pixels: every `y` is below it. */
  readonly height: number
  /** Column of each event, from the left. */
  readonly x: Uint16Array
  /** Row of each event, from the top. */
  readonly y: Uint16Array
  /** Time of each event, in microseconds from the start of the recording, in ascending order. */
  readonly t: Float64Array
  /** Polarity of each event: 1 for ON (brighter), 0 for OFF (darker). */
  readonly p: Uint8Array
}

const someEvents: Kind = [
  "events, with columns x, y, t and p",
  (value) => ["x", "y", "t", "p"].every((column) => ArrayBuffer.isView(Object(value)[column])),
]
const aFunction: Kind = ["a function", (value) => typeof value === "function"]

/** @throws OptionError unless all columns have the same length, every event lies within the sensor, and times are in ascending order */
export const checkEvents = (owner: string, events: Events): void => {
  const { width, height, x, y, t, p } = argument(events, someEvents, owner)
  const refuse = (option: string, value: unknown, expected: string): never => {
    throw new OptionError({ owner, option, value, expected })
  }
  const count = t.length
  if (x.length !== count || y.length !== count || p.length !== count)
    refuse("events", [x.length, y.length, t.length, p.length], "columns of one length")
  let before = -Number.MAX_VALUE
  for (let i = 0; i < count; i++) {
    const time = t[i] as number
    if (!((x[i] as number) < width && (y[i] as number) < height && (p[i] as number) <= 1))
      refuse(`event ${i}`, [x[i], y[i], p[i]], `within ${width}×${height} pixels, of polarity 0 or 1`)
    if (!(time >= before && time < Number.POSITIVE_INFINITY))
      refuse(`event ${i}`, time, `at a finite time, not before ${before} µs, the time of the previous event`)
    before = time
  }
}

/**
 * Returns the events with the given indices, in that order.
 *
 * @param indices indices into the columns of `events`; only the first `count` are used
 * @throws OptionError for an index out of range
 */
export const select = (events: Events, indices: Uint32Array, count: number = indices?.length): Events => {
  argument(events, someEvents, "select")
  if (!(indices instanceof Uint32Array))
    throw new OptionError({ owner: "select", option: "indices", value: indices, expected: "a Uint32Array" })
  if (!(Number.isInteger(count) && count >= 0 && count <= indices.length))
    throw new OptionError({
      owner: "select",
      option: "count",
      value: count,
      expected: `a whole number from 0 to ${indices.length}`,
    })
  const x = new Uint16Array(count)
  const y = new Uint16Array(count)
  const t = new Float64Array(count)
  const p = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const from = indices[i] as number
    if (!(from < events.t.length))
      throw new OptionError({
        owner: "select",
        option: `indices.${i}`,
        value: from,
        expected: `less than ${events.t.length}, the number of events`,
      })
    x[i] = events.x[from] as number
    y[i] = events.y[from] as number
    t[i] = events.t[from] as number
    p[i] = events.p[from] as number
  }
  return { width: events.width, height: events.height, x, y, t, p }
}

/** Returns the events for which `keep` returns true, in their order. */
export const filter = (events: Events, keep: (index: number) => boolean): Events => {
  argument(keep, aFunction, "filter", "keep")
  const kept = new Uint32Array(argument(events, someEvents, "filter").t.length)
  let count = 0
  for (let i = 0; i < kept.length; i++) if (keep(i)) kept[count++] = i
  return select(events, kept, count)
}

/** Sorts events by time. The sort is stable. */
export const sortByTime = (events: Events): Events => {
  const order = Uint32Array.from(argument(events, someEvents, "sortByTime").t, (_, i) => i)
  // The sort of a typed array is not guaranteed to be stable, so equal times are ordered by index.
  order.sort((a, b) => (events.t[a] as number) - (events.t[b] as number) || a - b)
  return select(events, order)
}
