/** Converts columns of plain numbers to events and checks them, for formats that store one array per property. */
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { MalformedFile } from "../errors.ts"
import type { Column } from "./column-names.ts"
import { type Events, sortByTime } from "./events.ts"

/** Width and height of a sensor, in pixels. */
export interface Sensor {
  readonly width: number
  readonly height: number
}

/**
 * Events from four columns, sorted by time. Polarities are 0 and 1, or −1 and 1. If no sensor is given, because it is not yet known, width
 * and height are 0.
 *
 * @param microseconds length of one unit of time, in microseconds
 */
export const eventsOf = (
  file: string,
  { x, y, t, p }: Readonly<Record<Column, ArrayLike<number>>>,
  sensor: Sensor | undefined,
  microseconds = 1,
): Result.Result<Events, MalformedFile> => {
  const fail = (problem: string) => Result.fail(new MalformedFile({ file, problem }))
  const count = t.length
  if (count === 0) return fail("it holds no event")
  if (x.length !== count || y.length !== count || p.length !== count)
    return fail(`its columns x, y, t and p have ${x.length}, ${y.length}, ${count} and ${p.length} values`)
  const { width = 2 ** 16, height = 2 ** 16 } = sensor ?? {}
  const events = {
    x: new Uint16Array(count),
    y: new Uint16Array(count),
    t: new Float64Array(count),
    p: new Uint8Array(count),
  }
  const within = (value: number, side: number) => Number.isInteger(value) && value >= 0 && value < side
  let ordered = true
  for (let i = 0; i < count; i++) {
    const [column, row, time, polarity] = [x[i], y[i], t[i], p[i]] as [number, number, number, number]
    if (!(within(column, width) && within(row, height)))
      return fail(`event ${i} is at (${quote(column)}, ${quote(row)}), outside the ${width}×${height} sensor`)
    if (!Number.isFinite(time * microseconds)) return fail(`event ${i} has the time ${time}`)
    if (polarity !== 0 && Math.abs(polarity) !== 1)
      return fail(`event ${i} has the polarity ${quote(polarity)}; they are 0 and 1, or -1 and 1`)
    events.x[i] = column
    events.y[i] = row
    events.t[i] = time * microseconds
    events.p[i] = polarity > 0 ? 1 : 0
    if (i > 0 && (events.t[i] as number) < (events.t[i - 1] as number)) ordered = false
  }
  const found = { width: 0, height: 0, ...sensor, ...events }
  return Result.succeed(ordered ? found : sortByTime(found))
}
