/** Operation counts of workloads, by the command line's `countOperations`. */

import { countOperations, energies, observed } from "@spikeroute/cli/operations"
import { Backend, type Graph, Program, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { batchOf, graphOf, prepare, trainedParameters, type Workload } from "../workloads.ts"

const initialParameters = (workload: Workload) =>
  Effect.flatMap(prepare({ ...workload, batchSize: 1 }), ({ trainer }) => trainer.save).pipe(Effect.scoped)

/** The share of weights that are 0. */
const connectionSparsity = (graph: Graph.Graph, weights: ReadonlyMap<string, ArrayLike<number>>) => {
  const all = graph.parameters.filter(({ role, shape }) => role === "weight" && shape.length > 1)
  const zeros = all.reduce(
    (sum, { name }) => sum + Array.from(weights.get(name) ?? []).filter((w) => w === 0).length,
    0,
  )
  return zeros / all.reduce((sum, { shape }) => sum + Shape.size(shape), 0)
}

/**
 * Counts the operations of a workload's inference per sample, on the backend in context, with NeuroBench's metrics: footprint, the bytes of
 * all parameters; connection sparsity, the share of weights that are 0; activation sparsity, the share of neurons × time steps without a spike.
 */
export const operationsOf = (workload: Workload) =>
  Effect.gen(function* () {
    const graph = yield* graphOf(workload)
    const { batchSize, timeSteps, encoding = "static" } = workload
    const tensors = (yield* trainedParameters(workload)) ?? (yield* initialParameters(workload))
    const weights = new Map(graph.parameters.map(({ name }) => [name, tensors.get(name)?.values ?? []]))
    const options = { batchSize, timeSteps, encoding, observe: observed(graph) }
    const program = yield* Program.compileInference(graph, options)
    const executable = yield* (yield* Backend).prepare(program)
    for (const [name, values] of weights)
      yield* executable.write(Program.bufferNames.parameter(name), values as Float32Array)
    const { inputs } = batchOf(workload)
    let spikes = 0
    const found = yield* countOperations({ executable, program }, graph, tensors, inputs, batchSize, (_, read) =>
      Effect.gen(function* () {
        for (const name of program.neurons) spikes += (yield* read(name)).reduce((sum, spike) => sum + spike, 0)
      }),
    )
    return {
      "footprint bytes": 4 * graph.parameters.reduce((sum, { shape }) => sum + Shape.size(shape), 0),
      "connection sparsity": connectionSparsity(graph, weights),
      "activation sparsity": 1 - spikes / (batchSize * found.membraneUpdates),
      "effective MACs": found.effectiveMACs,
      "effective ACs": found.effectiveACs,
      "dense synaptic operations": found.denseOperations,
      "membrane updates": found.membraneUpdates,
      "energy proxy µJ": found.energyMicrojoules,
    }
  }).pipe(Effect.scoped)

/** Planned operations of one training iteration, the spike-driven ones at the measured firing rates, and their energy proxy. */
export const trainingOperations = (program: Program.Program, firingRates: ReadonlyArray<number>) => {
  const { forward, backward, update } = Program.cost(program)
  const rate = firingRates.reduce((sum, each) => sum + each, 0) / Math.max(1, firingRates.length)
  const multiplications = forward.multiplications + backward.multiplications + update.multiplications
  const additions =
    forward.additions +
    backward.additions +
    update.additions +
    rate * (forward.spikeOperations + backward.spikeOperations)
  return {
    multiplications,
    additions,
    picojoules: multiplications * energies.multiplication + additions * energies.addition,
  }
}
