/**
 * Operations per sample and layer, counted while the network runs: NeuroBench's metrics (Yik et al., Nature Communications 16, 2025).
 *
 * - effective synaptic operations: for every nonzero activation, the number of nonzero weights it reaches. They are accumulates (ACs) if
 *   the activations are spikes, otherwise multiply-accumulates (MACs). Dense operations count zeros too.
 * - membrane updates: neurons × time steps.
 *
 * Layers whose input does not change over time are computed, and counted, once. The energy is an estimate for float32 arithmetic at 45 nm
 * (Horowitz, "Computing's energy problem", ISSCC 2014) without memory accesses, which take more. A membrane update counts as one
 * multiply-accumulate.
 */
import { type Graph, Program, Shape, type Train, Windows } from "@spikeroute/core"
import { Effect } from "effect"
import { table } from "./terminal.ts"

/** Picojoules of float32 operations at 45 nm (Horowitz, 2014). */
export const energies = { addition: 0.9, multiplication: 3.7 } as const

/** Energy of a multiply-accumulate and of an accumulate, with the source. */
export const constants = {
  picojoulesPerMAC: 4.6,
  picojoulesPerAC: energies.addition,
  source: "Horowitz, ISSCC 2014: float32 at 45 nm, arithmetic alone",
} as const

/** Operations of a layer per sample. */
export interface LayerOperations {
  readonly layer: string
  readonly effectiveMACs: number
  readonly effectiveACs: number
  readonly denseOperations: number
  readonly membraneUpdates: number
  readonly energyMicrojoules: number
}

/** Operations per sample, in total and by layer. */
export interface Operations extends Omit<LayerOperations, "layer"> {
  readonly layers: ReadonlyArray<LayerOperations>
  readonly constants: typeof constants
}

/** Formats the counts as a table, followed by the energy constants. */
export const operationsTable = ({ layers, constants, ...total }: Operations, samples: number): string => {
  const count = (value: number) => Math.round(value).toLocaleString("en")
  const row = (name: string, each: Omit<LayerOperations, "layer">) => [
    name,
    ...[each.denseOperations, each.effectiveMACs, each.effectiveACs, each.membraneUpdates].map(count),
    `${each.energyMicrojoules.toPrecision(3)} µJ`,
  ]
  return [
    table(
      ["layer", "dense", "MACs", "ACs", "membrane updates", "energy"],
      [...layers.map((each) => row(each.layer, each)), row("total", total)],
    ),
    `operations per sample, measured on the first ${samples} test samples; ${constants.picojoulesPerMAC} pJ a MAC or update, ${constants.picojoulesPerAC} pJ an AC (${constants.source})`,
  ].join("\n")
}

/** For each position of an axis, the taps of all windows that cover it. */
const seenBy = (taps: Windows.Taps, length: number): ReadonlyArray<ReadonlyArray<number>> => {
  const seen = Array.from({ length }, (): Array<number> => [])
  for (const [tap, position] of taps.flat()) seen[position]?.push(tap)
  return seen
}

/** Stride, padding, dilation and groups of a layer: see `Windows`. */
export type Geometry = Partial<Windows.Geometry> & { readonly groups?: number }

/**
 * The fan-out of each input element of a layer: the number of weights that it is multiplied by. Weights are [inputs, outputs],
 * [k, inputs, outputs] or [k, k, inputs, outputs]. If their values are given, only nonzero weights are counted.
 */
export const fanOut = (
  input: Shape.Shape,
  weight: Shape.Shape,
  { groups = 1, ...geometry }: Geometry = {},
  values?: ArrayLike<number>,
): Float64Array => {
  const outputs = weight.at(-1) as number
  const own = outputs / groups
  /** The number of counted weights in a row [outputs] within the outputs of a group. */
  const counted = (row: number, group: number) => {
    if (values === undefined) return own
    let count = 0
    for (let o = group * own; o < (group + 1) * own; o++) if (values[row * outputs + o] !== 0) count++
    return count
  }
  const size = Shape.size(input)
  if (weight.length === 2) {
    const rows = Float64Array.from({ length: weight[0] as number }, (_, row) => counted(row, 0))
    return Float64Array.from({ length: size }, (_, i) => rows[i % rows.length] as number)
  }
  const kernelSize = weight.length === 3 ? (weight[0] as number) : ([weight[0], weight[1]] as [number, number])
  const window = Windows.windowOf(weight.length - 1, kernelSize, { stride: 1, padding: 0, ...geometry })
  const y = Windows.slide(input, window, (reason) => {
    throw new Error(reason)
  })
  const [rows, columns] = Windows.tapsOf([1, ...input], [1, ...y, 1], window)
  const [height, width, channels] = Windows.imageOf(input)
  const [down, across] = [seenBy(rows, height), seenBy(columns, width)]
  const perGroup = weight.at(-2) as number
  const ofTap = new Float64Array(Windows.areaOf(window) * channels)
  for (let tap = 0; tap < Windows.areaOf(window); tap++)
    for (let c = 0; c < channels; c++)
      ofTap[tap * channels + c] = counted(tap * perGroup + (c % perGroup), Math.floor(c / perGroup))
  const fan = new Float64Array(size)
  for (const [i, up] of down.entries())
    for (const [j, along] of across.entries())
      for (const a of up)
        for (const b of along) {
          const tap = (a * window.columns.kernel + b) * channels
          for (let c = 0; c < channels; c++) fan[(i * width + j) * channels + c]! += ofTap[tap + c] as number
        }
  return fan
}

/** The value that a layer reads and its lag in time steps, traced back through flattening and delays. */
const sourceOf = (graph: Graph.Graph, value: string, lag = 0): { readonly value: string; readonly lag: number } => {
  const node = graph.nodes.find(({ name }) => name === value)
  if (node?.op === "flatten") return sourceOf(graph, node.inputs[0] as string, lag)
  const steps = node?.rule.lag?.(node.attributes)?.steps
  return steps === undefined ? { value, lag } : sourceOf(graph, node?.inputs[0] as string, lag + steps)
}

/** Whether a value is constant over time for a static input: it depends on no neuron and no delay. */
const still = (graph: Graph.Graph, value: string): boolean => {
  const node = graph.nodes.find(({ name }) => name === value)
  if (node === undefined) return true
  const changes = node.rule.state?.(node.attributes) ?? node.rule.lag?.(node.attributes)
  return changes === undefined && node.inputs.every((input) => still(graph, input))
}

/** The weight layers, with the source of their activations. */
const synapsesOf = (graph: Graph.Graph) =>
  graph.nodes.flatMap((node) =>
    node.rule.hasWeights === true ? [{ node, ...sourceOf(graph, node.inputs[0] as string) }] : [],
  )

/** The values to observe for counting a network's operations: see `InferenceOptions`. */
export const observed = (graph: Graph.Graph): ReadonlyArray<string> => [
  ...new Set([
    ...synapsesOf(graph).flatMap(({ value }) => (value === "input" ? [] : [value])),
    ...graph.nodes.flatMap(({ name }) => (graph.types.get(name)?.elements === "spikes" ? [name] : [])),
  ]),
]

interface Counts {
  macs: number
  acs: number
  dense: number
  updates: number
}

const energyOf = ({ macs, acs, updates }: Counts): number =>
  1e-6 * ((macs + updates) * constants.picojoulesPerMAC + acs * constants.picojoulesPerAC)

const named = (counts: Counts, samples: number) => ({
  effectiveMACs: counts.macs / samples,
  effectiveACs: counts.acs / samples,
  denseOperations: counts.dense / samples,
  membraneUpdates: counts.updates / samples,
  energyMicrojoules: energyOf(counts) / samples,
})

/**
 * Runs a batch step by step, calls `visit` after each step, and counts the operations of the first `samples` samples. The predictor's
 * program must observe the values that `observed` returns; `tensors` are the loaded tensors.
 */
export const countOperations = <E = never>(
  { executable, program }: Pick<Train.Predictor, "executable" | "program">,
  graph: Graph.Graph,
  tensors: Train.Tensors,
  inputs: Float32Array,
  samples: number,
  visit: (step: number, read: (node: string) => Effect.Effect<Float32Array, E>) => Effect.Effect<void, E> = () =>
    Effect.void,
) =>
  Effect.gen(function* () {
    const { batchSize, encoding } = program
    const { bufferNames } = Program
    const counts = new Map<string, Counts>()
    const of = (name: string) => {
      const own = counts.get(name) ?? { macs: 0, acs: 0, dense: 0, updates: 0 }
      counts.set(name, own)
      return own
    }
    const layers = synapsesOf(graph).map((synapse) => {
      const { node, value, lag } = synapse
      const shape = graph.types.get(value)?.shape ?? []
      const weight = node.inputs[1] as string
      const weightShape = graph.types.get(weight)?.shape ?? []
      const values = tensors.get(weight)?.values
      const dense = fanOut(shape, weightShape, node.attributes as Geometry)
      const isStill = encoding === "static" && lag === 0 && still(graph, value)
      const spikes = graph.types.get(value)?.elements === "spikes"
      const all = dense.reduce((sum, each) => sum + each, 0)
      const past: Array<Float32Array> = []
      return {
        ...{ name: node.name, value, lag, isStill, spikes, dense: all, past },
        fan: values === undefined ? dense : fanOut(shape, weightShape, node.attributes as Geometry, values),
      }
    })
    const spiking = graph.nodes.flatMap(({ name, rule, attributes }) =>
      graph.types.get(name)?.elements === "spikes" && rule.state?.(attributes) !== undefined ? [name] : [],
    )
    const addStep = (t: number) =>
      Effect.gen(function* () {
        for (const { name, value, lag, isStill, spikes, dense, fan, past } of layers) {
          if (t > 0 && isStill) continue
          const values =
            value === "input"
              ? inputs.subarray(encoding === "frames" ? t * batchSize * fan.length : 0)
              : yield* executable.read(bufferNames.value(value), t)
          if (lag > 0) past.push(values.slice())
          const own = lag > 0 ? (past.length > lag ? past.shift() : undefined) : values
          const counted = of(name)
          counted.dense += samples * dense
          let effective = 0
          if (own !== undefined)
            for (let n = 0; n < samples; n++)
              for (let j = 0; j < fan.length; j++) if (own[n * fan.length + j] !== 0) effective += fan[j] as number
          counted[spikes ? "acs" : "macs"] += effective
        }
        for (const name of spiking) of(name).updates += samples * Shape.size(graph.types.get(name)?.shape ?? [])
      })

    if (encoding === "static") yield* executable.write(bufferNames.input, inputs)
    let t = 0
    for (const call of Program.schedule(program, [])) {
      yield* executable.run([call], encoding === "frames" ? inputs : undefined)
      if (!Program.forwardSegments.has(call.segment)) continue
      yield* addStep(t)
      yield* visit(t, (node) => executable.read(bufferNames.value(node), t) as Effect.Effect<Float32Array, E>)
      t++
    }
    const total = { macs: 0, acs: 0, dense: 0, updates: 0 }
    for (const each of counts.values())
      for (const key of Object.keys(total) as Array<keyof Counts>) total[key] += each[key]
    return {
      ...named(total, samples),
      layers: graph.nodes.flatMap(({ name }) => {
        const own = counts.get(name)
        return own === undefined ? [] : [{ layer: name, ...named(own, samples) }]
      }),
      constants,
    } satisfies Operations
  })
