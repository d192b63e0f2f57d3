/**
 * Builds graphs: layers are functions from tensor to tensor, so they pipe, and a block is a plain function.
 *
 * @example
 * const net = Graph.makeUnsafe([28, 28, 1], (image) =>
 *   image.pipe(
 *     conv2d({ channels: 32, kernelSize: 3, padding: 1 }),
 *     lif({ tau: 2 }),
 *     averagePool({ kernelSize: 2 }),
 *     flatten(),
 *     linear({ features: 10 }),
 *   ),
 * )
 */
import { Effect, Pipeable, Schema } from "effect"
import { GraphError } from "../errors.ts"
import type { AnyOp, Op, ValueType } from "../op.ts"
import type { Shape } from "../shape.ts"
import { format } from "../shape.ts"
import { type Graph, type Initializer, inputName, type Node, type Parameter } from "./graph.ts"

/** A graph while it is being built. */
interface Draft {
  readonly parameters: Array<Parameter>
  readonly nodes: Array<Node>
  readonly types: Map<string, ValueType>
}

/** A value of a graph under construction. `path` is where the next layer's names begin. */
export class Tensor extends Pipeable.Class {
  constructor(
    readonly draft: Draft,
    readonly path: string,
    readonly name: string,
    readonly type: ValueType,
  ) {
    super()
  }

  get shape(): Shape {
    return this.type.shape
  }

  /** The same value, seen from another path. */
  at(path: string): Tensor {
    return new Tensor(this.draft, path, this.name, this.type)
  }
}

/** A layer. `name` is its name below the tensor's path; layers without one are numbered by kind: `conv2d1`, `conv2d2`. */
export type Layer = (x: Tensor, name?: string) => Tensor

const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`)

const define = (draft: Draft, name: string, type: ValueType): void => {
  if (draft.types.has(name))
    throw new GraphError({ node: name, reason: "the name is used twice; give one of the two another" })
  draft.types.set(name, type)
}

/** A layer of one op, which hands its full name to `build`. */
export const leaf =
  (kind: string, build: (x: Tensor, name: string) => Tensor): Layer =>
  (x, name) => {
    if (name !== undefined) return build(x, join(x.path, name))
    let number = 1
    while (x.draft.types.has(join(x.path, `${kind}${number}`))) number++
    return build(x, join(x.path, `${kind}${number}`))
  }

/** Adds a parameter to the graph of `x`. */
export const parameter = (
  x: Tensor,
  name: string,
  shape: Shape,
  initializer: Initializer,
  role: Parameter["role"] = "weight",
): Tensor => {
  const type: ValueType = { shape, elements: "float32", batched: false }
  define(x.draft, name, type)
  x.draft.parameters.push({ name, shape, initializer, role })
  return new Tensor(x.draft, x.path, name, type)
}

/** Adds a node to the graph of `x`, checks its attributes and infers its shape. */
export const node = <A>(x: Tensor, name: string, op: Op<A>, attributes: A, inputs: ReadonlyArray<Tensor>): Tensor => {
  const type = infer(
    name,
    op,
    attributes,
    inputs.map((input) => input.type),
  )
  define(x.draft, name, type)
  x.draft.nodes.push({
    name,
    op: op.name,
    attributes: attributes as Readonly<Record<string, unknown>>,
    inputs: inputs.map((input) => input.name),
  })
  return new Tensor(x.draft, x.path, name, type)
}

/** The output type of an op, with every misfit as a {@link GraphError}. */
export const infer = (name: string, op: AnyOp, attributes: unknown, inputs: ReadonlyArray<ValueType>): ValueType => {
  const fail = (reason: string): never => {
    throw new GraphError({ node: name, reason: `${op.name}: ${reason}` })
  }
  const decoded = Schema.decodeUnknownExit(op.attributes)(attributes)
  if (decoded._tag === "Failure") return fail(String(Schema.decodeUnknownResult(op.attributes)(attributes)))
  const type = op.infer(inputs, attributes, fail)
  if (type.shape.some((extent) => !Number.isInteger(extent) || extent < 1))
    fail(`the output would be ${format(type.shape)}; every extent must be at least 1`)
  return type
}

/** Gives a layer its name below the current path. */
export const named =
  (name: string, layer: Layer): Layer =>
  (x) =>
    layer(x, name)

/** A layer made of others, whose names lie below its own. */
export const block =
  (build: (x: Tensor) => Tensor): Layer =>
  (x, name) =>
    build(name === undefined ? x : x.at(join(x.path, name))).at(x.path)

/** Layers one after the other, named by their position: `0`, `1`, … as in PyTorch. */
export const sequential = (...layers: ReadonlyArray<Layer>): Layer =>
  block((x) => layers.reduce((h, layer, i) => layer(h, String(i)), x))

/**
 * Builds a graph for samples of `shape`.
 *
 * @throws GraphError where shapes do not fit, names clash or attributes are out of range
 */
export const makeUnsafe = (shape: Shape, network: Layer): Graph => {
  if (shape.length === 0 || shape.some((extent) => !Number.isInteger(extent) || extent < 1))
    throw new GraphError({
      node: inputName,
      reason: `the input's shape is ${format(shape)}; every extent must be at least 1`,
    })
  const type: ValueType = { shape, elements: "float32", batched: true }
  const draft: Draft = { parameters: [], nodes: [], types: new Map([[inputName, type]]) }
  const output = network(new Tensor(draft, "", inputName, type))
  if (output.shape.length !== 1)
    throw new GraphError({
      node: output.name,
      reason: `the read-out is ${format(output.shape)}; it must be one row of classes: add flatten()`,
    })
  if (output.name === inputName) throw new GraphError({ node: inputName, reason: "the network has no layer" })
  return { input: shape, parameters: draft.parameters, nodes: draft.nodes, output: output.name, types: draft.types }
}

/** Builds a graph for samples of `shape`, with errors as values. */
export const make = (shape: Shape, network: Layer): Effect.Effect<Graph, GraphError> =>
  Effect.try({
    try: () => makeUnsafe(shape, network),
    catch: (error) => {
      if (error instanceof GraphError) return error
      throw error
    },
  })
