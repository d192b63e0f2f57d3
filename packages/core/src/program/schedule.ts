/** The order of segments: the calls of a micro-batch that a backend runs. */
import { aList, aProgram, argument } from "../arguments.ts"
import type { Call, Program, SegmentName } from "./program.ts"

/** The first calls of the `part`-th micro-batch, counted from 0. */
const opening = (part: number): ReadonlyArray<Call> => [
  ...(part === 0 ? [{ segment: "clear", t: 0 } as const] : []),
  { segment: "begin", t: 0 },
]

/** The calls of a micro-batch in inference: all steps forward. */
export const inferenceSchedule = (program: Program, part = 0): ReadonlyArray<Call> => [
  ...opening(part),
  ...range(0, argument(program, aProgram, "Program").timeSteps).map((t) => ({ segment: "forward", t }) as const),
]

/**
 * The calls of a batch's `part`-th micro-batch, counted from 0, for the given trained steps, ascending and counted from 0.
 *
 * Windows start at steps 0, window, 2·window, …. Within a window, the steps up to the last trained one store their residuals and
 * run backward; later ones run forward only. With checkpoints, only the steps since the last checkpoint store their residuals
 * directly; earlier ones are replayed from the saved state.
 */
export const schedule = (program: Program, trained: ReadonlyArray<number>, part = 0): ReadonlyArray<Call> => {
  const { timeSteps, window, checkpointInterval, mode } = argument(program, aProgram, "Program")
  if (mode === "inference") return inferenceSchedule(program, part)
  const closing = (): ReadonlyArray<Call> => [
    { segment: "end", t: 0 },
    ...(part === program.microBatches - 1 ? [{ segment: "update", t: 0 } as const] : []),
  ]
  if (program.segments.rates.length > 0)
    return [
      ...inferenceSchedule(program, part),
      ...(program.forwardRuns ? [{ segment: "measure", t: 0 } as const] : []),
      { segment: "rates", t: 0 },
      ...closing(),
    ]
  const isTrained = new Set(argument(trained, aList, "Program"))
  const calls = [...opening(part)]
  const push = (segment: SegmentName, steps: ReadonlyArray<number>) => calls.push(...steps.map((t) => ({ segment, t })))
  if (program.forwardRuns === 2) {
    push("preview", range(0, timeSteps))
    push("measure", [0])
    push("restart", [0])
  }
  for (let start = 0; start < timeSteps; start += window) {
    const steps = range(start, Math.min(start + window, timeSteps))
    if (window === 1) {
      for (const t of steps) calls.push({ segment: isTrained.has(t) ? "train" : "forward", t })
      continue
    }
    const resume = (steps.findLast((t) => isTrained.has(t)) ?? start - 1) + 1
    const intervals: Array<ReadonlyArray<number>> = []
    for (let t = start; t < resume; t += checkpointInterval)
      intervals.push(range(t, Math.min(t + checkpointInterval, resume)))
    const earlier = intervals.slice(0, -1)
    for (const each of earlier) {
      push("save", each.slice(0, 1))
      push("forward", each)
    }
    push("keep", intervals.at(-1) ?? [])
    if (program.forwardRuns === 1) push("measure", [0])
    const rewound = earlier.length > 0 && resume < timeSteps ? [resume] : []
    push("save", rewound)
    if (resume > start) push("beginBackward", [resume - 1])
    for (const each of intervals.toReversed()) {
      if (each !== intervals.at(-1)) {
        push("restore", each.slice(0, 1))
        push("replay", each)
      }
      for (const t of each.toReversed()) calls.push({ segment: isTrained.has(t) ? "backward" : "backwardThrough", t })
    }
    push("restore", rewound)
    push("forward", steps.slice(resume - start))
  }
  return [...calls, ...closing()]
}

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
