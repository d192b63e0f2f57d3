/** What a batch tells the loss: classes or real numbers, a sample or a step, checked and as float32. */
import { Effect } from "effect"
import { InputError } from "../errors.ts"
import type { LossTerm, Objective } from "../losses/index.ts"
import { termsOf } from "../losses/objective.ts"
import type { Targets } from "../losses/term.ts"
import { kindOf } from "../losses/term.ts"
import { type Buffer, bufferNames, type Program } from "../program/program.ts"
import { format, size } from "../shape.ts"
import { quote } from "../text.ts"
import { firstNonFinite, type Numbers, toFloat32 } from "../values.ts"
import { type Batch, checkInputs, type Samples, shapeOf, type Told } from "./batch.ts"
import { LabelError } from "./errors.ts"

type Terms = ReadonlyArray<readonly [LossTerm, number]>

/** The terms that take such targets, and whether all of them take those of each step. */
const asking = (
  loss: Objective | undefined,
  targets: Targets,
): { readonly terms: Terms; readonly bySteps: boolean } => {
  const terms = termsOf(loss).flatMap((term, i) => (kindOf(term).targets(term) === targets ? [[term, i] as const] : []))
  return { terms, bySteps: terms.length > 0 && terms.every(([term]) => kindOf(term).over(term) === "step") }
}

/** Values of one row a sample, or where it may be one a sample and step; how many steps that is. */
const stepsOf = (
  program: Program,
  what: string,
  kind: string,
  given: unknown,
  perSample: number,
  bySteps: boolean,
): Effect.Effect<number, InputError> => {
  const { batchSize, timeSteps } = program
  const length = ArrayBuffer.isView(given) || Array.isArray(given) ? (given as unknown as Numbers).length : undefined
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

/** As many steps as a buffer has. */
const repeated = (program: Program, buffer: string, steps: number, values: Float32Array): Told => {
  const { slots } = program.buffers.find(({ name }) => name === buffer) as Buffer
  if (steps === slots) return { buffer, steps, values }
  const whole = new Float32Array(slots * values.length)
  for (let t = 0; t < slots; t++) whole.set(values, t * values.length)
  return { buffer, steps: slots, values: whole }
}

const checkLabels = (
  program: Program,
  given: unknown,
  what: string,
): Effect.Effect<ReadonlyArray<Told>, InputError | LabelError> =>
  Effect.gen(function* () {
    const { loss, batchSize } = program
    const { terms, bySteps } = asking(loss, "classes")
    const hasTerms = Array.isArray(loss)
    if (hasTerms && terms.length === 0) return []
    const [, classes = 0] = shapeOf(program, bufferNames.outputs)
    const steps = yield* stepsOf(program, what, "class numbers", given, 1, bySteps)
    const values: ReadonlyArray<unknown> = Array.from(given as Numbers)
    const isClass = (label: unknown) => Number.isInteger(label) && (label as number) >= 0 && (label as number) < classes
    const wrong = values.findIndex((label) => !isClass(label) && !(hasTerms && label === -1))
    if (wrong >= 0)
      return yield* new LabelError({
        ...{ what, sample: wrong % batchSize, label: values[wrong], classes },
        ...(steps > 1 ? { step: Math.floor(wrong / batchSize) } : {}),
      })
    // Samples that do not count have the weight 0, and some class.
    const labels = Float32Array.from(values, (label) => Math.max(label as number, 0))
    const told = [repeated(program, bufferNames.labels, steps, labels)]
    for (const [term, i] of terms) {
      const { weight, classWeights } = term as Extract<LossTerm, { readonly term: "crossEntropy" }>
      const shares = labels.map((label, at) => (values[at] === -1 ? 0 : (classWeights?.[label] ?? 1)))
      const { slots } = program.buffers.find(({ name }) => name === bufferNames.weights(i)) as Buffer
      const total = (shares.reduce((sum, share) => sum + share, 0) * slots) / steps
      const weights = shares.map((share) => (total > 0 ? (weight * share) / total : 0))
      told.push(repeated(program, bufferNames.weights(i), steps, weights))
    }
    return told
  })

const checkTargets = (program: Program, given: unknown, what: string): Effect.Effect<ReadonlyArray<Told>, InputError> =>
  Effect.gen(function* () {
    const { terms, bySteps } = asking(program.loss, "numbers")
    if (terms.length === 0) return []
    const [, ...output] = shapeOf(program, bufferNames.targets)
    const count = size(output)
    const steps = yield* stepsOf(program, what, `numbers, ${format(output)} a sample,`, given, count, bySteps)
    const targets = toFloat32(given)
    if (targets === undefined) return yield* new InputError({ what, reason: `they are numbers, not ${quote(given)}` })
    const index = firstNonFinite(targets)
    if (index < 0) return [repeated(program, bufferNames.targets, steps, targets)]
    const row = Math.floor(index / count)
    return yield* new InputError({
      ...{ what, sample: row % program.batchSize },
      position: [...(steps > 1 ? [Math.floor(row / program.batchSize)] : []), index % count],
      reason: `${(given as Numbers)[index]} is not a finite number of float32`,
    })
  })

/** A batch that fits the program. */
export const checkBatch = (
  program: Program,
  batch: Batch<Numbers> | undefined,
  owner = "",
): Effect.Effect<Samples, InputError | LabelError> =>
  Effect.all([
    checkInputs(program, batch?.inputs, owner),
    checkLabels(program, batch?.labels, `${owner}labels`),
    checkTargets(program, batch?.targets, `${owner}targets`),
  ]).pipe(Effect.map(([inputs, labels, targets]) => ({ inputs, told: [...labels, ...targets] })))
