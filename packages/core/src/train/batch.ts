/** A batch on its way into a program: checked, as float32, and cut into micro-batches. */
import { Effect } from "effect"
import { InputError } from "../errors.ts"
import { type Buffer, bufferNames, type Program } from "../program/program.ts"
import { format, size } from "../shape.ts"
import { quote } from "../text.ts"
import { firstNonFinite, type Numbers, toFloat32 } from "../values.ts"

/** Values of the first output, or by the names of outputs and nodes. */
export type ByOutput<Values> = Values | Readonly<Record<string, Values>>

/** Data of one batch. Arrays of every numeric kind are taken, and rounded to float32. */
export interface Batch<Values extends Numbers = Float32Array> {
  /** [N, …] with the encoding `static`, [T, N, …] with `frames`; finite. */
  readonly inputs: Values
  /**
   * [N], class numbers counted from 0. For terms of a loss over steps also [T, N]; with terms, −1 is a sample or step that does not count.
   * For the loss, where it takes them. Of several outputs by name.
   */
  readonly labels?: ByOutput<Values>
  /** [N, outputs] real numbers, or for terms of a loss over steps [T, N, outputs], where the loss takes them; finite. By name as labels. */
  readonly targets?: ByOutput<Values>
}

/** What one batch gave. */
export interface BatchResult {
  /** The loss, its mean over all time steps, trained or not. */
  readonly loss: number
  /** [N, classes]: the read-out, summed over time; of predictors that are asked for each step, [T, N, classes]. */
  readonly outputs: Float32Array
  /** The same of each output by name, of networks with several. */
  readonly named?: Readonly<Record<string, Float32Array>>
  /** Of predictors: what `record` names, [T, N, …] of each. */
  readonly recorded?: Readonly<Record<string, Float32Array>>
  /** Spikes per neuron and time step of each layer of neurons, in order of execution. */
  readonly firingRates: ReadonlyArray<number>
}

/** What a buffer is set to: for each of `steps` time steps, a row for each sample. */
export interface Told {
  readonly buffer: string
  readonly steps: number
  readonly values: Float32Array
}

/** A batch that fits its program; to predict, nothing is told of it. */
export interface Samples {
  readonly inputs: Float32Array
  readonly told?: ReadonlyArray<Told>
}

export const bufferOf = ({ buffers }: Program, name: string): Buffer =>
  buffers.find((buffer) => buffer.name === name) as Buffer

export const shapeOf = (program: Program, name: string) => bufferOf(program, name).shape

/** Inputs that fit the program, as finite float32. `owner` begins the name of what was given, as `next.`. */
export const checkInputs = (program: Program, given: unknown, owner = ""): Effect.Effect<Float32Array, InputError> =>
  Effect.suspend(() => {
    const { batchSize, timeSteps, encoding } = program
    const fail = (reason: string, at: Pick<InputError, "sample" | "position"> = {}) =>
      Effect.fail(new InputError({ what: `${owner}inputs`, reason, ...at }))
    const shape = shapeOf(program, bufferNames.input).slice(1)
    const extents = [...(encoding === "frames" ? [timeSteps] : []), batchSize, ...shape]
    const inputs = toFloat32(given)
    if (inputs === undefined) return fail(`it must be an array of ${format(extents)} numbers, not ${quote(given)}`)
    if (inputs.length !== size(extents))
      return fail(`${format(extents)} are ${size(extents)} values, not ${inputs.length}`)
    const index = firstNonFinite(inputs)
    if (index < 0) return Effect.succeed(inputs)
    const perSample = size(shape)
    const row = Math.floor(index / perSample)
    let rest = index % perSample
    const position = shape.toReversed().map((extent) => {
      const at = rest % extent
      rest = (rest - at) / extent
      return at
    })
    return fail(`${(given as Numbers)[index]} is not a finite number of float32`, {
      sample: row % batchSize,
      position: [...(encoding === "frames" ? [Math.floor(row / batchSize)] : []), ...position.toReversed()],
    })
  })

/** The samples of a batch's `part`-th micro-batch. */
export const partOf = ({ microBatches, encoding, timeSteps }: Program, batch: Samples, part: number): Samples => {
  if (microBatches === 1) return batch
  const share = (values: Float32Array): Float32Array => {
    const length = values.length / microBatches
    return values.subarray(part * length, (part + 1) * length)
  }
  /** Of [steps, N, …]: every step has its share. */
  const shares = (values: Float32Array, steps: number): Float32Array => {
    const stride = values.length / steps
    return joined(Array.from({ length: steps }, (_, t) => share(values.subarray(t * stride, (t + 1) * stride))))
  }
  const told = batch.told?.map(({ buffer, steps, values }) => ({ buffer, steps, values: shares(values, steps) }))
  return { inputs: shares(batch.inputs, encoding === "static" ? 1 : timeSteps), ...(told && { told }) }
}

/** One array after the other. */
export const joined = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
