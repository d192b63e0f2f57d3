/**
 * Inference from a program file, without the compiler: the kernels run the encoded program of the file as it is.
 *
 * This code is meant for edge functions and web pages, where every kilobyte counts: plain functions that throw, no Effect, none of core's
 * ops, and manual validation instead of a Schema. program-file.ts describes the file.
 */
import { named, optionFault, quote } from "@spikeroute/core/text"
import { firstNonFinite, type Numbers, toFloat32 } from "@spikeroute/core/values"
import type { Engine } from "./engine.ts"
import { bufferAt, type PackedBuffer, segmentNumbers } from "./packed.ts"
import { aligned, headerOffset, ProgramFileError, programOf } from "./program-layout.ts"
import { describeRefusal } from "./refusals.ts"

export { ProgramFileError }

/** An input does not fit the model, is not finite, or leads to outputs that are not. */
export class InputError extends Error {
  readonly _tag = "InputError"
  override readonly name = "InputError"
}

/** A network's prediction for a batch of N samples. */
export interface Prediction {
  /** The class of each sample: the index of its largest output, the first of equals. */
  readonly classes: ReadonlyArray<number>
  /** [N, classes]: the read-out, summed over the steps that the sample took. If there are several read-outs, the first. */
  readonly outputs: Float32Array
  /** All read-outs by name, if there are several. */
  readonly named?: Readonly<Record<string, Float32Array>>
  /** Time steps that each sample took, and their mean. */
  readonly steps: ReadonlyArray<number>
  readonly meanSteps: number
}

/** A network's answer after one more step of a stream. */
export interface StreamStep {
  /** Index of the step, from 0. */
  readonly step: number
  /** The class of each sample, by `outputs`. */
  readonly classes: ReadonlyArray<number>
  /** [N, classes]: the read-out, summed over the last `timeSteps` steps. */
  readonly outputs: Float32Array
  /** All read-outs by name, if there are several. */
  readonly named?: Readonly<Record<string, Float32Array>>
  /** [N, classes]: the read-out of this step alone. */
  readonly logits: Float32Array
}

/** A network that is ready to run. It has a single state, so it handles one batch or one stream at a time. */
export interface Model {
  readonly batchSize: number
  /** Time steps of a sample. */
  readonly timeSteps: number
  /** `static`: a sample is one image, repeated at every step. `frames`: a sample has one frame per step. */
  readonly encoding: "static" | "frames"
  /** Shape of one sample at one step, for example `[height, width, channels]`. */
  readonly shape: ReadonlyArray<number>
  readonly classCount: number
  /**
   * Predicts a batch. `inputs` are [N, …shape], or [T, N, …shape] with the encoding `frames`, in any numeric array; values are rounded to
   * float32.
   *
   * With a `margin` each sample exits early: after the first step at which its largest summed output exceeds the second largest by at least
   * the margin. Summed outputs are the log-odds of a softmax up to a constant, so a margin m means that the first class is at least eᵐ times
   * as probable as the second. This is the Top-K cutoff with K = 1 of Wu, Jin, Yu, Yi, Huang, "Optimizing event-driven spiking neural network
   * with regularization and cutoff", Frontiers in Neuroscience 19, 2025, with one threshold for all steps. The batch runs until all its
   * samples have exited.
   *
   * @throws InputError if the number of values or the margin is invalid, or a value or an output is not finite
   * @example
   * const { classes, meanSteps } = model.predict(frames, { margin: 4 })
   */
  readonly predict: (inputs: Numbers, options?: { readonly margin?: number }) => Prediction
  /** Starts a new sample with all states at rest. With the encoding `static` it takes the images, [N, …shape]. */
  readonly begin: (images?: Numbers) => void
  /** Runs one more step from the current state; takes a frame, [N, …shape], with the encoding `frames`. Returns the first read-out, [N, classes]. */
  readonly step: (frame?: Numbers) => Float32Array
  /**
   * Runs one step per incoming frame, [N, …shape], and keeps the state for the length of the stream. Encoding `frames` only. Calling `begin`,
   * `step` or `predict`, or starting another stream, ends this one with an InputError, because a model has a single state.
   */
  readonly stream: (frames: AsyncIterable<Numbers>) => AsyncGenerator<StreamStep, void, undefined>
  /**
   * Replaces the weights, also in the middle of a sample. `tensors` must contain every parameter of the network, by name; others are ignored.
   *
   * @throws InputError if a tensor is missing, has the wrong size or is not finite; no weight has changed then
   */
  readonly load: (tensors: ReadonlyMap<string, { readonly values: Numbers }>) => void
  /** Total bytes of the network: arena, program and scratch memory. */
  readonly bytes: number
}

/** All read-outs, the first one first. */
type Outputs = ReadonlyArray<Float32Array>

const none = new Float32Array()

/** The index of a sample's largest output, and its margin over the second largest. */
const leaderOf = (outputs: Float32Array, first: number, count: number) => {
  let leader = 0
  let second = Number.NEGATIVE_INFINITY
  for (let i = 1; i < count; i++) {
    const value = outputs[first + i] as number
    const largest = outputs[first + leader] as number
    if (value > largest) {
      second = largest
      leader = i
    } else if (value > second) second = value
  }
  // With one class there is no margin.
  return { leader, margin: count > 1 ? (outputs[first + leader] as number) - second : Number.NaN }
}

const prefix = "parameter/"
const outputPrefix = "outputs/"

/** Largest time step: a 32-bit integer. */
const mostSteps = 2 ** 31 - 1

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b))

/**
 * Loads a program file on an engine.
 *
 * The file is not trusted: this function validates its header and sizes, and the kernels validate the program down to each operand.
 *
 * @throws ProgramFileError if the file is invalid or needs more memory than available
 */
export const load = (engine: Engine, file: Uint8Array): Model => {
  const { entries, encoding, buffers, packed, offset: programOffset } = programOf(file)
  const fail = (reason: string, offset = programOffset): never => {
    throw new ProgramFileError(reason, offset)
  }
  const opened = engine.open(packed)
  const session = typeof opened === "number" ? fail(`the program cannot run: ${describeRefusal(opened)}`) : opened

  // --- buffers

  const bufferOf = (name: string): PackedBuffer => {
    const buffer = Object.hasOwn(buffers, name) ? bufferAt(packed, buffers[name] as number) : undefined
    return buffer?.elements === "float32"
      ? buffer
      : fail(`the program has no buffer ${named(name)} of float32`, headerOffset)
  }
  /** Period of the buffers' slots in time steps; a stream's step counter wraps around there. Infinite if it exceeds 31 bits. */
  let period = 1
  for (let i = 0; i < (packed[2] as number) && period <= mostSteps; i++) {
    const { period: own = 1 } = bufferAt(packed, i) ?? {}
    period *= own / commonDivisor(period, own)
  }
  if (period > mostSteps) period = Number.POSITIVE_INFINITY
  const input = bufferOf("input")
  const readout = bufferOf("outputs")
  const [batchSize = 0, classCount = 0] = readout.shape
  if (readout.shape.length !== 2 || readout.size === 0 || input.shape[0] !== batchSize)
    fail("input and outputs have different batch sizes")
  const heads = Object.keys(buffers).filter((name) => name.startsWith(outputPrefix))
  const all = [readout, ...heads.map(bufferOf)]
  if (all.some(({ shape, size }) => size === 0 || shape[0] !== batchSize)) fail("outputs have different batch sizes")
  const parameters = new Map(
    Object.keys(buffers)
      .filter((name) => name.startsWith(prefix))
      .map((name) => [name.slice(prefix.length), bufferOf(name)]),
  )
  const timeSteps = packed[3] as number
  const shape = input.shape.slice(1)

  const valuesOf = ({ offset, size }: PackedBuffer): Float32Array => {
    const words = session.words(offset, size)
    return new Float32Array(words.buffer, words.byteOffset, size)
  }
  let t = 0
  const run = (...segments: ReadonlyArray<number>): void => {
    const refusal = session.run(Int32Array.from(segments.flatMap((segment) => [segment, t])))
    if (refusal !== 0) throw new Error(describeRefusal(refusal))
  }

  for (const [name, buffer] of parameters) {
    // Older files name tensors as their buffers.
    const entry =
      entries.get(name) ?? entries.get(prefix + name) ?? fail(`the file has no tensor ${named(name)}`, headerOffset)
    if (entry.dtype !== "F32") fail(`tensor ${named(name)} is ${named(entry.dtype)}; it must be F32`, entry.from)
    if (entry.to - entry.from !== 4 * buffer.size)
      fail(`tensor ${named(name)} has ${(entry.to - entry.from) / 4} values, not ${buffer.size}`, entry.from)
    const values = new Float32Array(aligned(file, entry))
    const index = firstNonFinite(values)
    if (index >= 0)
      fail(`tensor ${named(name)}: value ${index} is ${values[index]}, not finite`, entry.from + 4 * index)
    valuesOf(buffer).set(values)
  }

  // --- running

  /** Validates `count` arrays of the input's shape and returns them as float32. */
  const checked = (given: unknown, what: string, count = 1): Float32Array => {
    const values = toFloat32(given)
    const expected = count * input.size
    if (values?.length !== expected) {
      const extents = [...(what === "inputs" && encoding === "frames" ? [count] : []), ...input.shape].join("×")
      throw new InputError(`${what} of ${extents} must have ${expected} values, not ${values?.length ?? quote(given)}`)
    }
    const index = firstNonFinite(values)
    if (index < 0) return values
    const perSample = input.size / batchSize
    const row = Math.floor(index / perSample)
    throw new InputError(
      `${what}: value ${index % perSample} of sample ${row % batchSize}${count > 1 ? ` at step ${Math.floor(row / batchSize)}` : ""} is ${values[index]}, not finite`,
    )
  }
  const finite = (outputs: Float32Array): Float32Array => {
    const index = firstNonFinite(outputs)
    if (index < 0) return outputs
    const count = outputs.length / batchSize
    throw new InputError(
      `output ${index % count} of sample ${Math.floor(index / count)} is ${outputs[index]}: the inputs or the weights are too large for float32`,
    )
  }

  /** Owner of the state: none at first, then the caller of `begin` and `step`, or a stream, identified by a token. */
  let owner: object | undefined
  const caller = {}
  const beginFor = (next: object): void => {
    owner = next
    t = 0
    run(segmentNumbers.clear, segmentNumbers.begin)
  }
  /** Runs one step and returns its read-outs. The frame has been validated. */
  const advance = (frame?: Float32Array): Outputs => {
    if (frame) valuesOf(input).set(frame)
    // The program accumulates read-outs, so clear them first.
    for (const each of all) valuesOf(each).fill(0)
    run(segmentNumbers.forward)
    t = (t + 1) % period
    return all.map((each) => valuesOf(each).slice())
  }

  const begin: Model["begin"] = (images) => {
    if (encoding === "static") valuesOf(input).set(checked(images, "images"))
    beginFor(caller)
  }
  const frameOf = (given: unknown) => (encoding === "frames" ? checked(given, "frames") : undefined)

  const step: Model["step"] = (given) => {
    const frame = frameOf(given)
    if (owner === undefined) begin()
    const [logits = none] = advance(frame)
    // Takes the state away from a stream, if one owned it.
    owner = caller
    return finite(logits)
  }

  const sums = (): Outputs => all.map(({ size }) => new Float32Array(size))
  const add = (outputs: Outputs, logits: Outputs, sample: number): void =>
    outputs.forEach((sum, k) => {
      const count = sum.length / batchSize
      for (let i = sample * count; i < (sample + 1) * count; i++) sum[i]! += logits[k]?.[i] as number
    })
  /** Classes and read-outs of a prediction. */
  const told = (sums: Outputs) => {
    const [outputs = none, ...others] = sums.map(finite)
    const named = heads.map((name, i) => [name.slice(outputPrefix.length), others[i] as Float32Array])
    return { classes: classesOf(outputs), outputs, ...(heads.length > 0 && { named: Object.fromEntries(named) }) }
  }
  const samples = Array.from({ length: batchSize }, (_, sample) => sample)
  const classesOf = (outputs: Float32Array) =>
    samples.map((sample) => leaderOf(outputs, sample * classCount, classCount).leader)

  const predict: Model["predict"] = (given, options = {}) => {
    const fault = optionFault(options, ["margin"])
    if (fault !== undefined) throw new InputError(fault)
    const { margin } = options
    if (margin !== undefined && !(typeof margin === "number" && margin >= 0))
      throw new InputError(`margin ${quote(margin)}: it must be a number of at least 0`)
    const frames = encoding === "frames"
    const inputs = checked(given, "inputs", frames ? timeSteps : 1)
    if (!frames) valuesOf(input).set(inputs)
    beginFor(caller)
    const outputs = sums()
    const steps = samples.map(() => timeSteps)
    let going = samples
    for (let t = 0; t < timeSteps && going.length > 0; t++) {
      const logits = advance(frames ? inputs.subarray(t * input.size, (t + 1) * input.size) : undefined)
      for (const sample of going) add(outputs, logits, sample)
      if (margin === undefined) continue
      going = going.filter((sample) => {
        if (!(leaderOf(outputs[0] ?? none, sample * classCount, classCount).margin >= margin)) return true
        steps[sample] = t + 1
        return false
      })
    }
    const meanSteps = steps.reduce((sum, count) => sum + count, 0) / batchSize
    return { ...told(outputs), steps, meanSteps }
  }

  async function* stream(frames: AsyncIterable<Numbers>): AsyncGenerator<StreamStep, void, undefined> {
    if (encoding === "static")
      throw new InputError("the program takes one image for all steps; a stream needs the encoding frames")
    if (typeof frames !== "object" || frames === null || !(Symbol.asyncIterator in frames || Symbol.iterator in frames))
      throw new InputError(`frames must be an async iterable, not ${quote(frames)}`)
    const own = {}
    beginFor(own)
    let recent: ReadonlyArray<Outputs> = []
    let count = 0
    for await (const frame of frames) {
      if (owner !== own)
        throw new InputError("this model was used for something else between two frames; load one model per stream")
      const logits = advance(frameOf(frame))
      recent = [...recent, logits].slice(-timeSteps)
      const outputs = sums()
      for (const each of recent) for (const sample of samples) add(outputs, each, sample)
      yield { step: count++, ...told(outputs), logits: logits[0] ?? none }
    }
  }

  return {
    batchSize,
    timeSteps,
    encoding,
    shape,
    classCount,
    predict,
    begin,
    step,
    stream,
    load: (tensors) => {
      if (!(tensors instanceof Map)) throw new InputError(`tensors must be a Map by name, not ${quote(tensors)}`)
      const taken = [...parameters].map(([name, buffer]) => {
        const given = (tensors.get(name) ?? tensors.get(prefix + name))?.values
        const values = toFloat32(given)
        if (values?.length !== buffer.size)
          throw new InputError(
            `tensor ${named(name)} has ${values?.length ?? "no"} values where the network takes ${buffer.size}`,
          )
        const index = firstNonFinite(values)
        if (index >= 0) throw new InputError(`tensor ${named(name)}: value ${index} is ${values[index]}, not finite`)
        return [buffer, values] as const
      })
      for (const [buffer, values] of taken) valuesOf(buffer).set(values)
    },
    bytes: session.bytes,
  }
}
