/**
 * Training: a program on a backend, fed batch by batch.
 *
 * All randomness comes from one key and the number of the update, so a trainer whose tensors were saved after update n and
 * restored goes on with the same bits as one that never stopped.
 */
import { Effect, Random, type Scope } from "effect"
import { Backend, type Executable } from "../backend/backend.ts"
import {
  type BackendError,
  type MismatchError,
  NonFiniteLossError,
  type PolicyError,
  type ProgramError,
  type UnsupportedKernelError,
} from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { fit } from "../interop/fit.ts"
import type { StoredTensor } from "../interop/safetensors.ts"
import { hyperparameters } from "../optimizers/index.ts"
import { draw, type Policy } from "../policies/policy.ts"
import { compile, compileInference, type InferenceOptions, type TrainingOptions } from "../program/compile.ts"
import { bufferNames, type Call, type Program, schedule } from "../program/program.ts"
import * as Key from "../random.ts"
import { initialValues } from "./initialize.ts"
import { joined, partOf } from "./micro-batch.ts"

/** Data of one batch. */
export interface Batch {
  /** [N, …] with the encoding `static`, [T, N, …] with `frames`. */
  readonly inputs: Float32Array
  /** [N], class numbers. */
  readonly labels: Float32Array
}

/** What one batch gave. */
export interface BatchResult {
  /** The loss, its mean over all time steps, trained or not. */
  readonly loss: number
  /** [N, classes]: the read-out, summed over time. */
  readonly outputs: Float32Array
  /** Spikes per neuron and time step of each layer of neurons, in order of execution. */
  readonly firingRates: ReadonlyArray<number>
}

/** Gradients of a batch, by parameter. */
export type Gradients = ReadonlyMap<string, Float32Array>

/** Tensors by the names of their buffers: parameters, statistics, the optimiser's state. */
export type Tensors = ReadonlyMap<string, StoredTensor>

export interface Trainer {
  readonly graph: Graph
  readonly program: Program
  readonly executable: Executable
  /**
   * Trains on one batch; `update` counts batches from 1. `next` is the batch of the next step, where it is known: a backend with a memory of
   * its own takes it while this step's result is waited for. It must stay as it is until then.
   */
  readonly step: (
    batch: Batch,
    options: { readonly update: number; readonly learningRate: number; readonly next?: Batch | undefined },
  ) => Effect.Effect<BatchResult, BackendError | PolicyError | NonFiniteLossError>
  /**
   * What one batch gives before its update: the weights stay as they are, running statistics move. Random draws are those of
   * `step` at the same update.
   */
  readonly differentiate: (
    batch: Batch,
    options: { readonly update: number },
  ) => Effect.Effect<BatchResult & { readonly gradients: Gradients }, BackendError | PolicyError | NonFiniteLossError>
  /** A copy of all that training changes. */
  readonly save: Effect.Effect<Tensors, BackendError>
  /** Puts saved tensors back: these and no others. */
  readonly load: (tensors: Tensors) => Effect.Effect<void, BackendError | MismatchError>
  /** Takes over the parameters and statistics among the tensors. */
  readonly loadParameters: (tensors: Tensors) => Effect.Effect<void, BackendError | MismatchError>
}

const keptKinds: ReadonlySet<string> = new Set(["parameter", "statistic", "optimizer"])

/** Prepares a trainer. Its memory belongs to the scope. */
export const make = (
  graph: Graph,
  policy: Policy,
  options: TrainingOptions & { readonly key: Key.Key },
): Effect.Effect<Trainer, PolicyError | ProgramError | UnsupportedKernelError | BackendError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* compile(graph, policy, options)
    const executable = yield* (yield* Backend).prepare(program)
    const first = Key.fold(options.key, "parameters")
    for (const parameter of graph.parameters)
      yield* executable.write(bufferNames.parameter(parameter.name), (out) => initialValues(parameter, first, out))

    const keyed = program.buffers.filter(({ elements }) => elements === "words").map(({ name }) => name)
    const optimizer = options.optimizer
    const kept = program.buffers.filter(({ kind }) => keptKinds.has(kind))
    /** The batch that is there already. */
    let uploaded: Batch | undefined

    /** Runs one batch, with or without its update. A loss that is not finite is an error, whatever it has done to the weights. */
    const runUpdate = (batch: Batch, update: number, withUpdate: boolean, next?: Batch) =>
      Effect.gen(function* () {
        const key = Key.fold(options.key, "update", update)
        const trained = yield* draw(policy, program.timeSteps).pipe(
          Effect.provideService(Random.Random, Key.generator(Key.fold(key, "steps"))),
        )
        const writeKeys = Effect.fnUntraced(function* (part: number) {
          for (const name of keyed) {
            const { hi, lo } = Key.fold(key, name, part)
            yield* executable.write(name, Uint32Array.of(hi, lo))
          }
        })
        const callsOf = (part: number) => {
          const calls = schedule(program, trained, part)
          return withUpdate ? calls : calls.filter(({ segment }) => segment !== "update")
        }
        const isThere = uploaded === batch
        uploaded = undefined
        const ahead = program.microBatches === 1 ? next : undefined
        const result = yield* runBatch(executable, batch, callsOf, { before: writeKeys, isThere, next: ahead })
        uploaded = ahead
        if (!Number.isFinite(result.loss))
          return yield* new NonFiniteLossError({ update, layer: yield* firstNonFinite(executable) })
        return result
      })

    const step: Trainer["step"] = (batch, { update, learningRate, next }) =>
      Effect.gen(function* () {
        yield* executable.write(bufferNames.hyperparameters, hyperparameters(optimizer, learningRate, update))
        return yield* runUpdate(batch, update, true, next)
      })

    return {
      graph,
      program,
      executable,
      step,
      differentiate: (batch, { update }) =>
        Effect.gen(function* () {
          const result = yield* runUpdate(batch, update, false)
          const gradients = new Map<string, Float32Array>()
          for (const { name, role } of graph.parameters)
            if (role === "weight" && program.buffers.some((buffer) => buffer.name === bufferNames.gradient(name)))
              gradients.set(name, yield* executable.read(bufferNames.gradient(name)))
          return { ...result, gradients }
        }),
      save: Effect.gen(function* () {
        const tensors = new Map<string, StoredTensor>()
        for (const { name, shape } of kept) tensors.set(name, { shape, values: yield* executable.read(name) })
        return tensors
      }),
      load: (tensors) =>
        Effect.gen(function* () {
          yield* fit(new Map(kept.map(({ name, shape }) => [name, shape])), tensors)
          for (const { name } of kept) yield* executable.write(name, (tensors.get(name) as StoredTensor).values)
        }),
      loadParameters: parameterLoader(graph, executable),
    }
  })

/** Predicts with a trained network. */
export interface Predictor {
  readonly program: Program
  readonly executable: Executable
  /** Outputs and firing rates of one batch; no loss is computed. */
  readonly predict: (inputs: Float32Array) => Effect.Effect<Omit<BatchResult, "loss">, BackendError>
  /** Takes over the parameters and statistics among the tensors. */
  readonly load: (tensors: Tensors) => Effect.Effect<void, BackendError | MismatchError>
}

/** Prepares a predictor. Its memory belongs to the scope. */
export const makePredictor = (
  graph: Graph,
  options: InferenceOptions,
): Effect.Effect<Predictor, ProgramError | UnsupportedKernelError | BackendError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* compileInference(graph, options)
    const executable = yield* (yield* Backend).prepare(program)
    return {
      program,
      executable,
      predict: (inputs) => runBatch(executable, { inputs }, (part) => schedule(program, [], part)),
      load: parameterLoader(graph, executable),
    }
  })

const parameterPrefix = bufferNames.parameter("")

/** Writes all parameters and statistics of a graph; other tensors are left alone. */
const parameterLoader =
  (graph: Graph, executable: Executable) =>
  (tensors: Tensors): Effect.Effect<void, BackendError | MismatchError> =>
    Effect.gen(function* () {
      yield* fit(
        new Map(graph.parameters.map(({ name, shape }) => [bufferNames.parameter(name), shape])),
        new Map([...tensors].filter(([name]) => name.startsWith(parameterPrefix))),
      )
      // A program has no place for a parameter that nothing reads.
      const known = new Set(executable.program.buffers.map(({ name }) => name))
      for (const [name, { values }] of tensors)
        if (name.startsWith(parameterPrefix) && known.has(name)) yield* executable.write(name, values)
    })

type Samples = Omit<Batch, "labels"> & Partial<Batch>

/** Puts samples where the next run takes them from. */
const upload = (executable: Executable, { inputs, labels }: Samples): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    if (labels) yield* executable.write(bufferNames.labels, labels)
    if (executable.program.encoding === "static") yield* executable.write(bufferNames.input, inputs)
    else if (executable.upload) yield* executable.upload(inputs)
  })

/** Runs a batch, micro-batch by micro-batch; ends early where the loss is no longer finite. */
const runBatch = (
  executable: Executable,
  batch: Samples,
  callsOf: (part: number) => ReadonlyArray<Call>,
  options: {
    /** Runs before each part. */
    readonly before?: (part: number) => Effect.Effect<void, BackendError>
    /** Whether the batch has been uploaded; it is whole then, as `next` is, which is uploaded once this one runs. */
    readonly isThere?: boolean
    readonly next?: Samples | undefined
  } = {},
): Effect.Effect<BatchResult, BackendError> =>
  Effect.gen(function* () {
    const { before, isThere = false, next } = options
    const { program } = executable
    const { microBatches } = program
    const outputs: Array<Float32Array> = []
    let metrics: Float32Array = new Float32Array()
    for (let part = 0; part < microBatches; part++) {
      if (before) yield* before(part)
      const samples = partOf(program, batch, part)
      if (!isThere) yield* upload(executable, samples)
      yield* executable.run(callsOf(part), program.encoding === "frames" ? samples.inputs : undefined)
      if (next) yield* upload(executable, next)
      outputs.push(yield* executable.read(bufferNames.outputs))
      metrics = yield* executable.read(bufferNames.metrics)
      if (!Number.isFinite(metrics[0])) break
    }
    const [loss = Number.NaN, ...firingRates] = metrics
    return { loss, firingRates, outputs: joined(outputs) }
  })

/** The first layer of neurons whose membrane is not finite; else the read-out. */
const firstNonFinite = (executable: Executable): Effect.Effect<string, BackendError> =>
  Effect.gen(function* () {
    const { program } = executable
    for (const name of program.neurons) {
      const membrane = yield* executable.read(bufferNames.state(name), program.timeSteps - 1)
      if (!membrane.every(Number.isFinite)) return name
    }
    return "the read-out"
  })
