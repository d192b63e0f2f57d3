/**
 * Events summed into frames: what a spiking network sees, one frame for each time step.
 *
 * A frame is [height, width, 2], channels last, float32: channel 0 counts the OFF events of a pixel, channel 1 its ON
 * events. `out[offset + step · stride + (y · width + x) · 2 + polarity]` holds one count, so that the frames of a
 * sample can be written straight into a batch of [T, N, height, width, 2] (stride = N · height · width · 2). Where
 * events have no polarity to tell apart, a frame is [height, width, 1]. The functions add to what `out` holds: give
 * them zeros.
 */
import type { Events } from "./events.ts"

/** Where the frames of one sample lie: frame `step` starts at `out[offset + step * stride]`. */
export interface FrameTarget {
  readonly out: Float32Array
  readonly offset: number
  readonly stride: number
  /** 2 (default): OFF and ON; 1: all events alike. */
  readonly channels?: 1 | 2
}

/** A target for the frames of one sample alone: [timeSteps, height, width, 2]. */
export const frameTarget = (events: Events, timeSteps: number): FrameTarget => {
  const stride = events.width * events.height * 2
  return { out: new Float32Array(timeSteps * stride), offset: 0, stride }
}

/** Counts one event in the frame of a step. */
export const add = (events: Events, index: number, step: number, target: FrameTarget): void => {
  const pixel = (events.y[index] as number) * events.width + (events.x[index] as number)
  const place = target.channels === 1 ? pixel : pixel * 2 + (events.p[index] as number)
  const at = target.offset + step * target.stride + place
  target.out[at] = (target.out[at] as number) + 1
}

/**
 * Frames that hold equal numbers of events: frame k takes the events k·⌊n/T⌋ … (k+1)·⌊n/T⌋ − 1, and the last frame
 * the remainder too. Fewer events than frames all fall into the last one.
 *
 * This is "split by number" of SpikingJelly (`split_by="number"`), which SLTT uses for its event data.
 *
 * @example
 * const target = frameTarget(events, 10)
 * framesByCount(events, 10, target) // target.out: [10, height, width, 2]
 */
export const framesByCount = (events: Events, timeSteps: number, target: FrameTarget): void => {
  const share = Math.floor(events.t.length / timeSteps)
  for (let i = 0; i < events.t.length; i++) {
    const step = share === 0 ? timeSteps - 1 : Math.min(Math.floor(i / share), timeSteps - 1)
    add(events, i, step, target)
  }
}

/** The time that `framesByDuration` cuts into frames, in microseconds: [start, start + duration). */
export interface Window {
  readonly start: number
  readonly duration: number
}

/**
 * Frames that cover equal durations: frame k takes the events of start + [k, k+1)·duration/T.
 *
 * Without a window the recording is cut from its first event to its last, which falls into the last frame, as
 * `split_by="time"` of SpikingJelly does. Events outside a given window fall into no frame.
 */
export const framesByDuration = (events: Events, timeSteps: number, target: FrameTarget, window?: Window): void => {
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
