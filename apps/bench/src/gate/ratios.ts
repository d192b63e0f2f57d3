/** Speed ratios that must not fall. Backends are compared within the same rounds; no absolute time is checked. */
import { Effect } from "effect"
import { formatRatio } from "../method/format.ts"
import { measure } from "../method/measure.ts"
import { ratio } from "../method/statistics.ts"
import { stepSubject, valuesOf, workloads } from "../workloads.ts"
import { nameOf } from "./plans.ts"

/** Minimum ratio of TensorFlow.js's time to a backend's, by iteration and backend. */
export type Floors = Readonly<Record<string, Readonly<Record<string, number>>>>

const rival = "tfjs-wasm"

/** A line for each ratio, and the failures. A ratio fails only if its whole interval is below the floor, so noise alone cannot fail. */
export const ratios = (floors: Floors) =>
  Effect.gen(function* () {
    const said: Array<string> = []
    const wrong: Array<string> = []
    for (const [name, least] of Object.entries(floors)) {
      const workload = workloads.find((each) => nameOf(each) === name)
      if (workload === undefined) {
        wrong.push(`gate.json has a floor for ${name}, which is not a workload of the benchmark`)
        continue
      }
      const rows = yield* measure(
        "gate",
        {
          group: name,
          values: valuesOf(workload),
          warmUp: 1,
          subjects: [...Object.keys(least), rival].map((backend) => stepSubject(workload, backend, 1)),
        },
        { seconds: Number.POSITIVE_INFINITY, rounds: 4 },
      )
      const theirs = rows.find(({ subject }) => subject === rival)
      for (const [backend, floor] of Object.entries(least)) {
        const own = rows.find(({ subject }) => subject === backend)
        if (theirs === undefined || own === undefined) {
          const missing = theirs === undefined ? rival : backend
          // A missing C compiler is not a regression; any other backend must have been timed.
          said.push(`${name}: ${backend} against ${rival}: ${missing} was not timed`)
          if (missing !== "native") wrong.push(`${name}: ${missing} could not be timed`)
          continue
        }
        const times = ratio(theirs, own)
        said.push(`${name}: ${rival} takes ${formatRatio(times)} times as long as ${backend} (floor ${floor})`)
        if (times.high < floor)
          wrong.push(`${name}: ${backend} is ${formatRatio(times)} times as fast as ${rival}; the floor is ${floor}`)
      }
    }
    return { said, wrong }
  })
