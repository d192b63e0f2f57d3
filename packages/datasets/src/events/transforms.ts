/**
 * Event transforms, under tonic's names: https://tonic.readthedocs.io (Lenz et al., "Tonic: event-based datasets and
 * transformations", 2021).
 *
 * Randomness comes only from the key. The resulting events are in order of time and within the sensor. Arguments out of range
 * throw `OptionError` when the transform is created or, for a crop larger than the sensor, when it is applied.
 */
import { assert, Flag, NonNegative, OptionError, Share, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Schema } from "effect"
import type { Transform } from "../transform.ts"
import { type Events, filter, select, sortByTime } from "./events.ts"

const sides = Schema.Struct({ width: whole(1, 2 ** 16), height: whole(1, 2 ** 16) })
const probability = Schema.Struct({ p: Share })

/** The Schema of each transform's arguments. */
export const schemas: Readonly<
  Record<
    | "dropEvent"
    | "spatialJitter"
    | "timeJitter"
    | "randomFlipLR"
    | "randomFlipPolarity"
    | "randomTimeReversal"
    | "denoise"
    | "centerCrop"
    | "randomCrop",
    Schema.Codec<unknown>
  >
> = {
  dropEvent: probability,
  spatialJitter: Schema.Struct({ varX: NonNegative, varY: NonNegative }),
  timeJitter: Schema.Struct({ std: NonNegative }),
  randomFlipLR: probability,
  randomFlipPolarity: probability,
  randomTimeReversal: Schema.Struct({ p: Share, flipPolarities: Flag }),
  denoise: Schema.Struct({ filterTime: NonNegative }),
  centerCrop: sides,
  randomCrop: sides,
}

const chance = (key: Key.Key, p: number): boolean => Key.generator(key).nextDoubleUnsafe() < p

const mapInto = <A extends Uint16Array | Uint8Array | Float64Array>(column: A, of: (value: number) => number): A => {
  const changed = column.slice() as A
  for (let i = 0; i < changed.length; i++) changed[i] = of(column[i] as number)
  return changed
}

/** tonic's `DropEvent(p)`: drops ⌊p·n + ½⌋ randomly chosen events of n. */
export const dropEvent = (p: number): Transform<Events> => {
  assert("dropEvent", schemas.dropEvent, { p })
  return (events, key) => {
    const count = events.t.length
    const dropped = Math.floor(p * count + 0.5)
    const kept = Key.permutation(key, count).subarray(dropped).sort()
    return select(events, kept)
  }
}

/**
 * tonic's `SpatialJitter(var_x, var_y, clip_outliers=True)`: shifts every event by normal variates with the given
 * variances, rounded down to whole pixels. Events that leave the sensor are dropped.
 */
export const spatialJitter = (varX = 1, varY = 1): Transform<Events> => {
  assert("spatialJitter", schemas.spatialJitter, { varX, varY })
  return (events, key) => {
    const count = events.t.length
    const shift = Key.normal(key, new Float32Array(2 * count))
    const sigmaX = Math.sqrt(varX)
    const sigmaY = Math.sqrt(varY)
    const x = Int32Array.from(events.x, (value, i) => Math.floor(value + sigmaX * (shift[2 * i] as number)))
    const y = Int32Array.from(events.y, (value, i) => Math.floor(value + sigmaY * (shift[2 * i + 1] as number)))
    const inside = (i: number) => {
      const column = x[i] as number
      const row = y[i] as number
      return column >= 0 && column < events.width && row >= 0 && row < events.height
    }
    return filter({ ...events, x: Uint16Array.from(x), y: Uint16Array.from(y) }, inside)
  }
}

/**
 * tonic's `TimeJitter(std, clip_negative=True, sort_timestamps=True)`: shifts every event in time by a normal variate
 * with standard deviation `std`, in microseconds. Events before time 0 are dropped.
 */
export const timeJitter = (std: number): Transform<Events> => {
  assert("timeJitter", schemas.timeJitter, { std })
  return (events, key) => {
    const shift = Key.normal(key, new Float32Array(events.t.length))
    const t = events.t.map((value, i) => value + std * (shift[i] as number))
    return sortByTime(filter({ ...events, t }, (i) => (t[i] as number) >= 0))
  }
}

/** tonic's `RandomFlipLR(p)`: mirrors the recording left and right, x' = width − 1 − x, with probability `p`. */
export const randomFlipLR = (p = 0.5): Transform<Events> => {
  assert("randomFlipLR", schemas.randomFlipLR, { p })
  return (events, key) => (chance(key, p) ? { ...events, x: mapInto(events.x, (x) => events.width - 1 - x) } : events)
}

/** tonic's `RandomFlipPolarity(p)`: flips the polarity of each event independently with probability `p`. */
export const randomFlipPolarity = (p = 0.5): Transform<Events> => {
  assert("randomFlipPolarity", schemas.randomFlipPolarity, { p })
  return (events, key) => {
    const random = Key.generator(key)
    return { ...events, p: mapInto(events.p, (polarity) => (random.nextDoubleUnsafe() < p ? 1 - polarity : polarity)) }
  }
}

/**
 * tonic's `RandomTimeReversal(p, flip_polarities)`: plays the recording backwards, t' = max t − t, with probability
 * `p`. `flipPolarities` also swaps ON and OFF, because darkening becomes brightening in reversed time.
 */
export const randomTimeReversal = (p = 0.2, flipPolarities = false): Transform<Events> => {
  assert("randomTimeReversal", schemas.randomTimeReversal, { p, flipPolarities })
  return (events, key) => {
    const count = events.t.length
    if (count === 0 || !chance(key, p)) return events
    const end = events.t[count - 1] as number
    const reversed = select(
      events,
      Uint32Array.from({ length: count }, (_, i) => count - 1 - i),
    )
    const t = mapInto(reversed.t, (time) => end - time)
    return { ...reversed, t, p: flipPolarities ? mapInto(reversed.p, (polarity) => 1 - polarity) : reversed.p }
  }
}

/**
 * tonic's `Denoise(filter_time)`: drops an event if none of its four neighbouring pixels had an event within the preceding
 * `filterTime` microseconds (Delbruck, "Frame-free dynamic digital vision", 2008).
 *
 * tonic keeps all events within the first `filter_time` at pixels that have a neighbour; here those events also need a
 * neighbouring event.
 */
export const denoise = (filterTime = 10_000): Transform<Events> => {
  assert("denoise", schemas.denoise, { filterTime })
  return (events) => {
    const { width, height } = events
    const until = new Float64Array(width * height).fill(-Infinity)
    return filter(events, (i) => {
      const x = events.x[i] as number
      const y = events.y[i] as number
      const t = events.t[i] as number
      const at = y * width + x
      until[at] = t + filterTime
      return (
        (x > 0 && (until[at - 1] as number) > t) ||
        (x < width - 1 && (until[at + 1] as number) > t) ||
        (y > 0 && (until[at - width] as number) > t) ||
        (y < height - 1 && (until[at + width] as number) > t)
      )
    })
  }
}

const crop = (events: Events, left: number, top: number, width: number, height: number): Events => {
  const inside = filter(events, (i) => {
    const x = (events.x[i] as number) - left
    const y = (events.y[i] as number) - top
    return x >= 0 && x < width && y >= 0 && y < height
  })
  return { ...inside, width, height, x: mapInto(inside.x, (x) => x - left), y: mapInto(inside.y, (y) => y - top) }
}

/** tonic's `CenterCrop(size)`: crops to the central `width` × `height` pixels. */
export const centerCrop = (width: number, height: number): Transform<Events> => {
  assert("centerCrop", schemas.centerCrop, { width, height })
  return (events) =>
    crop(events, Math.floor((events.width - width) / 2), Math.floor((events.height - height) / 2), width, height)
}

/** tonic's `RandomCrop(target_size)`: crops to `width` × `height` pixels at a random position. */
export const randomCrop = (width: number, height: number): Transform<Events> => {
  assert("randomCrop", schemas.randomCrop, { width, height })
  return (events, key) => {
    if (width > events.width || height > events.height) {
      const expected = `at most the sensor's ${events.width}×${events.height}`
      throw new OptionError({ owner: "randomCrop", option: "size", value: `${width}×${height}`, expected })
    }
    const random = Key.generator(key)
    const left = Math.floor(random.nextDoubleUnsafe() * (events.width - width + 1))
    const top = Math.floor(random.nextDoubleUnsafe() * (events.height - height + 1))
    return crop(events, left, top, width, height)
  }
}
