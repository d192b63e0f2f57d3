/** What happens in the network while it looks at one sample. */
import { type Graph, Program, Shape, Train } from "@spikeroute/core"
import { Effect } from "effect"
import type { Activity } from "../protocol.ts"
import type { Task } from "./tasks.ts"

/** Neurons that are shown of each layer, evenly spread. */
const shownNeurons = 64
const shownMembranes = 3

/** Prepares a network that can be looked into. */
export const makeObserver = (graph: Graph.Graph, { encoding }: Task, timeSteps: number) =>
  Train.makePredictor(graph, {
    batchSize: 1,
    timeSteps,
    encoding,
    observe: graph.nodes.filter(({ name }) => graph.types.get(name)?.elements === "spikes").map(({ name }) => name),
  })

/** The places of the largest values, the largest first. */
const largest = (values: Float32Array, count: number): ReadonlyArray<number> =>
  Array.from(values.keys())
    .sort((a, b) => values[b]! - values[a]!)
    .slice(0, count)

const softmax = (scores: Float32Array): ReadonlyArray<number> => {
  const most = Math.max(...scores)
  const powers = Array.from(scores, (score) => Math.exp(score - most))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/** Runs one sample step by step; of what happens, keeps what is shown. */
export const observe = (
  { executable, program }: Train.Predictor,
  graph: Graph.Graph,
  input: Float32Array,
  label: number | undefined,
) =>
  Effect.gen(function* () {
    const { bufferNames, schedule } = Program
    const { timeSteps, encoding } = program
    const layers = program.neurons.map((name) => {
      const neurons = Shape.size(graph.types.get(name)?.shape ?? [])
      const shown = Math.min(neurons, shownNeurons)
      return { name, neurons, shown, spikes: new Float32Array(timeSteps * shown), fired: new Float32Array(neurons) }
    })
    const last = layers.at(-1)
    const potentials: Array<Float32Array> = []

    if (encoding === "static") yield* executable.write(bufferNames.input, input)
    for (const call of schedule(program, [])) {
      yield* executable.run([call], encoding === "frames" ? input : undefined)
      if (call.segment !== "forward") continue
      for (const { name, neurons, shown, spikes, fired } of layers) {
        const values = yield* executable.read(bufferNames.value(name), call.t)
        for (let i = 0; i < shown; i++) spikes[call.t * shown + i] = values[Math.floor((i * neurons) / shown)]!
        for (let i = 0; i < neurons; i++) fired[i]! += values[i]!
      }
      if (last) potentials.push(yield* executable.read(bufferNames.state(last.name), call.t))
    }
    const outputs = yield* executable.read(bufferNames.outputs)
    const activity: Activity = {
      timeSteps,
      input,
      channels: graph.input.at(-1) ?? 1,
      layers: layers.map(({ name, neurons, spikes, fired }) => ({
        name,
        neurons,
        spikes,
        rate: fired.reduce((sum, count) => sum + count, 0) / (neurons * timeSteps),
      })),
      membranes: largest(last?.fired ?? new Float32Array(), shownMembranes).map((neuron) => ({
        neuron,
        potential: Float32Array.from(potentials, (values) => values[neuron]!),
      })),
      probabilities: softmax(outputs.map((score) => score / timeSteps)),
      label,
    }
    return activity
  })
