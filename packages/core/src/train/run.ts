/** Runs a batch on an executable, with or without training. */
import { Effect } from "effect"
import type { Executable } from "../backend/backend.ts"
import type { BackendError } from "../errors.ts"
import { bufferNames, type Call } from "../program/program.ts"
import { firstNonFinite } from "../values.ts"
import { type BatchResult, bufferOf, joined, partOf, type Samples } from "./batch.ts"

/** Writes samples for the next run. */
export const upload = (executable: Executable, { inputs, told = [] }: Samples): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    for (const { buffer, steps, values } of told) {
      const length = values.length / steps
      for (let t = 0; t < steps; t++) yield* executable.write(buffer, values.subarray(t * length, (t + 1) * length), t)
    }
    if (executable.program.encoding === "static") yield* executable.write(bufferNames.input, inputs)
    else if (executable.upload) yield* executable.upload(inputs)
  })

/** The sum of a loss's terms. */
const termsOf = (executable: Executable): Effect.Effect<number, BackendError> =>
  Effect.gen(function* () {
    let sum = 0
    for (const { role, name } of executable.program.buffers)
      if (role === "term") sum += (yield* executable.read(name))[0] as number
    return sum
  })

/** Reorders outputs of micro-batches, part by part, to step by step. */
const byStep = (outputs: ReadonlyArray<Float32Array>, steps: number): ReadonlyArray<Float32Array> =>
  steps === 1 ? outputs : Array.from({ length: steps }, (_, t) => outputs.filter((_, i) => i % steps === t)).flat()

/** Runs a batch, one micro-batch after the other. Stops early if the loss is not finite. */
export const runBatch = (
  executable: Executable,
  batch: Samples,
  callsOf: (part: number) => ReadonlyArray<Call>,
  options: {
    /** Runs before each part. */
    readonly before?: (part: number) => Effect.Effect<void, BackendError>
    /**
     * Whether the batch has been uploaded already. Then it is not split, and neither is `next`, which is uploaded once this batch
     * has run.
     */
    readonly isThere?: boolean
    readonly next?: Samples | undefined
  } = {},
): Effect.Effect<BatchResult, BackendError> =>
  Effect.gen(function* () {
    const { before, isThere = false, next } = options
    const { program } = executable
    const { microBatches } = program
    const { outputs = {}, recorded = {} } = program
    const names = Object.keys(outputs)
    const wanted = {
      outputs: [bufferNames.outputs, ...names.slice(1).map(bufferNames.output)].map((name) => bufferOf(program, name)),
      recorded: Object.values(recorded).map((name) => bufferOf(program, name)),
    }
    const all = [...wanted.outputs, ...wanted.recorded]
    const read = all.map((): Array<Float32Array> => [])
    let metrics: Float32Array = new Float32Array()
    for (let part = 0; part < microBatches; part++) {
      if (before) yield* before(part)
      const samples = partOf(program, batch, part)
      if (!isThere) yield* upload(executable, samples)
      yield* executable.run(callsOf(part), program.encoding === "frames" ? samples.inputs : undefined)
      if (next) yield* upload(executable, next)
      for (const [i, { name, slots }] of all.entries())
        for (let t = 0; t < slots; t++) read[i]?.push(yield* executable.read(name, t))
      metrics = yield* executable.read(bufferNames.metrics)
      if (!Number.isFinite(metrics[0])) break
    }
    const [loss = Number.NaN, ...firingRates] = metrics
    const found = all.map(({ slots }, i) => joined(byStep(read[i] ?? [], slots)))
    const named = Object.fromEntries(names.map((name, i) => [name, found[i] as Float32Array]))
    /** A time-invariant value is repeated for every step. */
    const atEveryStep = (i: number) =>
      joined(Array.from({ length: all[i]?.slots === 1 ? program.timeSteps : 1 }, () => found[i] as Float32Array))
    const seen = Object.keys(recorded).map((name, i) => [name, atEveryStep(wanted.outputs.length + i)] as const)
    return {
      ...{ loss: loss + (yield* termsOf(executable)), firingRates, outputs: found[0] as Float32Array },
      ...(names.length > 1 && { named }),
      ...(seen.length > 0 && { recorded: Object.fromEntries(seen) }),
    }
  })

/** The first layer of neurons with a non-finite membrane, else the read-out. */
export const firstNonFiniteLayer = (executable: Executable): Effect.Effect<string, BackendError> =>
  Effect.gen(function* () {
    const { program } = executable
    for (const name of program.neurons)
      if (firstNonFinite(yield* executable.read(bufferNames.state(name), program.timeSteps - 1)) >= 0) return name
    return "the read-out"
  })
