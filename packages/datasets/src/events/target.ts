/** Where frames are written, and how an event is counted in one. It imports nothing, for the edge: see stream.ts. */
import type { Events } from "./events.ts"

/** Where the frames of one sample lie: frame `step` starts at `out[offset + step * stride]`. */
export interface FrameTarget {
  readonly out: Float32Array
  readonly offset: number
  readonly stride: number
  /** 2 (default): OFF and ON; 1: all events alike. */
  readonly channels?: 1 | 2
}

/** Counts one event in the frame of a step. */
export const add = (events: Events, index: number, step: number, target: FrameTarget): void => {
  const pixel = (events.y[index] as number) * events.width + (events.x[index] as number)
  const place = target.channels === 1 ? pixel : pixel * 2 + (events.p[index] as number)
  const at = target.offset + step * target.stride + place
  target.out[at] = (target.out[at] as number) + 1
}
