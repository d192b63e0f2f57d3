/** Ratios of speed that must not fall: backends against each other in the same rounds, never a time alone. */
import { Effect } from "effect"
import { formatRatio } from "../method/format.ts"
import { measure } from "../method/measure.ts"
import { ratio } from "../method/statistics.ts"
import { stepSubject, valuesOf, workloads } from "../workloads.ts"
import { nameOf } from "./plans.ts"

/** How many times as long TensorFlow.js has to take at least, by iteration and backend. */
export type Floors = Readonly<Record<string, Readonly<Record<string, number>>>>

const rival = "tfjs-wasm"

/** A line for each ratio, and what is wrong. A ratio is too low where its whole interval is: noise alone fails nobody. */
export const ratios = (floors: Floors) =>
  Effect.gen(function* () {
    const said: Array<string> = []
    const wrong: Array<string> = []
    for (const [name, least] of Object.entries(floors)) {
      const workload = workloads.find((each) => nameOf(each) === name)
      if (workload === undefined) {
        wrong.push(`gate.json has a floor for ${name}, which is no iteration of the benchmark`)
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
          // No C compiler is no regression; a backend that fails or is wrong has been said to fail.
          said.push(`${name}: ${backend} against ${rival}: ${missing} was not timed`)
          if (missing !== "native") wrong.push(`${name}: ${missing} could not be timed`)
          continue
        }
        const times = ratio(theirs, own)
        said.push(`${name}: ${rival} takes ${formatRatio(times)} times as long as ${backend}; at least ${floor}`)
        if (times.high < floor)
          wrong.push(`${name}: ${backend} is ${formatRatio(times)} times as fast as ${rival}; it was at least ${floor}`)
      }
    }
    return { said, wrong }
  })
