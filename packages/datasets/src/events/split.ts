/** A split of event recordings, turned into frames when a batch asks for them. */
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import type { Split } from "../dataset.ts"
import { type DatasetError, InvalidOption } from "../errors.ts"
import type { Transform } from "../transform.ts"
import type { Events } from "./events.ts"
import { framesByCount, framesByDuration, type Window } from "./frames.ts"

/** How events are cut into frames: equal numbers of events, or equal durations. */
export type Framing = "count" | "duration"

/** Where recordings come from and what becomes of them. */
export interface EventSplitOptions {
  readonly size: number
  readonly label: (index: number) => number
  readonly load: (index: number) => Effect.Effect<Events, DatasetError>
  /** Size of the frames; what `load` and `transform` give must have it. */
  readonly width: number
  readonly height: number
  readonly timeSteps: number
  readonly framing: Framing
  /** The time that equal durations divide; without it, from the first event of a recording to its last. */
  readonly window?: Window
  /** Random changes, made only where a key is given. */
  readonly transform?: Transform<Events> | undefined
}

/** How many recordings of a batch are loaded at once, where loading means reading a file. */
const concurrency = 8

/**
 * The recordings as a `Split` of frames [timeSteps, N, height, width, 2] of event counts, channel 0 OFF, channel 1 ON.
 *
 * Writing fails with `InvalidOption` where the batch is for another number of time steps, or where a transform has
 * changed the size of the sensor.
 */
export const eventSplit = (options: EventSplitOptions): Split => {
  const { size, label, load, width, height, timeSteps, framing, window, transform } = options
  const frame = width * height * 2
  return {
    size,
    label,
    write: (samples, key, out) => {
      const stride = samples.length * frame
      if (out.length !== timeSteps * stride) {
        const value = out.length / stride
        const problem = `the data set was opened for ${timeSteps} time steps`
        return Effect.fail(new InvalidOption({ option: "timeSteps", value, problem }))
      }
      const writeOne = (sample: number, i: number) =>
        Effect.flatMap(load(sample), (recorded) => {
          const events = transform !== undefined && key !== undefined ? transform(recorded, Key.fold(key, i)) : recorded
          if (events.width !== width || events.height !== height) {
            const problem = `gives events of ${events.width}×${events.height} pixels for frames of ${width}×${height}`
            return Effect.fail(new InvalidOption({ option: "transform", value: `on sample ${sample}`, problem }))
          }
          const target = { out, offset: i * frame, stride }
          if (framing === "count") framesByCount(events, timeSteps, target)
          else framesByDuration(events, timeSteps, target, window)
          return Effect.void
        })
      return Effect.forEach(Array.from(samples), writeOne, { concurrency, discard: true })
    },
  }
}
