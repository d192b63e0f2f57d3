/** Records the activity of the network for one sample. */
import { type Graph, Program, Shape, Train } from "@spikeroute/core"
import { Effect } from "effect"
import type { Activity } from "../protocol.ts"
import type { Task } from "./tasks.ts"

/** Neurons shown per layer, evenly spread over those that fire. */
const shownNeurons = 64
const shownMembranes = 3

/** Prepares a predictor whose spikes can be read. */
export const makeObserver = (graph: Graph.Graph, { encoding }: Task, timeSteps: number) =>
  Train.makePredictor(graph, {
    batchSize: 1,
    timeSteps,
    encoding,
    observe: graph.nodes.filter(({ name }) => graph.types.get(name)?.elements === "spikes").map(({ name }) => name),
  })

/** `count` of the values, evenly spread. */
const spread = (values: ReadonlyArray<number>, count: number): ReadonlyArray<number> =>
  values.length <= count
    ? values
    : Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!)

/** The neurons that fire closest to every second step. */
const lively = (fired: Float32Array, timeSteps: number, count: number): ReadonlyArray<number> =>
  Array.from(fired.keys())
    .sort((a, b) => Math.abs(2 * fired[a]! - timeSteps) - Math.abs(2 * fired[b]! - timeSteps))
    .slice(0, count)

const softmax = (scores: Float32Array): ReadonlyArray<number> => {
  const most = Math.max(...scores)
  const powers = Array.from(scores, (score) => Math.exp(score - most))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/** Runs one sample step by step and returns the activity to show. */
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
      return { name, neurons, steps: [] as Array<Float32Array>, fired: new Float32Array(neurons) }
    })
    const last = layers.at(-1)
    const potentials: Array<Float32Array> = []

    if (encoding === "static") yield* executable.write(bufferNames.input, input)
    for (const call of schedule(program, [])) {
      yield* executable.run([call], encoding === "frames" ? input : undefined)
      if (call.segment !== "forward") continue
      for (const { name, steps, fired } of layers) {
        const values = yield* executable.read(bufferNames.value(name), call.t)
        steps.push(values)
        for (let i = 0; i < fired.length; i++) fired[i]! += values[i]!
      }
      if (last) potentials.push(yield* executable.read(bufferNames.state(last.name), call.t))
    }
    const outputs = yield* executable.read(bufferNames.outputs)
    const activity: Activity = {
      timeSteps,
      input,
      channels: graph.input.at(-1) ?? 1,
      layers: layers.map(({ name, neurons, steps, fired }) => {
        const firing = Array.from(fired.keys()).filter((i) => fired[i]! > 0)
        const shown = spread(firing, shownNeurons)
        return {
          name,
          neurons,
          shown: shown.length,
          spikes: Float32Array.from(steps.flatMap((values) => shown.map((i) => values[i]!))),
          rate: fired.reduce((sum, count) => sum + count, 0) / (neurons * timeSteps),
        }
      }),
      membranes: lively(last?.fired ?? new Float32Array(), timeSteps, shownMembranes).map((neuron) => ({
        neuron,
        potential: Float32Array.from(potentials, (values) => values[neuron]!),
      })),
      probabilities: softmax(outputs.map((score) => score / timeSteps)),
      label,
    }
    return activity
  })
