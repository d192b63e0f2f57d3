/** Prediction: runs an inference program on a backend, batch by batch. */
import { Effect, type Scope, Semaphore } from "effect"
import { argument } from "../arguments.ts"
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
import { fit, renewed } from "../interop/fit.ts"
import type { StoredTensor } from "../interop/safetensors.ts"
import { compileInference } from "../program/compile.ts"
import type { InferenceOptions } from "../program/options.ts"
import { bufferNames, type Program } from "../program/program.ts"
import { inferenceSchedule } from "../program/schedule.ts"
import { firstNonFinite, type Numbers } from "../values.ts"
import { type BatchResult, bufferOf, checkInputs } from "./batch.ts"
import { runBatch } from "./run.ts"

/** Tensors by name: parameters and statistics by their own, optimiser states as `optimizer/momentum/0.weight`. */
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

/** Tensors without the optimiser's states. */
const withoutStates = (tensors: Tensors): Tensors =>
  new Map([...(tensors instanceof Map ? tensors : [])].filter(([name]) => !name.startsWith("optimizer/")))

/** Returns the parameters and statistics among the tensors of a checkpoint, under their current names. */
export const parametersOf = (tensors: Tensors): Tensors => {
  const given = argument(tensors, ["a Map of tensors", (value) => value instanceof Map], "Train.parametersOf")
  return new Map(Array.from(withoutStates(given), ([name, tensor]) => [renewed(name), tensor]))
}

/** Loads all parameters of a graph, if every one matches and is finite. Ignores optimiser states. */
export const loadParameters = (
  graph: Graph,
  executable: Executable,
  tensors: Tensors,
): Effect.Effect<void, LoadError> =>
  Effect.gen(function* () {
    const given = yield* fit(new Map(graph.parameters.map(({ name, shape }) => [name, shape])), withoutStates(tensors))
    // A program has no place for a parameter that nothing reads.
    for (const { name, owner = "", role } of executable.program.buffers)
      if (role === "parameter") yield* executable.write(name, (given.get(owner) as StoredTensor).values)
  })
