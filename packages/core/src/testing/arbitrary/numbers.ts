import type * as Graph from "../../graph/index.ts"
import * as Optimizer from "../../optimizers/index.ts"
import type { TrainingOptions } from "../../program/index.ts"
import * as Key from "../../random.ts"
import { size } from "../../shape.ts"
import type { Workload } from "./workload.ts"

const between = (key: Key.Key, count: number, low: number, high: number): Float32Array =>
  Key.uniform(key, new Float32Array(count)).map((u) => low + (high - low) * u)

/** Values of all parameters and statistics by name, with which most layers fire some of the time. */
export const parametersOf = (
  graph: Graph.Graph,
  { seed }: Pick<Workload, "seed">,
): ReadonlyMap<string, Float32Array> => {
  const root = Key.fold(Key.make(seed), "parameters")
  return new Map(
    graph.parameters.map(({ name, shape, initializer, role }) => {
      if (role === "constant" && initializer.kind === "values") return [name, Float32Array.from(initializer.values)]
      const key = Key.fold(root, name)
      const count = size(shape)
      const range = (low: number, high: number) => [name, between(key, count, low, high)] as const
      if (/decay$/i.test(name)) return range(0.2, 0.9)
      if (name.endsWith("running_mean")) return range(-0.5, 0.5)
      if (shape.length >= 2) {
        const bound = 3 / Math.sqrt(count / shape.at(-1)!)
        return range(-0.4 * bound, bound)
      }
      // Gains and batch norm's weights and running variances start at 1, biases around 0, a trained decay's logit at τ.
      if (initializer.kind === "constant" && initializer.value === 1) return range(0.5, 1.5)
      if (name.endsWith(".w")) return range(-1, 1)
      return range(-0.25, 0.75)
    }),
  )
}

/** Inputs and labels of a batch: inputs [N, …], or [T, N, …] with frames. */
export const batchOf = (
  graph: Graph.Graph,
  { seed, batchSize, timeSteps, encoding }: Workload,
): { readonly inputs: Float32Array; readonly labels: Float32Array } => {
  const key = Key.fold(Key.make(seed), "batch")
  const samples = batchSize * (encoding === "frames" ? timeSteps : 1)
  const classes = graph.types.get(graph.output)?.shape[0] as number
  return {
    inputs: between(Key.fold(key, "inputs"), samples * size(graph.input), -0.5, 1.5),
    labels: between(Key.fold(key, "labels"), batchSize, 0, classes).map((label) =>
      Math.min(Math.floor(label), classes - 1),
    ),
  }
}

/** The random key of a node, the contents of the buffer `key/<node>`. */
export const keyOf = (node: string, { seed }: Pick<Workload, "seed">): Key.Key => Key.fold(Key.make(seed), "key", node)

/** A shared optimiser, so that programs of the same workload are equal. */
const optimizer = /* @__PURE__ */ Optimizer.sgd()

/** Options to compile a workload for training. */
export const optionsOf = ({ batchSize, timeSteps, encoding, loss }: Workload): TrainingOptions => ({
  batchSize,
  timeSteps,
  encoding,
  loss,
  optimizer,
})
