/**
 * PyTorch's layouts. Images are channels first there, convolution weights [out, in, height, width], linear weights [out, in], and
 * features of a flattened image are counted channels first: by a linear layer, by batch norm, by whatever has a number for each of them.
 *
 * A network whose read-out is a flattened image itself counts its classes in that order, too: there pixel by pixel of the first channel,
 * here channel by channel of the first pixel. {@link valuesFromPyTorch} brings its outputs from one to the other.
 */

import { Effect } from "effect"
import { aGraph, argument, type Kind, someFloats } from "../arguments.ts"
import type { GraphError, MismatchError, NonFiniteTensorError } from "../errors.ts"
import type { Graph, Parameter } from "../graph/graph.ts"
import { type Shape, size } from "../shape.ts"
import { type PixelsAlong, pixelsAlong } from "./feature-order.ts"
import { fit } from "./fit.ts"
import type { StoredTensor } from "./safetensors.ts"

export { decodeTorchFile as decode, isTorchFile } from "./torch-file.ts"

const anImage: Kind = [
  "[height, width, channels], whole numbers of at least 1",
  (value) =>
    Array.isArray(value) && value.length === 3 && value.every((extent) => Number.isInteger(extent) && extent >= 1),
]
const aParameter: Kind = ["a parameter of the graph", (value) => Array.isArray((value as Parameter | null)?.shape)]

/** Images of `shape` = [height, width, channels], one after the other, from PyTorch's [channels, height, width]. */
export const imagesFromPyTorch = (values: Float32Array, shape: readonly [number, number, number]): Float32Array => {
  argument(values, someFloats, "PyTorch.imagesFromPyTorch", "values")
  const [height, width, channels] = argument(shape, anImage, "PyTorch.imagesFromPyTorch", "shape")
  const pixels = height * width
  const out = new Float32Array(values.length)
  for (let start = 0; start < values.length; start += pixels * channels)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < pixels; p++) out[start + p * channels + c] = values[start + c * pixels + p]!
  return out
}

/** PyTorch's order of our axes: an image's, a linear layer's weight's, a convolution's weight's; fewer axes are the same. */
const theirAxes = (rank: number): ReadonlyArray<number> =>
  [[], [0], [1, 0], [2, 0, 1], [3, 2, 0, 1]][rank] ?? Array.from({ length: rank }, (_, axis) => axis)

const isGain = (graph: Graph, name: string): boolean =>
  graph.nodes.some(({ op, inputs }) => op === "weightStandardization" && inputs[1] === name)

/** A parameter's shape in PyTorch. The gains of standardised weights are [out, 1, 1, 1] there. */
export const pyTorchShape = (graph: Graph, parameter: Parameter): Shape => {
  argument(graph, aGraph, "PyTorch.pyTorchShape")
  const { name, shape } = argument(parameter, aParameter, "PyTorch.pyTorchShape", "parameter")
  return isGain(graph, name) ? [...shape, 1, 1, 1] : theirAxes(shape.length).map((axis) => shape[axis]!)
}

/** For each element of a value or a parameter, where it lies in PyTorch's layout. */
const placesOf =
  (along: PixelsAlong) =>
  ({ name, shape }: Pick<Parameter, "name" | "shape">): Uint32Array => {
    const order = theirAxes(shape.length)
    let places = new Uint32Array(1)
    // Axis by axis: what the place of an element owes to its index along this one.
    shape.forEach((extent, axis) => {
      const stride = size(order.slice(order.indexOf(axis) + 1).map((behind) => shape[behind]!))
      const pixels = along(name, axis)
      const channels = extent / pixels
      const next = new Uint32Array(places.length * extent)
      for (let i = 0; i < extent; i++) {
        const step = stride * ((i % channels) * pixels + Math.floor(i / channels))
        for (let before = 0; before < places.length; before++) next[before * extent + i] = places[before]! + step
      }
      places = next
    })
    return places
  }

const placesFor = (owner: string, graph: Graph, parameter: Pick<Parameter, "name" | "shape">): Uint32Array =>
  placesOf(pixelsAlong(argument(graph, aGraph, owner, "graph")))(argument(parameter, aParameter, owner, "parameter"))

const gathered = (places: Uint32Array, values: Float32Array): Float32Array => {
  const out = new Float32Array(values.length)
  for (let start = 0; start < values.length; start += places.length)
    for (let i = 0; i < places.length; i++) out[start + i] = values[start + places[i]!]!
  return out
}

const scattered = (places: Uint32Array, values: Float32Array): Float32Array => {
  const out = new Float32Array(values.length)
  for (let i = 0; i < places.length; i++) out[places[i]!] = values[i]!
  return out
}

/**
 * A parameter's values (or gradients) from PyTorch's layout.
 *
 * @throws GraphError where PyTorch would join other features than this graph: see {@link fromStateDict}
 */
export const fromPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array =>
  gathered(
    placesFor("PyTorch.fromPyTorch", graph, parameter),
    argument(values, someFloats, "PyTorch.fromPyTorch", "values"),
  )

/**
 * A parameter's values (or gradients) in PyTorch's layout.
 *
 * @throws GraphError where PyTorch would join other features than this graph: see {@link fromStateDict}
 */
export const toPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array =>
  scattered(
    placesFor("PyTorch.toPyTorch", graph, parameter),
    argument(values, someFloats, "PyTorch.toPyTorch", "values"),
  )

/**
 * Values of a node, or of `input`, from PyTorch's layout, one sample after the other.
 *
 * @throws GraphError where PyTorch would join other features than this graph: see {@link fromStateDict}
 */
export const valuesFromPyTorch = (graph: Graph, name: string, values: Float32Array): Float32Array =>
  gathered(
    placesFor("PyTorch.valuesFromPyTorch", graph, {
      name,
      shape: argument(graph, aGraph, "PyTorch.valuesFromPyTorch").types.get(name)?.shape as Shape,
    }),
    argument(values, someFloats, "PyTorch.valuesFromPyTorch", "values"),
  )

type Tensors = ReadonlyMap<string, StoredTensor>

/** Why tensors do not go from one library to the other. */
export type StateDictError = MismatchError | NonFiniteTensorError | GraphError

const placesIn = (graph: Graph) =>
  Effect.try({ try: () => placesOf(pixelsAlong(graph)), catch: (error) => error as GraphError })

/**
 * A graph's parameters and statistics from a state dict's tensors, by name. Batch norm's `num_batches_tracked` is passed over: it
 * counts, and decides nothing where there is a momentum. Fails with every tensor that is missing, unexpected or misshapen; with the first that
 * is not finite; and with a GraphError where flattened images of different shapes are added, for PyTorch adds other pixels of them.
 *
 * @example
 * const { tensors } = yield* Safetensors.decode(bytes, "weights.safetensors")
 * const values = yield* PyTorch.fromStateDict(graph, tensors)
 */
export const fromStateDict = (graph: Graph, tensors: Tensors): Effect.Effect<Tensors, StateDictError> =>
  Effect.gen(function* () {
    argument(graph, aGraph, "PyTorch.fromStateDict")
    const statistics = new Set(graph.parameters.filter(({ role }) => role === "statistic").map(({ name }) => name))
    const counter = /\.num_batches_tracked$/
    const theirs = yield* fit(
      new Map(graph.parameters.map((each) => [each.name, pyTorchShape(graph, each)])),
      tensors,
      (name) => !(counter.test(name) && statistics.has(name.replace(counter, ".running_mean"))),
    )
    const places = yield* placesIn(graph)
    return new Map(
      graph.parameters.map((parameter) => {
        const { values } = theirs.get(parameter.name) as StoredTensor
        return [parameter.name, { shape: parameter.shape, values: gathered(places(parameter), values) }]
      }),
    )
  })

/** What `model.load_state_dict` takes, from a graph's parameters and statistics by name, which must all be there. */
export const toStateDict = (graph: Graph, tensors: Tensors): Effect.Effect<Tensors, StateDictError> =>
  Effect.gen(function* () {
    argument(graph, aGraph, "PyTorch.toStateDict")
    const ours = yield* fit(new Map(graph.parameters.map(({ name, shape }) => [name, shape])), tensors)
    const places = yield* placesIn(graph)
    return new Map(
      graph.parameters.map((parameter) => {
        const { values } = ours.get(parameter.name) as StoredTensor
        return [parameter.name, { shape: pyTorchShape(graph, parameter), values: scattered(places(parameter), values) }]
      }),
    )
  })
