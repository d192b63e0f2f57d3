/** A network of ours as a document. */
import { Graph, Options, Program, PyTorch, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { type Document, NirError, type NirNode, type Numbers, type Value } from "./document.ts"
import type { Network } from "./network.ts"
import { type Discretisation, kinds, settled } from "./neurons.ts"

/** The version of NIR whose form is written. */
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

/** A shape, which has one axis even where it is one extent. */
const shapeValue = (shape: Shape.Shape): Numbers => ({ ...whole(...theirs(shape)), shape: [shape.length] })

const theirs = (shape: Shape.Shape): Shape.Shape => [...shape.slice(-1), ...shape.slice(0, -1)]

const pair = (extents: unknown): readonly [number, number] =>
  Array.isArray(extents) ? (extents as unknown as [number, number]) : [extents as number, extents as number]

/** The nodes of a graph as nodes of NIR: those that only lead values on have none, and stand for the nodes whose values they lead. */
class Exporter {
  readonly nodes = new Map<string, NirNode>()
  readonly edges: Array<readonly [string, string]> = []
  /** The nodes of NIR whose sum a value is. */
  readonly sources = new Map<string, ReadonlyArray<string>>()

  constructor(
    readonly graph: Graph.Graph,
    readonly tensors: Network["tensors"],
    readonly dt: number,
  ) {}

  shapeOf(name: string): Shape.Shape {
    return this.graph.types.get(name)?.shape ?? []
  }

  /** A parameter of the graph in NIR's order of axes. */
  parameter(name: string): Numbers | undefined {
    const parameter = this.graph.parameters.find((each) => each.name === name)
    if (parameter === undefined) return undefined
    const tensor = this.tensors.get(Program.bufferNames.parameter(name))
    if (tensor === undefined) return refuse(name, "its values are not given")
    return floats(PyTorch.pyTorchShape(this.graph, parameter), PyTorch.toPyTorch(this.graph, parameter, tensor.values))
  }

  needed(name: string): Numbers {
    return this.parameter(name) ?? refuse(name, "it is computed, where NIR has a parameter")
  }

  /** Adds a node behind a value. */
  add(name: string, input: string, type: string, parameters: Readonly<Record<string, Value>>): void {
    const before = this.sources.get(input) ?? refuse(name, `its input ${input} is not of an earlier node`)
    if (new Set(before).size < before.length) refuse(name, "a value is added to itself, which NIR counts once")
    this.nodes.set(name, { type, parameters: new Map(Object.entries(parameters)) })
    for (const from of before) this.edges.push([from, name])
    this.sources.set(name, [name])
  }

  /** A neuron, scale or threshold that came from NIR, its parameters one for each element. */
  elementwise({ name, inputs: [x = ""], attributes }: Graph.Node): void {
    const kind = String(attributes.kind)
    const [, type = "", ...others] = kind.match(/^nir\.(\w+)(.*)$/) ?? []
    if (type === "") refuse(name, `NIR cannot say ${kind}`)
    if (others.join("") !== "") refuse(name, `NIR cannot say what its neurons do: ${others.join("").slice(1)}`)
    const names = kinds.get(type)?.parameters ?? [type.toLowerCase()]
    const shape = this.shapeOf(name)
    this.add(
      name,
      x,
      type,
      Object.fromEntries(
        names.map((each) => {
          const value = this.needed(`${name}.${each}`)
          const [only = 0] = value.values
          return [
            each,
            value.shape.length > 0 ? value : floats(theirs(shape), new Float64Array(Shape.size(shape)).fill(only)),
          ]
        }),
      ),
    )
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

  node(node: Graph.Node): void {
    const { name, op, inputs, attributes } = node
    const [x = ""] = inputs
    switch (op) {
      case "linear": {
        const bias = inputs[2]
        const weight = this.needed(inputs[1] as string)
        this.add(name, x, bias === undefined ? "Linear" : "Affine", {
          weight,
          ...(bias && { bias: this.needed(bias) }),
        })
        break
      }
      case "conv2d":
        this.convolution(node)
        break
      case "averagePool":
      case "sumPool": {
        const { kernelSize, stride, padding, dilation = 1 } = attributes
        if (dilation !== 1 || this.shapeOf(x).length !== 3) refuse(name, "NIR pools images alone, without dilation")
        const extents = (value: unknown) => whole(...pair(value))
        const parameters = { kernel_size: extents(kernelSize), stride: extents(stride), padding: extents(padding) }
        this.add(name, x, op === "sumPool" ? "SumPool2d" : "AvgPool2d", parameters)
        break
      }
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
      case "elementwise":
        if (attributes.kind !== "fixed") this.elementwise(node)
        break
      case "delay":
        // A loop of NIR's takes what its last neurons gave in the step before; any other delay is a node.
        if (!this.sources.has(x)) this.feedback(node)
        else this.add(name, x, "Delay", { delay: this.seconds(node) })
        break
      default:
        refuse(name, `NIR has no ${op}`)
    }
  }

  private seconds({ name, attributes }: Graph.Node): Numbers {
    const shape = this.shapeOf(name)
    return floats(theirs(shape), new Float64Array(Shape.size(shape)).fill((attributes.steps as number) * this.dt))
  }

  private feedback({ name, inputs: [from = ""], attributes }: Graph.Node): void {
    const source = this.graph.nodes.find((node) => node.name === from)
    const type = String(source?.attributes.kind).replace("nir.", "")
    if (attributes.steps !== 1 || !kinds.has(type))
      refuse(name, "a loop of NIR's leads back, one step late, what neurons gave")
    this.sources.set(name, [from])
  }
}

const aNetwork: Options.Kind = ["a network, as networkOf gives", Options.has("graph", "tensors")]

/**
 * A network as a document, with these values of its parameters. What NIR cannot say, as a soft reset or max pooling, is refused with
 * the node's name. `dt` is the length of a step, which delays are counted in.
 *
 * @example
 * const bytes = yield* Nir.write(yield* Nir.documentOf({ graph, tensors: yield* trainer.save }, { dt: 1e-3 }))
 */
export const documentOf = (
  network: Network,
  discretisation: Pick<Discretisation, "dt"> = {},
): Effect.Effect<Document, NirError> =>
  Effect.try({
    try: () => {
      const { graph, tensors } = Options.argument(network, aNetwork, "documentOf")
      const exporter = new Exporter(graph, tensors, settled(discretisation).dt)
      exporter.nodes.set("input", { type: "Input", parameters: new Map([["shape", shapeValue(graph.input)]]) })
      exporter.sources.set(Graph.inputName, ["input"])
      for (const node of graph.nodes) exporter.node(node)
      exporter.add("output", graph.output, "Output", { shape: shapeValue(exporter.shapeOf(graph.output)) })
      const { nodes, edges } = exporter
      return { version, node: { type: "NIRGraph", parameters: new Map(), nodes, edges } }
    },
    catch: (error) => {
      if (error instanceof NirError) return error
      throw error
    },
  })
