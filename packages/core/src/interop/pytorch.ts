/**
 * Conversion to and from PyTorch's layouts. In PyTorch, images and sequences are channels first; weights of convolutions are [out,
 * in, height, width], of transposed convolutions [in, out, height, width] and flipped, of linear layers [out, in]; and features of
 * a flattened image are ordered channels first, in linear layers, batch norm and everything else that has one number per feature.
 *
 * If a network's read-out is a flattened image, its classes are in that order too: in PyTorch pixel by pixel of the first channel,
 * here channel by channel of the first pixel. {@link valuesFromPyTorch} converts its outputs.
 */

import { Effect } from "effect"
import { aGraph, argument, type Kind, someFloats } from "../arguments.ts"
import type { GraphError, MismatchError, NonFiniteTensorError } from "../errors.ts"
import type { Graph, Parameter } from "../graph/graph.ts"
import { type Shape, size } from "../shape.ts"
import { pixelsAlong } from "./feature-order.ts"
import { fit } from "./fit.ts"
import type { StoredTensor } from "./safetensors.ts"

export { decodeTorchFile as decode, isTorchFile } from "./torch-file.ts"

const anImage: Kind = [
  "[height, width, channels], whole numbers of at least 1",
  (value) =>
    Array.isArray(value) && value.length === 3 && value.every((extent) => Number.isInteger(extent) && extent >= 1),
]
const aParameter: Kind = ["a parameter of the graph", (value) => Array.isArray((value as Parameter | null)?.shape)]

/**
 * Converts a batch of images from PyTorch's [channels, height, width] to `shape` = [height, width, channels].
 *
 * @throws OptionError for arguments of another type
 */
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

/**
 * The order of our axes in PyTorch: channels first for values and weights of linear layers; in convolution weights, the window axes
 * follow.
 */
const theirAxes = (rank: number, isWindow: boolean): ReadonlyArray<number> => {
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return isWindow ? [rank - 1, rank - 2, ...axes.slice(0, -2)] : [...axes.slice(-1), ...axes.slice(0, -1)]
}

/** Kind of a parameter: the gain of standardised weights, or the weight of a convolution with groups, which may be transposed. */
interface Layout {
  readonly gain?: true
  readonly window?: true
  readonly transposed?: true
  readonly groups: number
}

const kindsOf = (graph: Graph): ((name: string) => Layout) => {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const kinds = new Map<string, Layout>()
  /** The parameter from which a weight is computed. */
  const weightOf = (name: string): string => {
    const node = nodes.get(name)
    return node === undefined ? name : weightOf(node.inputs[0] as string)
  }
  for (const { op, inputs, attributes } of graph.nodes) {
    const [, second = ""] = inputs
    const groups = Number(attributes.groups ?? 1)
    if (op === "weightStandardization") kinds.set(second, { gain: true, groups: 1 })
    if (op === "conv2d") kinds.set(weightOf(second), { window: true, groups })
    if (op === "convTranspose") kinds.set(weightOf(second), { window: true, transposed: true, groups })
  }
  return (name) => kinds.get(name) ?? { groups: 1 }
}

const theirShape = ({ gain, window, transposed, groups }: Layout, shape: Shape): Shape => {
  if (gain) return [...shape, 1, 1, 1]
  const [outputs = 1, inputs = 1, ...rest] = theirAxes(shape.length, window === true).map((axis) => shape[axis]!)
  if (transposed) return [inputs * groups, outputs / groups, ...rest]
  return shape.length < 2 ? shape : [outputs, inputs, ...rest]
}

/** The shape of a parameter in PyTorch. The gains of standardised weights are [out, 1, 1, 1] there. */
export const pyTorchShape = (graph: Graph, parameter: Parameter): Shape => {
  argument(graph, aGraph, "PyTorch.pyTorchShape")
  const { name, shape } = argument(parameter, aParameter, "PyTorch.pyTorchShape", "parameter")
  return theirShape(kindsOf(graph)(name), shape)
}

/** For each element of a value or parameter, its index in PyTorch's layout. */
const placesOf = (graph: Graph) => {
  const along = pixelsAlong(graph)
  const kindOf = kindsOf(graph)
  return ({ name, shape }: Pick<Parameter, "name" | "shape">): Uint32Array => {
    const { window = false, transposed, groups } = kindOf(name)
    const order = theirAxes(shape.length, window)
    const rank = shape.length
    /** For transposed convolutions: the window is flipped, and the groups are stored one after the other along the inputs. */
    const turned = (axis: number): ((i: number) => number) => {
      const taps = size(shape.slice(0, -2))
      const [inputs, outputs] = [shape[rank - 2]!, shape[rank - 1]! / groups]
      if (axis === rank - 2) return (i) => i * outputs * taps
      if (axis === rank - 1) return (i) => (Math.floor(i / outputs) * inputs * outputs + (i % outputs)) * taps
      return (i) => (shape[axis]! - 1 - i) * size(shape.slice(axis + 1, -2))
    }
    const ordered = (axis: number): ((i: number) => number) => {
      const stride = size(order.slice(order.indexOf(axis) + 1).map((behind) => shape[behind]!))
      const pixels = along(name, axis)
      const channels = shape[axis]! / pixels
      return (i) => stride * ((i % channels) * pixels + Math.floor(i / channels))
    }
    let places = new Uint32Array(1)
    // Sums, axis by axis, the contribution of each index to the position.
    shape.forEach((extent, axis) => {
      const step = transposed ? turned(axis) : ordered(axis)
      const next = new Uint32Array(places.length * extent)
      for (let i = 0; i < extent; i++)
        for (let before = 0; before < places.length; before++) next[before * extent + i] = places[before]! + step(i)
      places = next
    })
    return places
  }
}

const placesFor = (owner: string, graph: Graph, parameter: Pick<Parameter, "name" | "shape">): Uint32Array =>
  placesOf(argument(graph, aGraph, owner, "graph"))(argument(parameter, aParameter, owner, "parameter"))

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
 * Converts a parameter's values (or gradients) from PyTorch's layout.
 *
 * @throws GraphError if PyTorch joins other features than this graph; see {@link fromStateDict}
 */
export const fromPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array =>
  gathered(
    placesFor("PyTorch.fromPyTorch", graph, parameter),
    argument(values, someFloats, "PyTorch.fromPyTorch", "values"),
  )

/**
 * Converts a parameter's values (or gradients) to PyTorch's layout.
 *
 * @throws GraphError if PyTorch joins other features than this graph; see {@link fromStateDict}
 */
export const toPyTorch = (graph: Graph, parameter: Parameter, values: Float32Array): Float32Array =>
  scattered(
    placesFor("PyTorch.toPyTorch", graph, parameter),
    argument(values, someFloats, "PyTorch.toPyTorch", "values"),
  )

/**
 * Converts values of a node, or of `input`, from PyTorch's layout, for one or more samples.
 *
 * @throws GraphError if PyTorch joins other features than this graph; see {@link fromStateDict}
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

/** Errors of converting a state dict. */
export type StateDictError = MismatchError | NonFiniteTensorError | GraphError

const placesIn = (graph: Graph) => Effect.try({ try: () => placesOf(graph), catch: (error) => error as GraphError })

/**
 * Converts the tensors of a state dict to a graph's parameters and statistics, by name. Batch norm's `num_batches_tracked` is
 * ignored: it is only a counter if there is a momentum. Fails with a MismatchError that lists every missing, unexpected or
 * misshapen tensor, with a NonFiniteTensorError, or with a GraphError if flattened images of different shapes are added, because
 * PyTorch would add different pixels.
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
    const isCounter = (name: string) => counter.test(name) && statistics.has(name.replace(counter, ".running_mean"))
    const theirs = yield* fit(
      new Map(graph.parameters.map((each) => [each.name, pyTorchShape(graph, each)])),
      tensors instanceof Map ? new Map([...(tensors as Tensors)].filter(([name]) => !isCounter(name))) : tensors,
    )
    const places = yield* placesIn(graph)
    return new Map(
      graph.parameters.map((parameter) => {
        const { values } = theirs.get(parameter.name) as StoredTensor
        return [parameter.name, { shape: parameter.shape, values: gathered(places(parameter), values) }]
      }),
    )
  })

/**
 * Converts a graph's parameters and statistics to a state dict for `model.load_state_dict`. All of them must be given. Fails like
 * {@link fromStateDict}.
 */
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
