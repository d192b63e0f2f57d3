/** Exports a network as a document. */
import { flatten, Graph, Options, PyTorch, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { described } from "./describe.ts"
import { type Document, NirError, type NirNode, type Numbers, type Value } from "./document.ts"
import { dynamicsOf, type Factor } from "./dynamics.ts"
import { flattened } from "./flatten.ts"
import type { Network } from "./network.ts"
import {
  type Discretisation,
  DiscretisationSchema,
  elementwiseLayer,
  elementwiseTypes,
  type Settled,
  settled,
} from "./neurons.ts"

/** The version of NIR that is written. */
const version = "1.0.7"

const refuse = (node: string, reason: string): never => {
  throw new NirError({ node, reason })
}

const floats = (shape: Shape.Shape, values: Iterable<number>): Numbers => ({
  shape,
  values: Float64Array.from(values),
  dtype: "<f4",
})

const whole = (...values: ReadonlyArray<number>): Numbers => ({
  shape: values.length === 1 ? [] : [values.length],
  values: Float64Array.from(values),
  dtype: "<i8",
})

/** A shape, which has one axis even if it is a single extent. */
const shapeValue = (shape: Shape.Shape): Numbers => ({ ...whole(...theirs(shape)), shape: [shape.length] })

const theirs = (shape: Shape.Shape): Shape.Shape => [...shape.slice(-1), ...shape.slice(0, -1)]

const pair = (extents: unknown): readonly [number, number] =>
  Array.isArray(extents) ? (extents as unknown as [number, number]) : [extents as number, extents as number]

/** Whether a node is part of a per-channel delay. */
const isChannels = ({ attributes }: Graph.Node): boolean => attributes.kind === "channels"

/** A NIR node that is an input, delayed by one step or not. */
interface Source {
  readonly from: string
  readonly delayed: boolean
}

/** Converts the nodes of a graph to NIR nodes. Nodes that only pass values on have none; they are represented by their sources. */
class Exporter {
  readonly nodes = new Map<string, NirNode>()
  readonly edges: Array<readonly [string, string]> = []
  /** Edges that read the previous step's output of neurons. */
  readonly delayed = new Set<string>()
  /** The NIR nodes whose sum each value is. */
  readonly sources = new Map<string, ReadonlyArray<Source>>()

  /** Steps by channel of per-channel delays. */
  private readonly channelDelays = new Map<string, ReadonlyArray<number>>()

  constructor(
    readonly graph: Graph.Graph,
    readonly tensors: Network["tensors"],
    readonly how: Settled,
  ) {}

  shapeOf(name: string): Shape.Shape {
    return this.graph.types.get(name)?.shape ?? []
  }

  /** A parameter of the graph, in NIR's order of axes. */
  parameter(name: string): Numbers | undefined {
    const parameter = this.graph.parameters.find((each) => each.name === name)
    if (parameter === undefined) return undefined
    const tensor = this.tensors.get(name)
    if (tensor === undefined) return refuse(name, "its values are not given")
    return floats(PyTorch.pyTorchShape(this.graph, parameter), PyTorch.toPyTorch(this.graph, parameter, tensor.values))
  }

  needed(name: string): Numbers {
    return this.parameter(name) ?? refuse(name, "it is computed, where NIR has a parameter")
  }

  /** Adds a node that reads a value. */
  add(name: string, input: string, type: string, parameters: Readonly<Record<string, Value>>): void {
    const before = this.sources.get(input) ?? refuse(name, `its input ${input} is not of an earlier node`)
    if (new Set(before.map(({ from }) => from)).size < before.length)
      refuse(name, "a value is added to itself, which NIR counts once")
    this.nodes.set(name, { type, parameters: new Map(Object.entries(parameters)) })
    for (const { from, delayed } of before) {
      this.edges.push([from, name])
      if (delayed) this.delayed.add(JSON.stringify([from, name]))
    }
    this.sources.set(name, [{ from: name, delayed: false }])
  }

  private nodeOf = (name: string): Graph.Node | undefined => this.graph.nodes.find((node) => node.name === name)

  private valuesOf = (name: string): Float64Array | undefined => {
    const values = this.tensors.get(name)?.values
    return values && Float64Array.from(values)
  }

  /** One number per element of a node, in NIR's order. */
  private elements(name: string, factor: Factor): Numbers {
    const shape = this.shapeOf(name)
    const values = Float32Array.from({ length: Shape.size(shape) }, (_, i) => factor[i % factor.length] as number)
    // A value has the layout of a parameter with one number per element.
    const likeIt = { name, shape } as Graph.Parameter
    return floats(PyTorch.pyTorchShape(this.graph, likeIt), PyTorch.toPyTorch(this.graph, likeIt, values))
  }

  /** Exports an elementwise node: nodes from NIR with their original parameters, others by their dynamics. */
  elementwise(node: Graph.Node): void {
    const { name, inputs, attributes } = node
    const type = String(attributes.kind).replace(/^nir\./, "")
    const known = type === attributes.kind ? undefined : elementwiseTypes.get(type)
    const found = known === undefined ? this.describe(node) : { type, parameters: this.original(node, type, known) }
    this.add(
      name,
      inputs[0] as string,
      found.type,
      Object.fromEntries(Object.entries(found.parameters).map(([each, values]) => [each, this.elements(name, values)])),
    )
  }

  private describe(node: Graph.Node) {
    const dynamics = dynamicsOf(node, this.valuesOf, this.nodeOf)
    const { initial = [] } = node.attributes as { readonly initial?: ReadonlyArray<number> }
    const found = typeof dynamics === "string" ? dynamics : described(dynamics, initial, this.how)
    return typeof found === "string"
      ? refuse(node.name, `NIR cannot say ${node.attributes.kind ?? node.op}: ${found}`)
      : found
  }

  /** The parameters that a node was imported with, if it is what they mean under this discretisation. */
  private original({ name, attributes }: Graph.Node, type: string, names: ReadonlyArray<string>) {
    const parameters = Object.fromEntries(
      names.map((each) => {
        const of = `${name}.${each}`
        const { initializer } = this.graph.parameters.find((parameter) => parameter.name === of) ?? {}
        const values = initializer?.kind === "values" ? initializer.values : []
        return [each, this.valuesOf(of) ?? Float64Array.from(values)]
      }),
    )
    const settings = Object.fromEntries(Object.entries(parameters).map(([each, values]) => [each, [...values]]))
    const again = Graph.makeUnsafe(this.shapeOf(name), (x) =>
      flatten()(elementwiseLayer(type, settings, this.how)(x, name)),
    )
    const meant = again.nodes.find((node) => node.name === name)
    const fixed = ({ nodes }: Graph.Graph) =>
      nodes.flatMap((node) => (node.name.startsWith(`${name}.fixed`) ? [node.attributes] : []))
    if (JSON.stringify([meant?.attributes, fixed(again)]) !== JSON.stringify([attributes, fixed(this.graph)]))
      refuse(name, "it was read with another discretisation: give the same one")
    return parameters
  }

  convolution({ name, inputs: [x = "", weight = "", bias], attributes }: Graph.Node): void {
    const values = this.needed(weight)
    const axes = values.shape.length - 2
    const { stride, padding, dilation = 1, spread = 1 } = attributes
    if (spread !== 1) refuse(name, "NIR has no transposed convolution")
    const [channels = 1, within = 1] = values.shape
    const extents = (value: unknown) => whole(...pair(value).slice(2 - axes))
    const sides = pair(padding)
    if (sides.some((side) => typeof side !== "number")) refuse(name, "NIR pads both sides of an axis alike")
    const input = theirs(this.shapeOf(x)).slice(1)
    this.add(name, x, `Conv${axes}d`, {
      input_shape: whole(...input),
      weight: values,
      stride: extents(stride),
      padding: extents(padding),
      dilation: extents(dilation),
      groups: whole((this.shapeOf(x).at(-1) ?? 1) / within),
      bias: bias === undefined ? floats([channels], new Float64Array(channels)) : this.needed(bias),
    })
  }

  private linear({ name, inputs: [x = "", weight = "", bias] }: Graph.Node): void {
    if (this.shapeOf(x).length !== 1) refuse(name, "NIR maps rows of features; flatten the images before it")
    const parameters = { weight: this.needed(weight), ...(bias !== undefined && { bias: this.needed(bias) }) }
    this.add(name, x, bias === undefined ? "Linear" : "Affine", parameters)
  }

  private pool({ name, op, inputs: [x = ""], attributes }: Graph.Node): void {
    const { kernelSize, stride, padding, dilation = 1 } = attributes
    if (dilation !== 1 || this.shapeOf(x).length !== 3) refuse(name, "NIR pools images alone, without dilation")
    const extents = (value: unknown) => whole(...pair(value))
    const parameters = { kernel_size: extents(kernelSize), stride: extents(stride), padding: extents(padding) }
    this.add(name, x, op === "sumPool" ? "SumPool2d" : "AvgPool2d", parameters)
  }

  node(node: Graph.Node): void {
    const { name, op, inputs, attributes } = node
    const [x = ""] = inputs
    switch (op) {
      case "linear":
        this.linear(node)
        break
      case "conv2d":
        this.convolution(node)
        break
      case "averagePool":
      case "sumPool":
        this.pool(node)
        break
      case "flatten":
        this.add(name, x, "Flatten", {
          start_dim: whole(0),
          end_dim: whole(-1),
          input_type: shapeValue(this.shapeOf(x)),
        })
        break
      case "add":
        this.sources.set(
          name,
          inputs.flatMap((input) => this.sources.get(input) ?? refuse(name, `it adds ${input}`)),
        )
        break
      case "scale":
        this.add(name, x, "Scale", { scale: this.elements(name, Float64Array.of(attributes.factor as number)) })
        break
      case "dropoutMask":
        break
      case "dropout":
        // The identity in inference.
        this.sources.set(name, this.sources.get(x) ?? [])
        break
      case "delay":
        // A NIR loop reads the previous step's output of its last neurons; any other delay is a node.
        if (!this.sources.has(x)) this.feedback(node)
        else if (!this.graph.nodes.some((user) => isChannels(user) && user.inputs[0] === name))
          this.delay(name, x, [attributes.steps as number])
        break
      default:
        if (isChannels(node)) this.channelDelay(node)
        else if (attributes.kind !== "fixed") this.elementwise(node)
    }
  }

  private delay(name: string, x: string, steps: ReadonlyArray<number>): void {
    const { dt } = this.how
    this.add(name, x, "Delay", {
      delay: this.elements(
        name,
        Float64Array.from(steps, (each) => each * dt),
      ),
    })
  }

  /** Per-channel delays are sums of values of several steps, each with some of the channels. */
  private channelDelay({ name, inputs }: Graph.Node): void {
    const delayed = this.nodeOf(inputs[0] as string)
    const lag = delayed?.op === "delay" ? (delayed.attributes.steps as number) : 0
    const source = lag === 0 ? (inputs[0] as string) : (delayed?.inputs[0] as string)
    const before = inputs.length > 2 ? this.channelDelays.get(inputs[1] as string) : undefined
    const chosen = this.valuesOf(inputs.at(-1) as string) ?? refuse(name, "its channels are not known")
    const steps = Array.from(chosen, (own, c) => (own === 1 ? lag : (before?.[c] ?? 0)))
    this.channelDelays.set(name, steps)
    if (!this.graph.nodes.some((user) => isChannels(user) && user.inputs[1] === name)) this.delay(name, source, steps)
  }

  private feedback({ name, inputs: [from = ""], attributes }: Graph.Node): void {
    if (attributes.steps !== 1 || this.nodeOf(from)?.rule.cell === undefined)
      refuse(name, "a loop of NIR's leads back, one step late, what neurons gave")
    this.sources.set(name, [{ from, delayed: true }])
  }

  /** The network as a document, after checking that importing it delays the same edges. */
  document(): Document {
    const { graph, nodes, edges } = this
    nodes.set("input", { type: "Input", parameters: new Map([["shape", shapeValue(graph.input)]]) })
    this.sources.set(Graph.inputName, [{ from: "input", delayed: false }])
    for (const node of graph.nodes) this.node(node)
    for (const [name, output] of Object.entries(graph.outputs ?? { output: graph.output }))
      this.add(name, output, "Output", { shape: shapeValue(this.shapeOf(output)) })
    const document = { version, node: { type: "NIRGraph", parameters: new Map(), nodes, edges } }
    for (const { path, sources, delayed } of flattened(document))
      for (const from of [...sources, ...delayed])
        if (delayed.includes(from) !== this.delayed.has(JSON.stringify([from, path])))
          refuse(path, `what ${from} gives is delayed by a step on one side alone, as NIR finds its loops`)
    return document
  }
}

const aNetwork: Options.Kind = ["a network, as networkOf gives", Options.has("graph", "tensors")]

/**
 * Converts a network and its parameters to a document, for readers that use this discretisation. Each neuron is exported as the NIR
 * type with the same equations, up to rounding, whatever its name. Fails with a NirError that names the node for networks that NIR
 * cannot represent, such as max pooling.
 *
 * @example
 * const bytes = yield* Nir.write(yield* Nir.documentOf({ graph, tensors: yield* trainer.save }, { dt: 1e-3 }))
 */
export const documentOf = (
  network: Network,
  discretisation: Discretisation = {},
): Effect.Effect<Document, NirError | Options.OptionError> =>
  Effect.gen(function* () {
    const { graph, tensors } = Options.argument(network, aNetwork, "documentOf")
    yield* Options.check("NIR", DiscretisationSchema, discretisation)
    return yield* Effect.try({
      try: () => new Exporter(graph, tensors, settled(discretisation)).document(),
      catch: (error) => {
        if (error instanceof NirError) return error
        throw error
      },
    })
  })
