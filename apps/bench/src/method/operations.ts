/**
 * What a sample costs in operations, counted in a run: NeuroBench's metrics (Yik et al., Nature Communications 16, 2025).
 *
 * - footprint: bytes of all parameters.
 * - connection sparsity: the share of weights that are 0.
 * - activation sparsity: the share of neurons × time steps without a spike.
 * - synaptic operations: for every activation that is not 0, the weights that are not 0 and that it reaches. Where a layer's
 *   activations are spikes they are accumulates (ACs), else multiply-accumulates (MACs); dense counts zeros too.
 * - membrane updates: neurons × time steps.
 *
 * What does not change over time is counted once, as it is computed once. The energy is a proxy, of float32 arithmetic at 45 nm alone
 * (Horowitz, ISSCC 2014): 0.9 pJ an addition, 3.7 pJ a multiplication; memory, which takes more, is not in it.
 */
import { Backend, type Graph, Program, Shape, Windows } from "@spikeroute/core"
import { Effect } from "effect"
import { batchOf, graphOf, prepare, trainedParameters, type Workload } from "../workloads.ts"

/** Picojoules. */
export const energies = { addition: 0.9, multiplication: 3.7 } as const

/** For each position of an axis, how many taps of windows see it. */
const reach = (taps: Windows.Taps, length: number): ReadonlyArray<number> => {
  const seen = new Array<number>(length).fill(0)
  for (const [, position] of taps.flat()) seen[position]! += 1
  return seen
}

/** For each element of a layer's input, how many weights it goes through; with [inputs, outputs] or [k, k, inputs, outputs] weights. */
export const fanOut = (
  input: Shape.Shape,
  weight: Shape.Shape,
  { groups = 1, ...geometry }: Partial<Windows.Geometry> & { readonly groups?: number } = {},
): ReadonlyArray<number> => {
  const outputs = (weight.at(-1) as number) / groups
  if (weight.length === 2) return new Array(Shape.size(input)).fill(outputs)
  const kernelSize = weight.length === 3 ? weight[0]! : ([weight[0]!, weight[1]!] as const)
  const window = Windows.windowOf(weight.length - 1, kernelSize, { stride: 1, padding: 0, ...geometry })
  const y = Windows.slide(input, window, (reason) => {
    throw new Error(reason)
  })
  const [rows, columns] = Windows.tapsOf([1, ...input], [1, ...y, 1], window)
  const [height, width, channels] = Windows.imageOf(input)
  return reach(rows, height).flatMap((row) =>
    reach(columns, width).flatMap((column) => new Array(channels).fill(row * column * outputs)),
  )
}

/** Whether a value is the same at every time step of a static input: no neuron lies before it. */
const still = (graph: Graph.Graph, value: string): boolean => {
  const node = graph.nodes.find(({ name }) => name === value)
  if (node === undefined) return true
  const { states = [] } = node.attributes as { readonly states?: ReadonlyArray<string> }
  return states.length === 0 && node.inputs.every((input) => still(graph, input))
}

/** The value that a layer reads: flattening only says otherwise how it lies. */
const sourceOf = (graph: Graph.Graph, value: string): string => {
  const node = graph.nodes.find(({ name }) => name === value)
  return node?.op === "flatten" ? sourceOf(graph, node.inputs[0] as string) : value
}

const initialParameters = (workload: Workload) =>
  Effect.flatMap(prepare({ ...workload, batchSize: 1 }), ({ trainer }) => trainer.save).pipe(Effect.scoped)

/** Counts the operations of a workload's inference on the backend at hand, a sample each. */
export const operationsOf = (workload: Workload) =>
  Effect.gen(function* () {
    const graph = yield* graphOf(workload)
    const { batchSize, timeSteps, encoding = "static" } = workload
    const tensors = (yield* trainedParameters(workload)) ?? (yield* initialParameters(workload))
    const weights = new Map(
      graph.parameters.map(({ name }) => [name, tensors.get(Program.bufferNames.parameter(name))?.values ?? []]),
    )
    const synapses = graph.nodes.filter(({ op }) => op === "linear" || op === "conv2d")
    const spiking = ({ name, op }: Graph.Graph["nodes"][number]) =>
      op === "elementwise" && graph.types.get(name)?.elements === "spikes"
    const neurons = graph.nodes.filter(spiking).map(({ name }) => name)
    const sources = synapses.map(({ inputs }) => sourceOf(graph, inputs[0] as string))
    const observe = [...new Set([...sources.filter((name) => name !== "input"), ...neurons])]
    const program = yield* Program.compileInference(graph, { batchSize, timeSteps, encoding, observe })
    const executable = yield* (yield* Backend).prepare(program)
    for (const [name, values] of weights)
      yield* executable.write(Program.bufferNames.parameter(name), values as Float32Array)
    const { inputs } = batchOf(workload)
    if (encoding === "static") yield* executable.write(Program.bufferNames.input, inputs)

    const counts = { macs: 0, acs: 0, dense: 0, spikes: 0, updates: 0 }
    const addSynapses = (t: number) =>
      Effect.gen(function* () {
        for (const [i, synapse] of synapses.entries()) {
          const source = sources[i] as string
          if (t > 0 && encoding === "static" && still(graph, source)) continue
          const shape = graph.types.get(source)?.shape ?? []
          const parameter = graph.parameters.find(({ name }) => name === synapse.inputs[1])
          const values =
            source === "input"
              ? inputs.subarray(encoding === "frames" ? t * batchSize * Shape.size(shape) : 0)
              : yield* executable.read(Program.bufferNames.value(source), t)
          const fan = fanOut(shape, parameter?.shape ?? [], synapse.attributes as object)
          const spikes = graph.types.get(source)?.elements === "spikes"
          let effective = 0
          for (let n = 0; n < batchSize; n++)
            for (let j = 0; j < fan.length; j++) if (values[n * fan.length + j] !== 0) effective += fan[j] as number
          counts[spikes ? "acs" : "macs"] += effective
          counts.dense += batchSize * fan.reduce((sum, each) => sum + each, 0)
        }
        for (const name of neurons) {
          const fired = yield* executable.read(Program.bufferNames.value(name), t)
          counts.spikes += fired.reduce((sum, spike) => sum + spike, 0)
          counts.updates += fired.length
        }
      })
    let t = 0
    for (const call of Program.schedule(program, [])) {
      yield* executable.run([call], encoding === "frames" ? inputs : undefined)
      if (Program.forwardSegments.has(call.segment)) yield* addSynapses(t++)
    }
    const all = graph.parameters.filter(({ role, shape }) => role === "weight" && shape.length > 1)
    const zeros = all.reduce((sum, { name }) => sum + (weights.get(name) ?? []).filter((w) => w === 0).length, 0)
    const connections = all.reduce((sum, { shape }) => sum + Shape.size(shape), 0)
    const each = (count: number) => count / batchSize
    return {
      "footprint bytes": 4 * graph.parameters.reduce((sum, { shape }) => sum + Shape.size(shape), 0),
      "connection sparsity": zeros / connections,
      "activation sparsity": 1 - counts.spikes / counts.updates,
      "effective MACs": each(counts.macs),
      "effective ACs": each(counts.acs),
      "dense synaptic operations": each(counts.dense),
      "membrane updates": each(counts.updates),
      "energy proxy µJ":
        1e-6 *
        each(
          counts.macs * (energies.addition + energies.multiplication) +
            counts.acs * energies.addition +
            counts.updates * (energies.addition + energies.multiplication),
        ),
    }
  }).pipe(Effect.scoped)

/**
 * Operations of one training iteration as planned, with those that spikes cause at the firing rate that was measured; and the proxy
 * of their energy.
 */
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
