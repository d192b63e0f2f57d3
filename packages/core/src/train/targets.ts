/** The targets of a batch, checked and as float32: classes per sample. Losses with terms bring their own check. */
import { Effect } from "effect"
import { InputError } from "../errors.ts"
import { termsOf } from "../losses/objective.ts"
import { bufferNames, type Program } from "../program/program.ts"
import { quote } from "../text.ts"
import type { Numbers } from "../values.ts"
import { type Batch, bufferOf, checkInputs, type Samples, shapeOf, type Told } from "./batch.ts"
import { LabelError } from "./errors.ts"

/** Whether a value is an array of numbers, as opposed to a record of arrays. */
export const isList = (given: unknown): given is Numbers => ArrayBuffer.isView(given) || Array.isArray(given)

/**
 * Number of steps for which targets are given: 1, or all steps if one row per sample and step is allowed. Fails with an InputError
 * for any other number of values.
 */
export const stepsOf = (
  program: Program,
  what: string,
  kind: string,
  given: unknown,
  perSample: number,
  bySteps: boolean,
): Effect.Effect<number, InputError> => {
  const { batchSize, timeSteps } = program
  const length = isList(given) ? given.length : undefined
  const count = batchSize * perSample
  if (length === count) return Effect.succeed(1)
  if (bySteps && length === timeSteps * count) return Effect.succeed(timeSteps)
  const other = bySteps ? `, or ${timeSteps * count} with one for each of ${timeSteps} steps` : ""
  return Effect.fail(
    new InputError({
      what,
      reason: `a batch of ${batchSize} takes ${count} ${kind}${other}, not ${length ?? quote(given)}`,
    }),
  )
}

/** Repeats values for all steps of a buffer. */
export const repeated = (program: Program, buffer: string, steps: number, values: Float32Array): Told => {
  const { slots } = bufferOf(program, buffer)
  if (steps === slots) return { buffer, steps, values }
  const whole = new Float32Array(slots * values.length)
  for (let t = 0; t < slots; t++) whole.set(values, t * values.length)
  return { buffer, steps: slots, values: whole }
}

/** What the labels of a batch must be. */
export interface Expected {
  /** Their name in messages, such as `labels`. */
  readonly what: string
  readonly classes: number
  /** Whether one label per step is allowed, and whether −1 is allowed for samples that do not count. */
  readonly bySteps: boolean
  readonly mayNotCount: boolean
}

/** Checks class indices. Returns them with their number of steps. Fails with a LabelError for the first invalid one. */
export const checkClasses = (
  program: Program,
  given: unknown,
  { what, classes, bySteps, mayNotCount }: Expected,
): Effect.Effect<{ readonly steps: number; readonly labels: ReadonlyArray<number> }, InputError | LabelError> =>
  Effect.gen(function* () {
    const { batchSize } = program
    const steps = yield* stepsOf(program, what, "class numbers", given, 1, bySteps)
    const labels = Array.from(given as ArrayLike<number>)
    const isClass = (label: number) => Number.isInteger(label) && label >= 0 && label < classes
    const wrong = labels.findIndex((label) => !isClass(label) && !(mayNotCount && label === -1))
    if (wrong < 0) return { steps, labels }
    return yield* new LabelError({
      ...{ what, sample: wrong % batchSize, label: labels[wrong], classes },
      ...(steps > 1 ? { step: Math.floor(wrong / batchSize) } : {}),
    })
  })

const ofSamples = (program: Program, given: unknown, what: string) =>
  Effect.gen(function* () {
    const [, classes = 0] = shapeOf(program, bufferNames.outputs)
    const [first = ""] = Object.keys(program.outputs ?? {})
    const own =
      isList(given) || given === undefined ? given : (Object(given) as Readonly<Record<string, unknown>>)[first]
    const { labels } = yield* checkClasses(program, own, { what, classes, bySteps: false, mayNotCount: false })
    return [{ buffer: bufferNames.labels, steps: 1, values: Float32Array.from(labels) }]
  })

/** Checks a batch against a program. Fails with an InputError or a LabelError. */
export const checkBatch = (
  program: Program,
  batch: Batch<Numbers> | undefined,
  owner = "",
): Effect.Effect<Samples, InputError | LabelError> =>
  Effect.gen(function* () {
    const inputs = yield* checkInputs(program, batch?.inputs, owner)
    const [term] = termsOf(program.loss)
    const told = term?.kind.lowering.told(program, batch, owner) ?? ofSamples(program, batch?.labels, `${owner}labels`)
    return { inputs, told: yield* told }
  })
