/** Batches as programs take them: checked, as float32, split into micro-batches. */
import { Effect } from "effect"
import { InputError } from "../errors.ts"
import { type Buffer, bufferNames, type Program } from "../program/program.ts"
import { format, size } from "../shape.ts"
import { quote } from "../text.ts"
import { firstNonFinite, type Numbers, toFloat32 } from "../values.ts"

/** Values for the first output, or for several outputs and nodes by name. */
export type ByOutput<Values> = Values | Readonly<Record<string, Values>>

/** The data of one batch. Arrays of all numeric types are accepted and rounded to float32. */
export interface Batch<Values extends Numbers = Float32Array> {
  /** Finite numbers, [N, …] with the encoding `static`, [T, N, …] with `frames`. */
  readonly inputs: Values
  /**
   * [N], class indices counted from 0, if the loss requires them. For terms of a loss over steps also [T, N]; with terms, −1 marks
   * a sample or step that does not count. For several outputs, by name.
   */
  readonly labels?: ByOutput<Values>
  /**
   * [N, outputs], finite numbers, if the loss requires them. For terms of a loss over steps also [T, N, outputs]. For several
   * outputs, by name.
   */
  readonly targets?: ByOutput<Values>
}

/** The result of one batch. */
export interface BatchResult {
  /** The loss, averaged over all time steps, whether trained or not. */
  readonly loss: number
  /** [N, classes]: the read-out, summed over time; from predictors with `outputs: "step"`, [T, N, classes]. */
  readonly outputs: Float32Array
  /** The outputs by name, for networks with several. */
  readonly named?: Readonly<Record<string, Float32Array>>
  /** From predictors: the values named by `record`, [T, N, …] each. */
  readonly recorded?: Readonly<Record<string, Float32Array>>
  /** Spikes per neuron and time step, for each layer of spiking neurons in order of execution. */
  readonly firingRates: ReadonlyArray<number>
}

/** Values for a buffer: for each of `steps` time steps, a row per sample. */
export interface Told {
  readonly buffer: string
  readonly steps: number
  readonly values: Float32Array
}

/** A checked batch. Without targets (`told`) in inference. */
export interface Samples {
  readonly inputs: Float32Array
  readonly told?: ReadonlyArray<Told>
}

/** The buffer with a name, which must exist. */
export const bufferOf = ({ buffers }: Program, name: string): Buffer =>
  buffers.find((buffer) => buffer.name === name) as Buffer

/** The shape of the buffer with a name. */
export const shapeOf = (program: Program, name: string) => bufferOf(program, name).shape

/**
 * Checks the inputs of a batch and converts them to float32. `owner` prefixes their name in messages, for example `next.`. Fails
 * with an InputError if their number does not match the program or one is not finite.
 */
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
      return fail(`${format(extents)} is ${size(extents)} values, not ${inputs.length}`)
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

/** The samples of the `part`-th micro-batch of a batch. */
export const partOf = ({ microBatches, encoding, timeSteps }: Program, batch: Samples, part: number): Samples => {
  if (microBatches === 1) return batch
  const share = (values: Float32Array): Float32Array => {
    const length = values.length / microBatches
    return values.subarray(part * length, (part + 1) * length)
  }
  /** The part of an array [steps, N, …]. */
  const shares = (values: Float32Array, steps: number): Float32Array => {
    const stride = values.length / steps
    return joined(Array.from({ length: steps }, (_, t) => share(values.subarray(t * stride, (t + 1) * stride))))
  }
  const told = batch.told?.map(({ buffer, steps, values }) => ({ buffer, steps, values: shares(values, steps) }))
  return { inputs: shares(batch.inputs, encoding === "static" ? 1 : timeSteps), ...(told && { told }) }
}

/** Concatenates arrays. */
export const joined = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
