/**
 * The targets that a batch provides for the terms of a loss: classes or numbers, per sample or per step, for one value or for
 * several by name.
 */
import { Effect } from "effect"
import { InputError } from "../errors.ts"
import { bufferNames, nameOf, type Program } from "../program/program.ts"
import { format, size } from "../shape.ts"
import { quote } from "../text.ts"
import { type Batch, shapeOf, type Told } from "../train/batch.ts"
import type { LabelError } from "../train/errors.ts"
import { checkClasses, isList, repeated, stepsOf } from "../train/targets.ts"
import { firstNonFinite, type Numbers, toFloat32 } from "../values.ts"
import type { LossTerm } from "./index.ts"
import { type Asked, askedBy } from "./objective.ts"
import { kindOf } from "./term.ts"

/** The targets given for one value, and their name in messages. The first output needs no name. */
const givenFor = ({ outputs = {} }: Program, given: unknown, what: string, { owner }: Pick<Asked, "owner">) => {
  if (isList(given) || typeof given !== "object" || given === null)
    return owner === undefined ? { values: given, what } : { values: undefined, what: `${what}.${owner}` }
  const name = owner ?? Object.keys(outputs)[0] ?? ""
  return { values: (given as Readonly<Record<string, unknown>>)[name], what: `${what}.${name}` }
}

/** The classes of samples, once or per step; `undefined` for samples that do not count. */
interface Classes {
  readonly labels: ReadonlyArray<number | undefined>
  readonly classes: number
}

/** The sample weights and rows of a term, from the samples' classes. */
const buffersOf = (
  program: Program,
  [term, i]: readonly [LossTerm, number],
  { labels, classes }: Classes,
): ReadonlyArray<Told> => {
  const { timeSteps, batchSize } = program
  const kind = kindOf(term)
  const over = kind.over(term)
  const steps = over === "step" ? timeSteps : 1
  const given = labels.length / batchSize
  const share = kind.share ?? (() => 1)
  const factor = kind.factor ?? share
  const total =
    (labels.reduce((sum: number, label) => sum + (label === undefined ? 0 : share(term, label)), 0) * steps) / given
  const scale = total > 0 ? 1 / total : 0
  const told = (role: "weights" | "rows", values: Float32Array): Told => {
    const buffer = nameOf({ role, owner: `${i}` })
    if (over !== "last") return repeated(program, buffer, given, values)
    const whole = new Float32Array(timeSteps * values.length)
    whole.set(values, (timeSteps - 1) * values.length)
    return { buffer, steps: timeSteps, values: whole }
  }
  const found: Array<Told> = []
  if (kind.share)
    found.push(
      told(
        "weights",
        Float32Array.from(labels, (label) => (label === undefined ? 0 : scale * factor(term, label))),
      ),
    )
  if (kind.row && kind.rows?.(term)) {
    const rows = new Float32Array(labels.length * classes)
    for (const [n, label] of labels.entries())
      kind.row(term, { label, scale, timeSteps }, rows.subarray(n * classes, (n + 1) * classes))
    found.push(told("rows", rows))
  }
  return found
}

const checkLabels = (
  program: Program,
  all: unknown,
  name: string,
  asked: Asked,
): Effect.Effect<ReadonlyArray<Told>, InputError | LabelError> =>
  Effect.gen(function* () {
    const { values: given, what } = givenFor(program, all, name, asked)
    const { owner, terms } = asked
    const [, classes = 0] = shapeOf(program, owner === undefined ? bufferNames.outputs : bufferNames.output(owner))
    const mayNotCount = terms.every(([term]) => kindOf(term).share !== undefined)
    const { steps, labels } = yield* checkClasses(program, given, {
      ...{ what, classes, bySteps: asked.allBySteps, mayNotCount },
    })
    const buffer = nameOf({ role: "labels", ...(owner !== undefined && { owner }) })
    // Samples that do not count have weight 0 and an arbitrary class.
    const values = Float32Array.from(labels, (label) => Math.max(label, 0))
    const told = program.buffers.some((each) => each.name === buffer) ? [repeated(program, buffer, steps, values)] : []
    const counted = labels.map((label) => (label === -1 ? undefined : label))
    return [...told, ...terms.flatMap((term) => buffersOf(program, term, { labels: counted, classes }))]
  })

const checkTargets = (
  program: Program,
  all: unknown,
  name: string,
  asked: Asked,
): Effect.Effect<ReadonlyArray<Told>, InputError> =>
  Effect.gen(function* () {
    const { values: given, what } = givenFor(program, all, name, asked)
    const buffer = nameOf({ role: "targets", ...(asked.owner !== undefined && { owner: asked.owner }) })
    const [, ...output] = shapeOf(program, buffer)
    const count = size(output)
    const steps = yield* stepsOf(
      program,
      what,
      `numbers (${format(output)} for each sample)`,
      given,
      count,
      asked.allBySteps,
    )
    const targets = toFloat32(given)
    if (targets === undefined)
      return yield* new InputError({ what, reason: `it must be an array of numbers, not ${quote(given)}` })
    const index = firstNonFinite(targets)
    if (index < 0) return [repeated(program, buffer, steps, targets)]
    const row = Math.floor(index / count)
    return yield* new InputError({
      ...{ what, sample: row % program.batchSize },
      position: [...(steps > 1 ? [Math.floor(row / program.batchSize)] : []), index % count],
      reason: `${(given as Numbers)[index]} is not a finite number of float32`,
    })
  })

/**
 * All targets that a batch provides for the terms of a program's loss. Fails with an InputError or a LabelError if they do not
 * match.
 */
export const toldBy = (
  program: Program,
  batch: Batch<Numbers> | undefined,
  owner: string,
): Effect.Effect<ReadonlyArray<Told>, InputError | LabelError> =>
  Effect.gen(function* () {
    const { loss, outputs = {} } = program
    const labels = yield* Effect.forEach(askedBy(loss, outputs, "classes"), (asked) =>
      checkLabels(program, batch?.labels, `${owner}labels`, asked),
    )
    const targets = yield* Effect.forEach(askedBy(loss, outputs, "numbers"), (asked) =>
      checkTargets(program, batch?.targets, `${owner}targets`, asked),
    )
    return [...labels, ...targets].flat()
  })
