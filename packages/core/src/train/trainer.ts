/**
 * Training: runs a training program on a backend, batch by batch.
 *
 * All randomness is derived from one key and the number of the update, so a trainer whose tensors were saved after update n and
 * loaded again continues bit-identically to one that was not interrupted.
 */
import { Effect, Random, Schema, type Scope } from "effect"
import { Backend, type Executable } from "../backend/backend.ts"
import type {
  BackendError,
  InputError,
  NonFiniteTensorError,
  OptionError,
  PolicyError,
  ProgramError,
  UnsupportedKernelError,
} from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { ensureFinite, fit } from "../interop/fit.ts"
import type { StoredTensor } from "../interop/safetensors.ts"
import type { Optimizer } from "../optimizers/optimizer.ts"
import * as Options from "../options.ts"
import { draw, type Policy } from "../policies/policy.ts"
import { compile } from "../program/compile.ts"
import type { TrainingOptions } from "../program/options.ts"
import { type Buffer, type BufferKind, bufferNames, type Program } from "../program/program.ts"
import { schedule } from "../program/schedule.ts"
import { hyperparametersOf } from "../program/weights.ts"
import * as Key from "../random.ts"
import { size } from "../shape.ts"
import { firstNonFinite, type Numbers } from "../values.ts"
import type { Batch, BatchResult, Samples } from "./batch.ts"
import { type LabelError, NonFiniteLossError } from "./errors.ts"
import { initialValues } from "./initialize.ts"
import { type LoadError, loadParameters, oneAtATime, type Tensors } from "./predictor.ts"
import { firstNonFiniteLayer, runBatch } from "./run.ts"
import { checkBatch } from "./targets.ts"

/** Gradients of a batch, by name of the parameter. */
export type Gradients = ReadonlyMap<string, Float32Array>

/** Errors of a step: its arguments or data before anything ran, or its results. Nothing has been updated. */
export type StepError = BackendError | PolicyError | OptionError | InputError | LabelError | NonFiniteLossError

/** Options of a training step. */
export interface StepOptions {
  /** Number of the batch, counted from 1. */
  readonly update: number
  /** The learning rate, at least 0. */
  readonly learningRate: number
  /**
   * The batch of the next step, if known. Backends with separate memory upload it while the result of this step is pending. It must
   * not change until then.
   */
  readonly next?: Batch<Numbers> | undefined
}

/** Trains a network. Its effects are serialised, and an effect that has started runs to completion even if it is interrupted. */
export interface Trainer {
  readonly graph: Graph
  /** The compiled program. */
  readonly program: Program
  /** The program on the backend. */
  readonly executable: Executable
  /** Trains on one batch: forward, backward and update. */
  readonly step: (batch: Batch<Numbers>, options: StepOptions) => Effect.Effect<BatchResult, StepError>
  /**
   * Computes results and gradients of one batch without updating the weights; running statistics are updated. Random draws are
   * those of `step` for the same update.
   */
  readonly differentiate: (
    batch: Batch<Numbers>,
    options: Pick<StepOptions, "update">,
  ) => Effect.Effect<BatchResult & { readonly gradients: Gradients }, StepError>
  /**
   * Returns a copy of everything that training changes: parameters, statistics and optimiser states. Fails with a
   * NonFiniteTensorError if one is not finite.
   */
  readonly save: Effect.Effect<Tensors, BackendError | NonFiniteTensorError>
  /** Restores saved tensors. Fails with a MismatchError unless all tensors, and no others, are given. */
  readonly load: (tensors: Tensors) => Effect.Effect<void, LoadError>
  /** Loads the parameters and statistics among the tensors. */
  readonly loadParameters: (tensors: Tensors) => Effect.Effect<void, LoadError>
}

const update = Options.whole(1, Number.MAX_SAFE_INTEGER)
/** The Schema of {@link StepOptions}. */
export const StepSchema: Schema.Codec<Omit<StepOptions, "next"> & { readonly next?: unknown }> = Schema.Struct({
  update,
  learningRate: Options.NonNegative,
  next: Schema.optional(Schema.Unknown.annotate({ expected: "a batch" })),
})
const keyOptions = Schema.Struct({ key: Options.RandomKey })

const savedKinds: ReadonlySet<BufferKind> = new Set(["parameter", "statistic", "optimizer"])

/** The checkpoint tensors of a buffer: the buffer itself, or each of the optimiser's states of a parameter. */
const planesOf = ({ states }: Optimizer, { role, owner = "", shape }: Buffer) => {
  const planes = role === "optimizer" ? states.map((part) => `${role}/${part}/${owner}`) : [owner]
  const own = planes.length > 1 ? shape.slice(1) : shape
  return planes.map((name, k) => ({ name, shape: own, range: [k * size(own), (k + 1) * size(own)] as const }))
}

const largest = (arrays: Iterable<Float32Array>): number => {
  let found = 0
  for (const values of arrays) for (const value of values) found = Math.max(found, Math.abs(value))
  return found
}

/**
 * Compiles a training program, prepares it on the backend and initialises the parameters. Its memory belongs to the scope.
 *
 * @example
 * const trainer = yield* Train.make(graph, Policy.sltt, options)
 * const { loss } = yield* trainer.step({ inputs: frames, labels: [3] }, { update: 1, learningRate: 0.1 })
 */
export const make = (
  graph: Graph,
  policy: Policy,
  options: TrainingOptions & { readonly key: Key.Key },
): Effect.Effect<
  Trainer,
  OptionError | PolicyError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const { key, ...training } = options ?? {}
    yield* Options.check("the trainer", keyOptions, { key })
    const program = yield* compile(graph, policy, training)
    const executable = yield* (yield* Backend).prepare(program)
    const firstPart = program.microBatches * (training.share?.index ?? 0)
    const initialKey = Key.fold(key, "parameters")
    for (const parameter of graph.parameters)
      yield* executable.write(bufferNames.parameter(parameter.name), (out) => initialValues(parameter, initialKey, out))

    const exclusively = oneAtATime()
    const keyBuffers = program.buffers.filter(({ elements }) => elements === "words").map(({ name }) => name)
    const savedBuffers = program.buffers.filter(({ kind }) => savedKinds.has(kind))
    const trainedWeights = graph.parameters.filter(
      ({ name, role }) =>
        role === "weight" && program.buffers.some((buffer) => buffer.name === bufferNames.gradient(name)),
    )
    const read = (kind: BufferKind) =>
      Effect.forEach(
        program.buffers.filter((buffer) => buffer.kind === kind),
        ({ name, owner = name }) => Effect.map(executable.read(name), (values) => [name, values, owner] as const),
        { concurrency: "unbounded" },
      )
    /** The batch that has been uploaded already. */
    let prefetched: { readonly batch: Batch<Numbers>; readonly samples: Samples } | undefined

    /** The location of a non-finite value after the last run, if any. */
    const findNonFinite = (result: BatchResult) =>
      Effect.gen(function* () {
        const outputs = Object.values(result.named ?? { outputs: result.outputs })
        if (!Number.isFinite(result.loss) || outputs.some((values) => firstNonFinite(values) >= 0))
          return { what: "loss", layer: yield* firstNonFiniteLayer(executable) } as const
        for (const [, values, layer] of yield* read("statistic"))
          if (firstNonFinite(values) >= 0) return { what: "statistic", layer } as const
        if (yield* executable.gradientsAreFinite) return undefined
        for (const { name } of trainedWeights)
          if (firstNonFinite(yield* executable.read(bufferNames.gradient(name))) >= 0)
            return { what: "gradient", layer: name } as const
        return undefined
      })

    /** Runs one batch up to its update. If a result is not finite, restores the running statistics. */
    const runUpdate = (batch: Batch<Numbers>, update: number, next?: Batch<Numbers>) =>
      Effect.gen(function* () {
        const isThere = prefetched !== undefined && prefetched.batch === batch
        const samples = isThere
          ? (prefetched as NonNullable<typeof prefetched>).samples
          : yield* checkBatch(program, batch)
        const following = next && { batch: next, samples: yield* checkBatch(program, next, "next.") }
        const updateKey = Key.fold(key, "update", update)
        const trained = yield* draw(policy, program.timeSteps).pipe(
          Effect.provideService(Random.Random, Key.generator(Key.fold(updateKey, "steps"))),
        )
        const writeKeys = Effect.fnUntraced(function* (part: number) {
          for (const name of keyBuffers) {
            const { hi, lo } = Key.fold(updateKey, name, part + firstPart)
            yield* executable.write(name, Uint32Array.of(hi, lo))
          }
        })
        const statistics = yield* read("statistic")
        prefetched = undefined
        const toUpload = program.microBatches === 1 ? following : undefined
        const result = yield* runBatch(
          executable,
          samples,
          (part) => schedule(program, trained, part).filter(({ segment }) => segment !== "update"),
          { before: writeKeys, isThere, next: toUpload?.samples },
        )
        prefetched = toUpload
        const fault = yield* findNonFinite(result)
        if (fault === undefined) return result
        for (const [name, values] of statistics) yield* executable.write(name, values)
        const weights = (yield* read("parameter")).map(([, values]) => values)
        return yield* new NonFiniteLossError({
          ...fault,
          update,
          largestInput: largest([samples.inputs]),
          largestWeight: largest(weights),
        })
      })

    const step: Trainer["step"] = (batch, given) =>
      Effect.gen(function* () {
        const { update, learningRate } = yield* Options.check("the step", StepSchema, given)
        const result = yield* runUpdate(batch, update, given.next)
        for (const [name, values] of hyperparametersOf(program, learningRate, update))
          yield* executable.write(name, values)
        yield* executable.run([{ segment: "update", t: 0 }])
        return result
      }).pipe(exclusively)

    return {
      graph,
      program,
      executable,
      step,
      differentiate: (batch, given) =>
        Effect.gen(function* () {
          const { update: at } = yield* Options.check("the step", Schema.Struct({ update }), given)
          const result = yield* runUpdate(batch, at)
          const gradients = new Map<string, Float32Array>()
          for (const { name } of trainedWeights) gradients.set(name, yield* executable.read(bufferNames.gradient(name)))
          return { ...result, gradients }
        }).pipe(exclusively),
      save: Effect.gen(function* () {
        const tensors = new Map<string, StoredTensor>()
        for (const buffer of savedBuffers) {
          const values = yield* executable.read(buffer.name)
          for (const { name, shape, range } of planesOf(training.optimizer, buffer))
            tensors.set(name, { shape, values: values.slice(...range) })
        }
        yield* ensureFinite(tensors)
        return tensors
      }).pipe(exclusively),
      load: (tensors) =>
        Effect.gen(function* () {
          const planes = savedBuffers.map((buffer) => planesOf(training.optimizer, buffer))
          const fitting = yield* fit(new Map(planes.flat().map(({ name, shape }) => [name, shape])), tensors)
          for (const [i, { name }] of savedBuffers.entries())
            yield* executable.write(name, (out) => {
              for (const { name, range } of planes[i] ?? []) out.subarray(...range).set(fitting.get(name)?.values ?? [])
            })
        }).pipe(exclusively),
      loadParameters: (tensors) => exclusively(loadParameters(graph, executable, tensors)),
    }
  })
