/**
 * Frames of events that arrive little by little: each is given out as soon as it is over. Plain generators, for cameras and sockets
 * at the edge: no Effect, no file.
 */

import { optionFault, quote } from "@spikeroute/core/text"
import type { Events } from "./events.ts"
import { add } from "./target.ts"

/** Events that make no frame: they lie outside the sensor, before a frame that was given out already, or too long after the last. */
export class EventStreamError extends Error {
  readonly _tag = "EventStreamError"
  override readonly name = "EventStreamError"
}

/** How events that arrive are cut into frames. */
export interface StreamFraming {
  /** Size of the sensor. */
  readonly width: number
  readonly height: number
  /** 2 (default): frames count OFF and ON events apart; 1: all alike. */
  readonly channels?: 1 | 2
  /** What ends a frame: so many events, or so many microseconds, from the time `start` or else the first event on. */
  readonly every: { readonly events: number } | { readonly duration: number; readonly start?: number }
  /**
   * With a duration: how many empty frames in a row time without events may make. Default 10,000. An event after more of them is an
   * error, for one wrong time would make frames without end; `Infinity` allows any silence.
   */
  readonly maximumEmptyFrames?: number
}

/**
 * The frames [height, width, channels] of packets of events, which have to be in order of time. What is left when the packets end
 * is a last frame.
 *
 * With equal durations, time without events gives frames of zeros, in which membranes decay, up to `maximumEmptyFrames` in a row; a
 * frame is given out when the first event after it arrives. The frames of a whole recording are those of `framesByDuration`.
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
  /** Frames that were given out, events that were seen, and those of the frame at hand. */
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
