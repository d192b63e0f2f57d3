/**
 * A graph: what a network computes at one time step, as data.
 *
 * Values have names: `input`, the parameters', the nodes'. Nodes stand in order of execution. Time, batch and gradients are not
 * in the graph: the program adds them.
 */

import { Schema } from "effect"
import { aGraph, argument } from "../arguments.ts"
import type { AnyOp, ValueType } from "../op.ts"
import { Float32, must, NonNegative } from "../options.ts"
import type { Shape } from "../shape.ts"

/** How a parameter starts; `uniform` is over [−bound, bound]. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly standardDeviation: number }
  | { readonly kind: "values"; readonly values: ReadonlyArray<number> }

/** A name of a node or a parameter: it goes into files of weights, and onto screens. */
export const Name: Schema.String = Schema.String.check(
  must("a name of 1 to 200 characters, none of them a control character", (name) => /^[^\p{C}]{1,200}$/u.test(name)),
)

/** Normal numbers are drawn up to seven deviations from 0. */
const Deviation = NonNegative.check(must("a number from 0 to 4e37", (x) => x <= 4e37))

export const InitializerSchema: Schema.Codec<Initializer> = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("constant"), value: Float32 }),
  Schema.Struct({ kind: Schema.Literal("uniform"), bound: NonNegative }),
  Schema.Struct({ kind: Schema.Literal("normal"), standardDeviation: Deviation }),
  Schema.Struct({ kind: Schema.Literal("values"), values: Schema.Array(Float32) }),
]).annotate({ expected: "an initializer, as Initializers.normal(0.1)" })

/** How the parameters of a layer start, where not as the layer itself starts them. */
export interface Initial {
  readonly weight?: Initializer
  readonly bias?: Initializer
}

export const InitialSchema: Schema.Codec<Initial> = Schema.Struct({
  weight: Schema.optionalKey(InitializerSchema),
  bias: Schema.optionalKey(InitializerSchema),
})

export interface Parameter {
  readonly name: string
  readonly shape: Shape
  readonly initializer: Initializer
  /** A weight is trained, a constant is not; a statistic is kept by the network itself (the running mean of batch norm). */
  readonly role: "weight" | "constant" | "statistic"
}

export interface Node extends NodeData {
  /** The op itself: programs load the ops that their graphs have, and no others. */
  readonly rule: AnyOp
}

/** A node as JSON has it. */
export interface NodeData {
  readonly name: string
  /** The op, by its name in the table of ops. */
  readonly op: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** Names of values, in the order of the op's inputs. */
  readonly inputs: ReadonlyArray<string>
}

export interface Graph {
  /** Shape of one sample at one time step: `[height, width, channels]` for images. */
  readonly input: Shape
  readonly parameters: ReadonlyArray<Parameter>
  readonly nodes: ReadonlyArray<Node>
  /** The node whose output is the read-out, the first where there are several. */
  readonly output: string
  /** Where there are several read-outs with names: the node of each, the first of them first. */
  readonly outputs?: Readonly<Record<string, string>>
  /** The type of every value, by name. */
  readonly types: ReadonlyMap<string, ValueType>
}

/** The value that stands for the data. */
export const inputName = "input"

/** The number of trained numbers. */
export const parameterCount = (graph: Graph): number =>
  argument(graph, aGraph)
    .parameters.filter(({ role }) => role === "weight")
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0)
