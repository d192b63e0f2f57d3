/** Imports a document as a network with its weights. */
import {
  add,
  averagePool,
  type Conv1dOptions,
  conv1d,
  conv2d,
  delay,
  feedback,
  flatten,
  Graph,
  GraphError,
  linear,
  Options,
  PyTorch,
  Shape,
  sumPool,
} from "@spikeroute/core"
import { Effect } from "effect"
import { aDocument, type Document, NirError, type Numbers, type Value } from "./document.ts"
import { type FlatNode, flattened } from "./flatten.ts"
import {
  type Discretisation,
  DiscretisationSchema,
  elementwiseLayer,
  elementwiseTypes,
  kinds,
  type Settled,
  settled,
} from "./neurons.ts"

type Tensor = Graph.Tensor
type Layer = Graph.Layer

/** A network and its parameters by name, for `load` of a trainer or a predictor. */
export interface Network {
  readonly graph: Graph.Graph
  /** Parameters by name of their buffer, in our layout. */
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape.Shape; readonly values: Float32Array }>
}

const refuse = (node: string, reason: string): never => {
  throw new NirError({ node, reason })
}

/** NIR is channels first: its [C, H, W] is [H, W, C] here, [C, L] is [L, C]. */
const ours = (shape: ReadonlyArray<number>): Shape.Shape => [...shape.slice(1), ...shape.slice(0, 1)]
const theirs = (shape: Shape.Shape): ReadonlyArray<number> => [...shape.slice(-1), ...shape.slice(0, -1)]

/** The parameters of a node. Errors name the node. */
class Parameters {
  constructor(
    readonly node: FlatNode,
    /** Values of the graph's parameters by name, in the file's order of axes. */
    readonly stored: Map<string, Float64Array>,
  ) {}

  fail(reason: string): never {
    return refuse(this.node.path, reason)
  }

  value(name: string): Value {
    return this.node.parameters.get(name) ?? this.fail(`it has no ${name}`)
  }

  numbers(name: string): Numbers {
    const value = this.value(name)
    return typeof value === "string" ? this.fail(`${name} is a text`) : value
  }

  /** An array with the given number of axes. */
  array(name: string, rank: number): Numbers {
    const value = this.numbers(name)
    return value.shape.length === rank
      ? value
      : this.fail(`${name} has the shape [${value.shape}]; it must have ${rank} axes`)
  }

  /** Whole numbers, one for all axes or one per axis. */
  extents(name: string, axes: number, least: number): ReadonlyArray<number> {
    const { values } = this.numbers(name)
    const all = values.length === 1 ? Array.from({ length: axes }, () => values[0] as number) : [...values]
    if (all.length !== axes || !all.every((each) => Number.isInteger(each) && each >= least))
      this.fail(`${name} is [${[...values]}]; it must be whole numbers from ${least} on, one or ${axes}`)
    return all
  }

  /** One number per element of the input, or one for all, in the file's order. */
  elements(name: string, shape: Shape.Shape): ReadonlyArray<number> {
    const { shape: given, values } = this.numbers(name)
    if (values.length !== 1 && given.join() !== theirs(shape).join())
      this.fail(`${name} has the shape [${given}], its input [${theirs(shape)}]`)
    return [...values]
  }

  /** Stores the values of a parameter of the graph. */
  keep(parameter: string, values: Float64Array): void {
    this.stored.set(parameter, values)
  }
}

/** Neurons, scales and thresholds. Their parameters stay in the file's order until the graph is complete. */
const elementLayer = (p: Parameters, name: string, shape: Shape.Shape, how: Settled): Layer => {
  const { type } = p.node
  const settings = Object.fromEntries(
    (elementwiseTypes.get(type) ?? []).map((each) => {
      const values = each === "v_reset" && !p.node.parameters.has(each) ? [0] : p.elements(each, shape)
      if (each.startsWith("tau") && !values.every((tau) => tau > 0))
        p.fail(`${each} has a value of ${values.find((tau) => !(tau > 0))}; a time constant is greater than 0`)
      if (each.startsWith("tau") && how.scheme === "euler" && values.some((tau) => tau < Math.fround(how.dt)))
        p.fail(`${each} has a value of ${Math.min(...values)}, shorter than a step of ${how.dt}`)
      p.keep(`${name}.${each}`, Float64Array.from(values))
      return [each, values]
    }),
  )
  return elementwiseLayer(type, settings, how)
}

const delayLayer = (p: Parameters, shape: Shape.Shape, { dt }: Settled): Layer | undefined => {
  const seconds = p.elements("delay", shape)
  const steps = seconds.map((each) => Math.round(each / dt))
  const off = seconds.findIndex((each, i) => Math.abs(each / dt - (steps[i] as number)) > 1e-3 || each < 0)
  if (off >= 0) p.fail(`a delay of ${seconds[off]} is not a multiple of the step, ${dt}`)
  const channels = shape.at(-1) as number
  const perChannel = steps.length / channels
  if (steps.length > channels && !steps.every((each, i) => each === steps[i - (i % perChannel)]))
    p.fail("its delays differ within a channel; they may only differ between channels")
  const lags =
    steps.length === 1
      ? steps
      : Array.from({ length: channels }, (_, c) => steps[c * Math.max(1, perChannel)] as number)
  const [first = 0] = lags
  if (lags.some((each) => each !== first)) return delay({ steps: lags })
  return first === 0 ? undefined : delay({ steps: first })
}

const linearLayer = (p: Parameters, name: string, shape: Shape.Shape): Layer => {
  const weight = p.array("weight", 2)
  const [features, inputs] = weight.shape as readonly [number, number]
  if (inputs !== shape.at(-1)) p.fail(`weight takes ${inputs} features; its input has ${shape.at(-1)}`)
  p.keep(`${name}.weight`, weight.values)
  if (p.node.type === "Linear") return linear({ features, bias: false })
  const bias = p.array("bias", 1)
  if (bias.shape[0] !== features) p.fail(`bias has ${bias.shape[0]} numbers for ${features} features`)
  p.keep(`${name}.bias`, bias.values)
  return linear({ features })
}

const convolutionLayer = (p: Parameters, name: string, shape: Shape.Shape): Layer => {
  const axes = p.node.type === "Conv2d" ? 2 : 1
  const weight = p.array("weight", axes + 2)
  const [channels, within, ...kernel] = weight.shape as readonly [number, number, ...ReadonlyArray<number>]
  const [groups = 1] = p.extents("groups", 1, 1)
  if (shape.length !== axes + 1 || within * groups !== shape.at(-1))
    p.fail(`weight [${weight.shape}] in ${groups} groups does not fit an input of [${theirs(shape)}]`)
  const bias = p.array("bias", 1)
  if (bias.shape[0] !== channels) p.fail(`bias has ${bias.shape[0]} numbers for ${channels} channels`)
  p.keep(`${name}.weight`, weight.values)
  p.keep(`${name}.bias`, bias.values)
  const padding = p.value("padding")
  if (typeof padding === "string" && padding !== "same" && padding !== "valid")
    p.fail(`padding is "${padding}"; it must be numbers, "same" or "valid"`)
  const one = (values: ReadonlyArray<number>) => (axes === 1 ? (values[0] as number) : (values as [number, number]))
  const options = {
    channels,
    groups,
    kernelSize: one(kernel),
    stride: one(p.extents("stride", axes, 1)),
    dilation: one(p.extents("dilation", axes, 1)),
    padding: (typeof padding === "string" ? padding : one(p.extents("padding", axes, 0))) as "same" | "valid" | number,
  }
  return axes === 1 ? conv1d(options as Conv1dOptions) : conv2d(options)
}

const poolLayer = (p: Parameters): Layer => {
  const pair = (name: string, least: number) => p.extents(name, 2, least) as [number, number]
  const options = { kernelSize: pair("kernel_size", 1), stride: pair("stride", 1), padding: pair("padding", 0) }
  return p.node.type === "SumPool2d" ? sumPool(options) : averagePool(options)
}

const flattenLayer = (p: Parameters, shape: Shape.Shape): Layer | undefined => {
  const rank = shape.length
  const [from, to] = ["start_dim", "end_dim"].map((name) => {
    const [value = 0] = p.numbers(name).values
    return value < 0 ? value + rank : value
  }) as [number, number]
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to < rank))
    p.fail(`it flattens axes ${from} to ${to} of an input of [${theirs(shape)}]`)
  const type = p.node.parameters.get("input_type")
  if (type !== undefined && typeof type !== "string" && [...type.values].join() !== theirs(shape).join())
    p.fail(`its input_type is [${[...type.values]}], its input [${theirs(shape)}]`)
  if (from === to) return undefined
  return from === 0 && to === rank - 1 ? flatten() : p.fail("it flattens only some of the axes; all must be flattened")
}

/** The layer of a node; `undefined` for the identity. */
const layerOf = (p: Parameters, name: string, shape: Shape.Shape, how: Settled): Layer | undefined => {
  const { type } = p.node
  switch (type) {
    case "Input":
    case "Output": {
      const { values } = p.numbers("shape")
      return [...values].join() === theirs(shape).join()
        ? undefined
        : p.fail(`its shape is [${[...values]}], that of its input [${theirs(shape)}]`)
    }
    case "Linear":
    case "Affine":
      return linearLayer(p, name, shape)
    case "Conv1d":
    case "Conv2d":
      return convolutionLayer(p, name, shape)
    case "SumPool2d":
    case "AvgPool2d":
      return poolLayer(p)
    case "Flatten":
      return flattenLayer(p, shape)
    case "Delay":
      return delayLayer(p, shape, how)
    default:
      return elementLayer(p, name, shape, how)
  }
}

/** The shape of a node's output, from its parameters alone, for nodes that are fed back before they are built. In our order. */
const shapeAlone = ({ path, type, parameters }: FlatNode): Shape.Shape => {
  const found = kinds.get(type)?.parameters.map((name) => parameters.get(name)) ?? []
  const sized = found.find((value) => value !== undefined && typeof value !== "string" && value.shape.length > 0)
  return sized === undefined
    ? refuse(path, "its parameters do not say its shape, and it is in a loop")
    : ours((sized as Numbers).shape)
}

/** The shape of the input, from the Input node or from a single node at the start. */
const inputShape = ({ path, type, parameters }: FlatNode): Shape.Shape => {
  const [name, from] =
    type === "Input"
      ? ["shape", "values"]
      : type === "Linear" || type === "Affine"
        ? ["weight", "inputs"]
        : ["r", "shape"]
  const value = parameters.get(name as string)
  if (value === undefined || typeof value === "string")
    return refuse(path, "it has no Input, and its shape is not known")
  const extents = from === "values" ? [...value.values] : from === "inputs" ? [value.shape[1] ?? 0] : value.shape
  if (extents.length < 1 || extents.length > 3 || !extents.every((each) => Number.isInteger(each) && each > 0))
    return refuse(path, `its shape is [${extents}]; it must be one to three extents`)
  return ours(extents)
}

const nameOf = (path: string): string => path.replaceAll("/", ".")

/** Builds the nodes in order, and connects feedback from later to earlier nodes. */
const build =
  (
    nodes: ReadonlyArray<FlatNode>,
    how: Settled,
    stored: Map<string, Float64Array>,
    outputs: ReadonlyArray<string>,
  ): Graph.Network =>
  (input) => {
    const made = new Map<string, Tensor>()
    const byPath = new Map(nodes.map((node) => [node.path, node] as const))
    const open = new Map<string, ReturnType<typeof feedback>>()
    /** The previous step's output of a node. */
    const before = (path: string): Tensor => {
      const node = byPath.get(path) as FlatNode
      const elements = kinds.get(node.type)?.fires ? "spikes" : "float32"
      const known =
        open.get(path) ??
        feedback(input, `${nameOf(path)}.before`, { steps: 1, edge: "recurrent", shape: shapeAlone(node), elements })
      open.set(path, known)
      return known.value
    }
    for (const node of nodes) {
      const sources = [...node.sources.map((path) => made.get(path) as Tensor), ...node.delayed.map(before)]
      const [first = input, ...others] = sources
      for (const other of others)
        if (!Shape.equals(first.shape, other.shape))
          refuse(node.path, `values of [${theirs(first.shape)}] and [${theirs(other.shape)}] are added`)
      const x = others.reduce(add, first)
      const name = nameOf(node.path)
      const layer = layerOf(new Parameters(node, stored), name, x.shape, how)
      made.set(node.path, layer === undefined ? x : layer(x, name))
    }
    for (const [path, { lead }] of open) lead(made.get(path) as Tensor)
    const readouts = outputs.map((path) => {
      const last = made.get(path) as Tensor
      // A read-out has one axis.
      return [nameOf(path), last.shape.length === 1 ? last : flatten()(last)] as const
    })
    const [[, only] = []] = readouts
    return readouts.length === 1 ? (only as Tensor) : Object.fromEntries(readouts)
  }

/** The values of a parameter in our order: from the file, or from a layer's own constants. */
const valuesOf = (graph: Graph.Graph, parameter: Graph.Parameter, stored: ReadonlyMap<string, Float64Array>) => {
  const values = stored.get(parameter.name)
  if (values !== undefined) return PyTorch.fromPyTorch(graph, parameter, Float32Array.from(values))
  const { initializer } = parameter
  return Float32Array.from(initializer.kind === "values" ? initializer.values : [])
}

/** The nodes without users: Outputs, or the last node if there is none. */
const outputsOf = (nodes: ReadonlyArray<FlatNode>): ReadonlyArray<string> => {
  const taken = new Set(nodes.flatMap(({ sources, delayed }) => [...sources, ...delayed]))
  const outputs = nodes.map(({ path }) => path).filter((path) => !taken.has(path))
  return outputs.length > 0 ? outputs : refuse("", "it has no output")
}

/**
 * Converts a document to a network. Weights can be trained; the parameters of neurons, scales and thresholds are constants. Shapes
 * are ours: NIR's [C, H, W] becomes [height, width, channels]. Fails with a NirError if the document violates NIR's rules or cannot
 * be represented here, and with an OptionError for an invalid discretisation.
 *
 * @example
 * const document = yield* Nir.read(nirFile, "network.nir")
 * const { graph, tensors } = yield* Nir.networkOf(document, { dt: 1e-3 })
 * const predictor = yield* Train.makePredictor(graph, { batchSize: 1, timeSteps: 40, encoding: "frames" })
 * yield* predictor.load(tensors)
 */
export const networkOf = (
  document: Document,
  discretisation: Discretisation = {},
  /** The node whose value is the network's output. Default: the Output, or all Outputs by name. */
  output?: string,
): Effect.Effect<Network, NirError | Options.OptionError> =>
  Effect.gen(function* () {
    Options.argument(document, aDocument, "networkOf")
    yield* Options.check("NIR", DiscretisationSchema, discretisation)
    return yield* Effect.try({
      try: () => {
        const nodes = flattened(document)
        const stored = new Map<string, Float64Array>()
        const layer = build(nodes, settled(discretisation), stored, output === undefined ? outputsOf(nodes) : [output])
        const made = Graph.makeUnsafe(inputShape(nodes[0] as FlatNode), layer)
        const parameters = made.parameters.map((parameter): Graph.Parameter => {
          const values = valuesOf(made, parameter, stored)
          // Constants are part of the graph itself.
          return parameter.role === "constant"
            ? { ...parameter, initializer: { kind: "values", values: [...values] } }
            : parameter
        })
        return {
          graph: { ...made, parameters },
          tensors: new Map(
            parameters.map((parameter) => [
              parameter.name,
              { shape: parameter.shape, values: valuesOf(made, parameter, stored) },
            ]),
          ),
        }
      },
      catch: (error) => {
        if (error instanceof NirError) return error
        if (error instanceof GraphError) return new NirError({ node: error.node, reason: error.reason })
        throw error
      },
    })
  })
