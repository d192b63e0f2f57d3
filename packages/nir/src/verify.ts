/** Compares a backend's run of a document with results of other software. */
import {
  type Backend,
  type BackendError,
  type InputError,
  type Numpy,
  Options,
  type ProgramError,
  PyTorch,
  Train,
  type UnsupportedKernelError,
} from "@spikeroute/core"
import { Effect } from "effect"
import { aDocument, type Document, NirError } from "./document.ts"
import { flattened } from "./flatten.ts"
import { networkOf } from "./network.ts"
import { type Discretisation, kinds } from "./neurons.ts"

/** The largest difference of a value, and the number of differing spikes. */
export interface Errors {
  readonly values: number
  readonly spikesMismatched: number
}

/** Whether the differences are within rounding. */
export const passes = (errors: Errors): boolean => {
  const { values, spikesMismatched } = Options.argument(errors, someErrors, "passes")
  return values <= 1e-4 && spikesMismatched === 0
}

const someErrors: Options.Kind = ["differences, as verify gives", Options.has("values", "spikesMismatched")]

/**
 * Runs a document on the backend and compares the outputs of its nodes at each step. `input` is [T, …]; `arrays` contains expected
 * outputs [T, …] by path of the node; all are channels first. Fails with a NirError for unknown nodes, arrays of another size, and
 * without expected outputs.
 */
export const verify = (
  document: Document,
  input: Numpy.NumpyArray,
  arrays: ReadonlyMap<string, Numpy.NumpyArray>,
  discretisation: Discretisation = {},
): Effect.Effect<
  Errors,
  NirError | Options.OptionError | ProgramError | UnsupportedKernelError | BackendError | InputError | Train.LoadError,
  Backend
> =>
  Effect.gen(function* () {
    Options.argument(document, aDocument, "verify")
    const types = new Map(flattened(document).map(({ path, type }) => [path, type]))
    if (![...arrays.keys()].some((path) => types.get(path) !== "Input"))
      return yield* new NirError({ node: "", reason: "there are no expected outputs to compare with" })
    const errors = { values: 0, spikesMismatched: 0 }
    for (const [path, expected] of arrays) {
      const type = types.get(path)
      if (type === undefined) return yield* new NirError({ node: path, reason: "values are given for an unknown node" })
      if (type === "Input") continue
      const { graph, tensors } = yield* networkOf(document, discretisation, path)
      const [timeSteps = 0] = input.shape
      const options = { batchSize: 1, timeSteps, encoding: "frames", outputs: "step" } as const
      const outputs = yield* Effect.scoped(
        Effect.gen(function* () {
          const predictor = yield* Train.makePredictor(graph, options)
          yield* predictor.load(tensors)
          return (yield* predictor.predict(PyTorch.valuesFromPyTorch(graph, "input", Float32Array.from(input.values))))
            .outputs
        }),
      )
      const right = PyTorch.valuesFromPyTorch(graph, graph.output, Float32Array.from(expected.values))
      if (right.length !== outputs.length)
        return yield* new NirError({
          node: path,
          reason: `it has ${outputs.length} values; [${expected.shape}] are expected`,
        })
      const fires = kinds.get(type)?.fires === true || type === "Threshold"
      right.forEach((value, i) => {
        const error = Math.abs((outputs[i] as number) - value)
        errors.values = Math.max(errors.values, error)
        if (fires && error > 0.5) errors.spikesMismatched++
      })
    }
    return errors satisfies Errors
  })
