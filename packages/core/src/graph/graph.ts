/**
 * A graph: what a network computes at one time step, as data.
 *
 * Values have names: `input`, those of the parameters and those of the nodes. Nodes are listed in order of execution. A graph
 * contains neither time nor batch nor gradients: the compiler adds them.
 */

import { Schema } from "effect"
import { aGraph, argument } from "../arguments.ts"
import type { AnyOp, ValueType } from "../op.ts"
import { Float32, must, NonNegative } from "../options.ts"
import type { Shape } from "../shape.ts"

/** Initial values of a parameter. `uniform` is over [−bound, bound]. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly standardDeviation: number }
  | { readonly kind: "values"; readonly values: ReadonlyArray<number> }

/** The Schema of names of nodes and parameters, which are stored in weight files and printed. */
export const Name: Schema.String = Schema.String.check(
  must("a name of 1 to 200 characters, without control characters", (name) => /^[^\p{C}]{1,200}$/u.test(name)),
)

/** Normal samples reach up to seven standard deviations from 0. */
const Deviation = NonNegative.check(must("a number from 0 to 4e37", (x) => x <= 4e37))

/** The Schema of {@link Initializer}. */
export const InitializerSchema: Schema.Codec<Initializer> = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("constant"), value: Float32 }),
  Schema.Struct({ kind: Schema.Literal("uniform"), bound: NonNegative }),
  Schema.Struct({ kind: Schema.Literal("normal"), standardDeviation: Deviation }),
  Schema.Struct({ kind: Schema.Literal("values"), values: Schema.Array(Float32) }),
]).annotate({ expected: "an initializer, such as Initializers.normal(0.1)" })

/** Initializers of a layer's parameters. A parameter without one starts with the layer's default. */
export interface Initial {
  /** Initial weights. */
  readonly weight?: Initializer
  /** Initial biases. */
  readonly bias?: Initializer
}

/** The Schema of {@link Initial}. */
export const InitialSchema: Schema.Codec<Initial> = Schema.Struct({
  weight: Schema.optionalKey(InitializerSchema),
  bias: Schema.optionalKey(InitializerSchema),
})

/** A tensor that all samples share. */
export interface Parameter {
  readonly name: string
  readonly shape: Shape
  readonly initializer: Initializer
  /** A weight is trained, a constant is not, and a statistic is updated by the network itself (the running mean of batch norm). */
  readonly role: "weight" | "constant" | "statistic"
}

/** A node of a graph. */
export interface Node extends NodeData {
  /** The op itself. Graphs refer to ops directly, so that bundles contain only the ops they use. */
  readonly rule: AnyOp
}

/** A node in JSON form. */
export interface NodeData {
  readonly name: string
  /** Name of the op in the table of ops. */
  readonly op: string
  /** Attributes of the op, as its Schema describes them. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** Names of the input values, in the order of the op's inputs. */
  readonly inputs: ReadonlyArray<string>
}

/** A network at one time step. */
export interface Graph {
  /** Shape of one sample at one time step: `[height, width, channels]` for images. */
  readonly input: Shape
  readonly parameters: ReadonlyArray<Parameter>
  /** In order of execution. */
  readonly nodes: ReadonlyArray<Node>
  /** Name of the read-out node; the first of them if there are several. */
  readonly output: string
  /** If the read-outs have names: the node of each, in order. */
  readonly outputs?: Readonly<Record<string, string>>
  /** Types of all values, by name. */
  readonly types: ReadonlyMap<string, ValueType>
}

/** Name of the value that represents the input data. */
export const inputName = "input"

/** The number of trainable numbers. */
export const parameterCount = (graph: Graph): number =>
  argument(graph, aGraph)
    .parameters.filter(({ role }) => role === "weight")
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0)
