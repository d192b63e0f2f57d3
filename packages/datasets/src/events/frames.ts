/**
 * Accumulates events into frames, one per time step: the input of a spiking network.
 *
 * A frame is [height, width, 2], channels last, float32: channel 0 counts the OFF events of a pixel, channel 1 its ON
 * events. `out[offset + step · stride + (y · width + x) · 2 + polarity]` holds one count, so that the frames of a
 * sample can be written directly into a batch of [T, N, height, width, 2] (stride = N · height · width · 2). If polarity is
 * ignored, a frame is [height, width, 1]. The functions add to the values in `out`, so it must start as zeros.
 */
import { assert, Float32, OptionError, Positive } from "@spikeroute/core/options"
import { Schema } from "effect"
import { assertCount } from "../checks.ts"
import { checkEvents, type Events } from "./events.ts"
import { add, type FrameTarget } from "./target.ts"

export type { FrameTarget }

/**
 * Allocates a target for the frames of a single sample: [timeSteps, height, width, 2].
 *
 * @throws OptionError
 */
export const frameTarget = (events: Events, timeSteps: number): FrameTarget => {
  assertCount("frameTarget", "timeSteps", timeSteps)
  const stride = events.width * events.height * 2
  return { out: new Float32Array(timeSteps * stride), offset: 0, stride }
}

/** @throws OptionError if events lie outside their sensor, or frames outside the target */
const check = (owner: string, events: Events, timeSteps: number, target: FrameTarget): void => {
  assertCount(owner, "timeSteps", timeSteps)
  checkEvents(owner, events)
  const { out, offset, stride, channels = 2 } = target
  const end = offset + (timeSteps - 1) * stride + events.width * events.height * channels
  if (!(offset >= 0 && stride >= 0 && end <= out.length))
    throw new OptionError({ owner, option: "target", value: out, expected: `an array of at least ${end} values` })
}

/**
 * Frames with equal numbers of events: frame k holds the events k·⌊n/T⌋ … (k+1)·⌊n/T⌋ − 1, and the last frame also the
 * remainder. If there are fewer events than frames, all events fall into the last frame.
 *
 * Equivalent to SpikingJelly's `split_by="number"`, which SLTT uses for its event data.
 *
 * @throws OptionError if events lie outside their sensor, or frames outside the target
 * @example
 * const target = frameTarget(events, 10)
 * framesByCount(events, 10, target) // target.out: [10, height, width, 2]
 */
export const framesByCount = (events: Events, timeSteps: number, target: FrameTarget): void => {
  check("framesByCount", events, timeSteps, target)
  const share = Math.floor(events.t.length / timeSteps)
  for (let i = 0; i < events.t.length; i++) {
    const step = share === 0 ? timeSteps - 1 : Math.min(Math.floor(i / share), timeSteps - 1)
    add(events, i, step, target)
  }
}

/** The time interval that `framesByDuration` divides into frames, in microseconds: [start, start + duration). */
export interface Window {
  readonly start: number
  readonly duration: number
}

export const WindowSchema: Schema.Codec<Window> = Schema.Struct({ start: Float32, duration: Positive })

/**
 * Frames of equal duration: frame k holds the events in start + [k, k+1)·duration/T.
 *
 * Without a window, the frames cover the recording from its first event to its last, inclusive, as SpikingJelly's
 * `split_by="time"` does. Events outside a given window are ignored.
 *
 * @throws OptionError if events lie outside their sensor, or frames outside the target
 */
export const framesByDuration = (events: Events, timeSteps: number, target: FrameTarget, window?: Window): void => {
  check("framesByDuration", events, timeSteps, target)
  if (window !== undefined && !(Number.isFinite(window.start) && window.duration > 0))
    assert("framesByDuration", WindowSchema, window)
  const count = events.t.length
  if (count === 0) return
  const start = window?.start ?? (events.t[0] as number)
  const duration = window?.duration ?? (events.t[count - 1] as number) - start
  for (let i = 0; i < count; i++) {
    const since = (events.t[i] as number) - start
    if (window !== undefined && (since < 0 || since >= duration)) continue
    const step = duration > 0 ? Math.min(Math.floor((since * timeSteps) / duration), timeSteps - 1) : timeSteps - 1
    add(events, i, step, target)
  }
}
