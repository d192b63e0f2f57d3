/** A split of event recordings, converted to frames when a batch is made. */
import { assert, OptionError, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Effect, Schema } from "effect"
import { attempt, batchProblem, Callable, FramingSchema } from "../checks.ts"
import type { Split } from "../dataset.ts"
import type { DatasetError } from "../errors.ts"
import type { Image } from "../images/image.ts"
import { resize } from "../images/resize.ts"
import type { Transform } from "../transform.ts"
import type { Events } from "./events.ts"
import { type FrameTarget, framesByCount, framesByDuration, type Window, WindowSchema } from "./frames.ts"

/** How events are divided into frames: equal numbers of events, or equal durations. */
export type Framing = "count" | "duration"

/** The options of `eventSplit`. */
export interface EventSplitOptions {
  readonly size: number
  readonly label: (index: number) => number
  readonly load: (index: number) => Effect.Effect<Events, DatasetError>
  /** Size of the sensor, in pixels; the events from `load` and `transform` must match it. */
  readonly width: number
  readonly height: number
  /** 2 (default): frames count OFF and ON events separately; 1: together. */
  readonly channels?: 1 | 2
  readonly timeSteps: number
  readonly framing: Framing
  /** The time interval divided into frames of equal duration. Default: from the first event of a recording to its last. */
  readonly window?: Window
  /** Height and width in pixels to which `resize` scales the frames. Default: the size of the sensor. */
  readonly side?: number
  /** Augmentation of the events, applied only if a key is given. */
  readonly transform?: Transform<Events> | undefined
  /** Augmentation of the frames after resizing, the same for all frames of a sample; applied only if a key is given. */
  readonly augment?: Transform<Image> | undefined
}

/** Schema of `EventSplitOptions`. */
export const EventSplitSchema: Schema.Codec<unknown> = Schema.Struct({
  size: whole(0),
  label: Callable,
  load: Callable,
  width: whole(1, 2 ** 16),
  height: whole(1, 2 ** 16),
  channels: Schema.optionalKey(Schema.Literals([1, 2])),
  timeSteps: whole(1),
  framing: FramingSchema,
  window: Schema.optionalKey(WindowSchema),
  side: Schema.optionalKey(whole(1, 2 ** 15)),
  transform: Schema.optionalKey(Callable),
  augment: Schema.optionalKey(Callable),
})

/** Number of recordings of a batch that are loaded concurrently, if loading reads files. */
const concurrency = 8

/**
 * Makes a `Split` of event-count frames, [timeSteps, N, height, width, channels], from recordings. Channel 0 is OFF,
 * channel 1 is ON.
 *
 * `write` fails with `OptionError` if the batch has a different number of time steps, or if a transform changes the size of
 * the sensor.
 *
 * @throws OptionError
 */
export const eventSplit = (options: EventSplitOptions): Split => {
  assert("eventSplit", EventSplitSchema as unknown as Schema.Codec<EventSplitOptions>, options)
  const {
    size,
    label,
    load,
    width,
    height,
    channels = 2,
    timeSteps,
    framing,
    window,
    side,
    transform,
    augment,
  } = options
  const sensor = width * height * channels
  const resized = side !== undefined && (side !== width || side !== height)
  const frame = resized ? side * side * channels : sensor

  const count = (events: Events, target: FrameTarget) =>
    framing === "count" ? framesByCount(events, timeSteps, target) : framesByDuration(events, timeSteps, target, window)

  const write = (events: Events, key: Key.Key | undefined, target: FrameTarget) => {
    if (!resized && (augment === undefined || key === undefined)) return count(events, target)
    const out = new Float32Array(timeSteps * sensor)
    count(events, { out, offset: 0, stride: sensor, channels })
    for (let step = 0; step < timeSteps; step++) {
      let image: Image = { height, width, channels, data: out.subarray(step * sensor, (step + 1) * sensor) }
      if (resized) image = resize(image, side, side)
      if (augment !== undefined && key !== undefined) image = augment(image, Key.fold(key, "frames"))
      target.out.set(image.data, target.offset + step * target.stride)
    }
  }

  return {
    size,
    label,
    write: (samples, keys, out) => {
      const stride = samples.length * frame
      const problem = batchProblem(size, samples, keys, out, frame, timeSteps)
      if (problem !== undefined) return Effect.fail(problem)
      const writeOne = (sample: number, i: number) =>
        Effect.flatMap(load(sample), (recorded) =>
          attempt(() => {
            const key = keys?.[i]
            const events = transform !== undefined && key !== undefined ? transform(recorded, key) : recorded
            if (events.width !== width || events.height !== height)
              throw new OptionError({
                owner: `sample ${sample}`,
                option: "transform",
                value: `${events.width}×${events.height}`,
                expected: `one that gives events of ${width}×${height} pixels`,
              })
            write(events, key, { out, offset: i * frame, stride, channels })
          }),
        )
      return Effect.forEach(Array.from(samples), writeOne, { concurrency, discard: true })
    },
  }
}
