/**
 * Frames of live event streams, each yielded as soon as it is complete. A plain generator without Effect or file access, for cameras
 * and sockets on edge devices.
 */

import { optionFault, quote } from "@spikeroute/core/text"
import type { Events } from "./events.ts"
import { add } from "./target.ts"

/** An invalid event: its packet has another sensor size, or it lies outside the sensor, in a frame already yielded, or after too long a gap. */
export class EventStreamError extends Error {
  readonly _tag = "EventStreamError"
  override readonly name = "EventStreamError"
}

/** The options of `framesOf`. */
export interface StreamFraming {
  /** Size of the sensor. */
  readonly width: number
  readonly height: number
  /** 2 (default): frames count OFF and ON events separately; 1: together. */
  readonly channels?: 1 | 2
  /** Length of a frame: a number of events, or a duration in microseconds, counted from `start` (default: the first event). */
  readonly every: { readonly events: number } | { readonly duration: number; readonly start?: number }
  /**
   * With a duration: greatest number of consecutive empty frames. Default 10,000. A longer gap is an error, because a single wrong
   * time would otherwise yield an endless sequence of frames; `Infinity` allows any gap.
   */
  readonly maximumEmptyFrames?: number
}

/**
 * Yields the frames, [height, width, channels], of a stream of event packets, which must be in order of time. Remaining events at the
 * end of the stream form a last frame.
 *
 * With a duration, gaps without events yield frames of zeros, in which membranes decay, up to `maximumEmptyFrames` in a row. A frame
 * is yielded when the first event after it arrives. For a whole recording the frames equal those of `framesByDuration`.
 *
 * @throws EventStreamError
 * @example
 * const frames = framesOf(camera, { width: 34, height: 34, every: { duration: 10_000 } })
 * for await (const { classes } of model.stream(frames)) console.log(classes[0])
 */
export async function* framesOf(
  packets: AsyncIterable<Events>,
  framing: StreamFraming,
): AsyncGenerator<Float32Array, void, undefined> {
  const fault =
    optionFault(framing, ["width", "height", "channels", "every", "maximumEmptyFrames"]) ??
    optionFault(framing.every, ["events", "duration", "start"])
  if (fault !== undefined) throw new EventStreamError(fault)
  const { width, height, channels = 2, every, maximumEmptyFrames = 10_000 } = framing
  const byDuration = "duration" in every
  const size = byDuration ? every.duration : every.events
  if (!(typeof size === "number" && size > 0 && size < Number.POSITIVE_INFINITY))
    throw new EventStreamError(
      `a frame of ${quote(size)} ${byDuration ? "µs" : "events"}: it must be above 0, and finite`,
    )
  for (const [name, side] of Object.entries({ width, height }))
    if (!(Number.isInteger(side) && side >= 1 && side <= 65536))
      throw new EventStreamError(`${name} is ${quote(side)}; it must be a whole number from 1 to 65536`)
  if (channels !== 1 && channels !== 2) throw new EventStreamError(`channels is ${quote(channels)}; it must be 1 or 2`)
  if (!(typeof maximumEmptyFrames === "number" && maximumEmptyFrames >= 0))
    throw new EventStreamError(`maximumEmptyFrames is ${quote(maximumEmptyFrames)}; it must be a number of at least 0`)
  if (byDuration && every.start !== undefined && !Number.isFinite(every.start))
    throw new EventStreamError(`start is ${quote(every.start)}; it must be a finite number`)
  const fresh = () => ({ out: new Float32Array(width * height * channels), offset: 0, stride: 0, channels })

  let start = byDuration ? every.start : undefined
  let frame = fresh()
  /** Number of frames yielded, of events received, and of events in the current frame. */
  let given = 0
  let seen = 0
  let inFrame = 0
  for await (const packet of packets) {
    if (packet.width !== width || packet.height !== height)
      throw new EventStreamError(`events of ${packet.width}×${packet.height} pixels for frames of ${width}×${height}`)
    for (let i = 0; i < packet.t.length; i++) {
      const [x, y, p, t] = [packet.x[i], packet.y[i], packet.p[i], packet.t[i]] as [number, number, number, number]
      const refuse = (problem: string): never => {
        throw new EventStreamError(`event ${seen} (x ${x}, y ${y}, t ${t}, polarity ${p}) ${problem}`)
      }
      if (!(x < width && y < height && p <= 1)) refuse(`lies outside a sensor of ${width}×${height}`)
      start ??= t
      const step = byDuration ? Math.floor((t - start) / size) : given
      if (!(step >= given)) refuse("comes after the end of its frame: events must be in order of time")
      const empty = step - given - (inFrame > 0 ? 1 : 0)
      if (empty > maximumEmptyFrames || step === Number.POSITIVE_INFINITY)
        refuse(
          `comes after ${empty} empty frames, more than maximumEmptyFrames: ${maximumEmptyFrames}; are its time and start right?`,
        )
      for (; given < step; given++) {
        yield frame.out
        frame = fresh()
        inFrame = 0
      }
      add(packet, i, 0, frame)
      seen++
      inFrame++
      if (byDuration || Math.floor(seen / size) === given) continue
      yield frame.out
      frame = fresh()
      inFrame = 0
      given++
    }
  }
  if (byDuration ? seen > 0 : inFrame > 0) yield frame.out
}
