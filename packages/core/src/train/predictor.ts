/** Prediction: runs an inference program on a backend, batch by batch. */
import { Effect, type Scope, Semaphore } from "effect"
import { Backend, type Executable } from "../backend/backend.ts"
import {
  type BackendError,
  InputError,
  type MismatchError,
  type NonFiniteTensorError,
  type OptionError,
  type ProgramError,
  type UnsupportedKernelError,
} from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { fit } from "../interop/fit.ts"
import type { StoredTensor } from "../interop/safetensors.ts"
import { compileInference } from "../program/compile.ts"
import type { InferenceOptions } from "../program/options.ts"
import { bufferNames, type Program, parameterOf } from "../program/program.ts"
import { inferenceSchedule } from "../program/schedule.ts"
import { firstNonFinite, type Numbers } from "../values.ts"
import { type BatchResult, bufferOf, checkInputs } from "./batch.ts"
import { runBatch } from "./run.ts"

/** Tensors by buffer name: parameters, statistics, optimiser states. */
export type Tensors = ReadonlyMap<string, StoredTensor>

/** Errors of loading tensors. Nothing has been loaded. */
export type LoadError = BackendError | MismatchError | NonFiniteTensorError

/**
 * Serialises effects on one executable, in the order in which they start. An effect that has started runs to completion:
 * interruption takes effect while it waits, or after it.
 */
export const oneAtATime = (): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const semaphore = Semaphore.makeUnsafe(1)
  return (effect) => semaphore.withPermit(Effect.uninterruptible(effect))
}

/** Predicts with a trained network. Its effects are serialised. */
export interface Predictor {
  /** The compiled program. */
  readonly program: Program
  /** The program on the backend. */
  readonly executable: Executable
  /**
   * Returns outputs and firing rates of one batch, without a loss. Fails with an InputError if the number of inputs does not match,
   * if inputs are not finite, or if outputs exceed float32's range.
   */
  readonly predict: (inputs: Numbers) => Effect.Effect<Omit<BatchResult, "loss">, BackendError | InputError>
  /** Loads the parameters and statistics among the tensors. */
  readonly load: (tensors: Tensors) => Effect.Effect<void, LoadError>
}

/**
 * Compiles an inference program and prepares it on the backend. Its memory belongs to the scope.
 *
 * @example
 * const predictor = yield* Train.makePredictor(graph, { batchSize: 1, timeSteps: 4 })
 */
export const makePredictor = (
  graph: Graph,
  options: InferenceOptions,
): Effect.Effect<
  Predictor,
  OptionError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const program = yield* compileInference(graph, options)
    const executable = yield* (yield* Backend).prepare(program)
    const exclusively = oneAtATime()
    return {
      program,
      executable,
      predict: (given) =>
        exclusively(
          Effect.gen(function* () {
            const inputs = yield* checkInputs(program, given)
            const { loss: _, ...found } = yield* runBatch(executable, { inputs }, (part) =>
              inferenceSchedule(program, part),
            )
            for (const [name, outputs] of Object.entries(found.named ?? { "": found.outputs })) {
              const index = firstNonFinite(outputs)
              if (index < 0) continue
              const count = outputs.length / (program.batchSize * bufferOf(program, bufferNames.outputs).slots)
              return yield* new InputError({
                what: "inputs",
                sample: Math.floor(index / count) % program.batchSize,
                position: [],
                reason: `output ${name}${name && " "}${index % count} is ${outputs[index]}: inputs or weights are too large for float32`,
              })
            }
            return found
          }),
        ),
      load: (tensors) => exclusively(loadParameters(graph, executable, tensors)),
    }
  })

/** Loads all parameters of a graph, if every one matches and is finite. Ignores other tensors. */
export const loadParameters = (
  graph: Graph,
  executable: Executable,
  tensors: Tensors,
): Effect.Effect<void, LoadError> =>
  Effect.gen(function* () {
    const given = yield* fit(
      new Map(graph.parameters.map(({ name, shape }) => [bufferNames.parameter(name), shape])),
      tensors,
      (name) => parameterOf(name) !== undefined,
    )
    // A program has no buffer for a parameter that nothing reads.
    const known = new Set(executable.program.buffers.map(({ name }) => name))
    for (const [name, { values }] of given) if (known.has(name)) yield* executable.write(name, values)
  })
