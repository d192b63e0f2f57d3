/** The destination of frames, and how an event is counted. No runtime imports, for edge devices: see stream.ts. */
import type { Events } from "./events.ts"

/** Location of the frames of one sample: frame `step` starts at `out[offset + step * stride]`. */
export interface FrameTarget {
  readonly out: Float32Array
  readonly offset: number
  readonly stride: number
  /** 2 (default): OFF and ON events are counted separately; 1: together. */
  readonly channels?: 1 | 2
}

/** Adds one event to the frame of time step `step`. */
export const add = (events: Events, index: number, step: number, target: FrameTarget): void => {
  const pixel = (events.y[index] as number) * events.width + (events.x[index] as number)
  const place = target.channels === 1 ? pixel : pixel * 2 + (events.p[index] as number)
  const at = target.offset + step * target.stride + place
  target.out[at] = (target.out[at] as number) + 1
}
