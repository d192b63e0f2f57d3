/**
 * Builds graphs. Layers are functions from tensor to tensor, so they can be piped, and a block is a plain function.
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

import { Pipeable, Schema } from "effect"
import { aList, argument } from "../arguments.ts"
import { describeFault, GraphError } from "../errors.ts"
import type { AnyOp, Op, ValueType } from "../op.ts"
import { faultIn, must } from "../options.ts"
import { mustExist, type Shape } from "../shape.ts"
import { quote } from "../text.ts"
import { type Initializer, InitializerSchema, Name, type Node, type Parameter } from "./graph.ts"

/** A graph under construction. */
export interface Draft {
  readonly parameters: Array<Parameter>
  readonly nodes: Array<Node>
  readonly types: Map<string, ValueType>
  readonly ops: Set<AnyOp>
}

/** A value of a graph under construction. `path` prefixes the names of the layers applied to it. */
export class Tensor extends Pipeable.Class {
  constructor(
    readonly draft: Draft,
    readonly path: string,
    readonly name: string,
    readonly type: ValueType,
  ) {
    super()
  }

  /** The shape without the batch axis. */
  get shape(): Shape {
    return this.type.shape
  }

  /** The same value with another path. */
  at(path: string): Tensor {
    return new Tensor(this.draft, path, this.name, this.type)
  }

  /** The same value in a copy of the graph under construction, for trial builds. */
  copied(): Tensor {
    const { parameters, nodes, types, ops } = this.draft
    const draft = { parameters: [...parameters], nodes: [...nodes], types: new Map(types), ops: new Set(ops) }
    return new Tensor(draft, this.path, this.name, this.type)
  }
}

/** A layer. `name` is its name below the tensor's path; unnamed layers are numbered by kind: `conv2d1`, `conv2d2`. */
export type Layer = (x: Tensor, name?: string) => Tensor

/** The name of something below a path. */
export const join = (path: string, name: string): string => {
  if (typeof name !== "string")
    throw new GraphError({
      node: path,
      reason: `the name ${quote(name)} must be a string`,
    })
  return path === "" ? name : `${path}.${name}`
}

const define = (draft: Draft, name: string, type: ValueType): void => {
  check(name, "the name", Name, name)
  if (draft.types.has(name)) throw new GraphError({ node: name, reason: "the name is used twice" })
  draft.types.set(name, type)
}

/**
 * Checks options against their Schema.
 *
 * @throws GraphError that names `node`
 */
export const check = <A>(node: string, kind: string, schema: Schema.Codec<A>, options: unknown): A => {
  const fault = faultIn(schema as Schema.Codec<unknown>, options)
  if (fault !== undefined) throw new GraphError({ node, reason: `${kind}: ${describeFault(fault)}` })
  return options as A
}

/**
 * Applies a layer to a tensor.
 *
 * @throws GraphError if the layer is not a function from tensor to tensor
 */
export const apply = (layer: Layer, x: Tensor, name?: string): Tensor =>
  asTensor(typeof layer === "function" ? layer(x, name) : layer, layer, x, name)

/** Checks that the result of a layer is a tensor. */
export const asTensor = (made: unknown, layer: unknown, x: Tensor, name?: string): Tensor => {
  if (made instanceof Tensor) return made
  const node = name === undefined ? x.name : join(x.path, name)
  const own = (typeof layer === "function" && layer.name) || "a layer"
  throw new GraphError({
    node,
    reason:
      typeof layer !== "function"
        ? `a layer must be a function from tensor to tensor, such as lif(), not ${quote(layer)}`
        : typeof made === "function"
          ? `${own} was not called: write ${own === "a layer" ? "lif() for lif" : `${own}(…)`}`
          : `${own} returns ${quote(made)}; a layer must return a tensor`,
  })
}

const isEmpty = (options: object) => options?.constructor === Object && Object.keys(options).length === 0

/** The Schema for layers without options. */
export const NoOptions: Schema.Codec<object> = Schema.Struct({}).check(must("left out", (options) => isEmpty(options)))

const mustBeTensor = (x: unknown, node: string): void => {
  if (!(x instanceof Tensor))
    throw new GraphError({
      node,
      reason: `its input is ${quote(x)}, not a tensor: was the layer before it called?`,
    })
}

/** Defines a layer: checks its options and passes them to `build` together with the layer's full name. */
export const leaf =
  <A>(
    kind: string,
    schema: Schema.Codec<A>,
    options: A,
    build: (x: Tensor, name: string, options: A) => Tensor,
  ): Layer =>
  (x, name) => {
    mustBeTensor(x, kind)
    let number = 1
    while (name === undefined && x.draft.types.has(join(x.path, `${kind}${number}`))) number++
    const full = join(x.path, name ?? `${kind}${number}`)
    return build(x, full, check(full, kind, schema, options))
  }

/**
 * Adds a parameter to the graph of `x`.
 *
 * @throws GraphError for an invalid name, shape or initializer
 */
export const parameter = (
  x: Tensor,
  name: string,
  shape: Shape,
  initializer: Initializer,
  role: Parameter["role"] = "weight",
): Tensor => {
  mustBeTensor(x, name)
  const type: ValueType = {
    ...{ shape, elements: "float32", batched: false },
    ...(role === "statistic" ? { statistic: true } : {}),
  }
  define(x.draft, name, type)
  check(name, "initializer", InitializerSchema, initializer)
  mustExist("the parameter", shape, (reason) => {
    throw new GraphError({ node: name, reason })
  })
  x.draft.parameters.push({ name, shape, initializer, role })
  return new Tensor(x.draft, x.path, name, type)
}

/**
 * Adds a node to the graph of `x`: checks its attributes and infers its shape.
 *
 * @throws GraphError if inputs or attributes do not match the op
 */
export const node = <A>(x: Tensor, name: string, op: Op<A>, attributes: A, inputs: ReadonlyArray<Tensor>): Tensor => {
  mustBeTensor(x, name)
  if (argument(inputs, aList, name).some((input) => !(input instanceof Tensor) || input.draft !== x.draft))
    throw new GraphError({ node: name, reason: "an input is not a tensor of this network" })
  x.draft.ops.add(op)
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
    rule: op,
    attributes: attributes as Readonly<Record<string, unknown>>,
    inputs: inputs.map((input) => input.name),
  })
  return new Tensor(x.draft, x.path, name, type)
}

/** Attributes of an op that returns a value of an earlier time step: the number of steps, the edge's name, the value's type. */
export interface LaggedAttributes {
  readonly steps: number
  readonly edge: string
  readonly shape: Shape
  readonly elements: "float32" | "spikes"
}

/** A value of an earlier time step. {@link lead} sets its source, which may be computed later in the graph. */
export const lagged = (x: Tensor, name: string, op: Op<LaggedAttributes>, attributes: LaggedAttributes): Tensor =>
  node(x, name, op, attributes, [])

/** Connects a value to the lagged node that returns it in a later step. */
export const lead = (from: Tensor, { draft, name }: Tensor): void => {
  const i = draft.nodes.findIndex((node) => node.name === name)
  draft.nodes[i] = { ...(draft.nodes[i] as Node), inputs: [from.name] }
}

/**
 * Infers the output type of an op.
 *
 * @throws GraphError if the inputs or attributes do not match the op
 */
export const infer = (name: string, op: AnyOp, attributes: unknown, inputs: ReadonlyArray<ValueType>): ValueType => {
  const fail = (reason: string): never => {
    throw new GraphError({ node: name, reason: `${op.name}: ${reason}` })
  }
  check(name, op.name, op.attributes, attributes)
  const expected: ReadonlyArray<string> = typeof op.inputs === "function" ? op.inputs(attributes) : op.inputs
  const least = expected.filter((kind) => !kind.endsWith("?")).length
  const most = expected.length
  if (inputs.length < least || inputs.length > most)
    fail(`it has ${inputs.length} inputs; it takes ${least === most ? most : `${least} to ${most}`}`)
  inputs.forEach(({ batched, statistic = false }, i) => {
    const kind = (expected[i] as string).replace("?", "")
    const fits = kind === "value" || batched === (kind === "activation")
    if (!fits || statistic !== (kind === "statistic")) fail(`its input ${i + 1} must be ${kinds[kind]}`)
  })
  const type = op.infer(inputs, attributes, fail)
  mustExist("the output", type.shape, fail)
  return type
}

const kinds: Readonly<Record<string, string>> = {
  activation: "an activation, which depends on the input",
  parameter: "a parameter, or computed of parameters alone",
  value: "an activation or a parameter",
  statistic: "a statistic",
}

/** Names a layer, below the current path. */
export const named = (name: string, layer: Layer): Layer => {
  join("", name)
  return (x) => apply(layer, x, name)
}

/** A layer composed of other layers, whose names lie below its own. */
export const block =
  (build: (x: Tensor) => Tensor): Layer =>
  (x, name) =>
    apply(build, name === undefined ? x : x.at(join(x.path, name))).at(x.path)

/** Applies layers in sequence, named by position as in PyTorch: `0`, `1`, …. */
export const sequential = (...layers: ReadonlyArray<Layer>): Layer =>
  block((x) => layers.reduce((h, layer, i) => apply(layer, h, String(i)), x))
