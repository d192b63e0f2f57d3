/**
 * PyTorch's layouts. Images are channels first there, convolution weights [out, in, height, width], linear weights [out, in], and
 * a linear layer behind a flatten counts its inputs channels first.
 */
import { Effect } from "effect"
import type { MismatchError } from "../errors.ts"
import type { Graph, Parameter } from "../graph/graph.ts"
import { type Shape, size } from "../shape.ts"
import { fit } from "./fit.ts"
import type { StoredTensor } from "./safetensors.ts"

/** Images of `shape` = [height, width, channels], one after the other, from PyTorch's [channels, height, width]. */
export const imagesFromPyTorch = (
  values: Float32Array,
  [height, width, channels]: readonly [number, number, number],
): Float32Array => {
  const pixels = height * width
  const out = new Float32Array(values.length)
  for (let start = 0; start < values.length; start += pixels * channels)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < pixels; p++) out[start + p * channels + c] = values[start + c * pixels + p]!
  return out
}

/** A parameter's shape in PyTorch. The gains of standardised weights are [out, 1, 1, 1] there. */
export const pyTorchShape = (graph: Graph, { name, shape }: Parameter): Shape => {
  if (shape.length === 4) return [shape[3]!, shape[2]!, shape[0]!, shape[1]!]
  if (shape.length === 2) return [shape[1]!, shape[0]!]
  const isGain = graph.nodes.some(({ op, inputs }) => op === "weightStandardization" && inputs[1] === name)
  return isGain ? [...shape, 1, 1, 1] : shape
}

/** The image that a linear layer's input was before it was flattened, as [height, width, channels]. */
const flattenedFrom = (graph: Graph, weight: string): Shape | undefined => {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  let value = graph.nodes.find(({ op, inputs }) => op === "linear" && inputs[1] === weight)?.inputs[0]
  while (value !== undefined) {
    const shape = graph.types.get(value)?.shape ?? []
    if (shape.length === 3) return shape
    const source: string | undefined = nodes.get(value)?.inputs[0]
    const elementwise = source !== undefined && size(graph.types.get(source)?.shape ?? []) === size(shape)
    if (!elementwise || nodes.get(value)?.op === "linear") return undefined
    value = source
  }
  return undefined
}

/** For each element of a parameter, where it lies in PyTorch's layout. */
const places = (graph: Graph, { name, shape }: Parameter): Uint32Array => {
  const place = Uint32Array.from({ length: size(shape) }, (_, i) => i)
  if (shape.length === 4) {
    const [height, width, inputs, outputs] = shape as [number, number, number, number]
    for (let i = 0; i < place.length; i++) {
      const o = i % outputs
      const k = Math.floor(i / outputs) % inputs
      const tap = Math.floor(i / (outputs * inputs))
      place[i] = (o * inputs + k) * height * width + tap
    }
  } else if (shape.length === 2) {
    const [inputs, outputs] = shape as [number, number]
    const [height, width, channels] = flattenedFrom(graph, name) ?? [1, 1, inputs]
    const pixels = height! * width!
    for (let i = 0; i < place.length; i++) {
      const input = Math.floor(i / outputs)
      const theirs = (input % channels!) * pixels + Math.floor(input / channels!)
      place[i] = (i % outputs) * inputs + theirs
    }
  }
  return place
}

/** A parameter's values (or gradients) from PyTorch's layout. */
export const fromPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array =>
  Float32Array.from(places(graph, parameter), (place) => values[place]!)

/** A parameter's values (or gradients) in PyTorch's layout. */
export const toPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array => {
  const out = new Float32Array(values.length)
  places(graph, parameter).forEach((place, i) => {
    out[place] = values[i]!
  })
  return out
}

/**
 * A graph's parameters and statistics from a state dict's tensors, by name. Batch norm's `num_batches_tracked` is passed over: it
 * counts, and decides nothing where there is a momentum. Fails with every tensor that is missing, unexpected or misshapen.
 *
 * @example
 * const { tensors } = yield* Safetensors.decode(bytes, "weights.safetensors")
 * const values = yield* PyTorch.fromStateDict(graph, tensors)
 */
export const fromStateDict = (
  graph: Graph,
  tensors: ReadonlyMap<string, StoredTensor>,
): Effect.Effect<ReadonlyMap<string, StoredTensor>, MismatchError> =>
  Effect.gen(function* () {
    const statistics = new Set(graph.parameters.filter(({ role }) => role === "statistic").map(({ name }) => name))
    const counter = /\.num_batches_tracked$/
    const theirs = new Map(
      [...tensors].filter(([name]) => !(counter.test(name) && statistics.has(name.replace(counter, ".running_mean")))),
    )
    yield* fit(new Map(graph.parameters.map((each) => [each.name, pyTorchShape(graph, each)])), theirs)
    return new Map(
      graph.parameters.map((parameter) => {
        const { values } = theirs.get(parameter.name) as StoredTensor
        return [parameter.name, { shape: parameter.shape, values: fromPyTorch(graph, parameter, values) }]
      }),
    )
  })

/** What `model.load_state_dict` takes, from a graph's parameters and statistics by name, which must all be there. */
export const toStateDict = (
  graph: Graph,
  tensors: ReadonlyMap<string, StoredTensor>,
): Effect.Effect<ReadonlyMap<string, StoredTensor>, MismatchError> =>
  Effect.gen(function* () {
    yield* fit(new Map(graph.parameters.map(({ name, shape }) => [name, shape])), tensors)
    return new Map(
      graph.parameters.map((parameter) => {
        const { values } = tensors.get(parameter.name) as StoredTensor
        return [parameter.name, { shape: pyTorchShape(graph, parameter), values: toPyTorch(graph, parameter, values) }]
      }),
    )
  })
