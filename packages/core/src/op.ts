/**
 * An op: what a node of a graph does at one time step.
 *
 * An op infers the shape of its output and says, as instructions, how to compute it and how gradient flows back through it.
 * It does not know which policy runs: a gradient that the policy cuts is simply absent.
 */
import type { Schema } from "effect"
import type { Cell } from "./expressions/cell.ts"
import type { Code } from "./expressions/code.ts"
import type { Node } from "./graph/graph.ts"
import type { Kernel, Signature } from "./kernel.ts"
import type { Shape } from "./shape.ts"
import type { Elements } from "./spikes.ts"

/** The type of a value of the graph. */
export interface ValueType {
  /** Without the batch axis. */
  readonly shape: Shape
  readonly elements: Elements
  /** Whether each sample of the batch has its own (an activation) or all share one (a parameter). */
  readonly batched: boolean
  /** A statistic that the network keeps itself: only inputs that are declared so take it. */
  readonly statistic?: true
}

/**
 * What an op takes as an input: an `activation`, of which each sample has its own; a `parameter`, or what is computed of parameters
 * alone, which all samples share; a `value` of either kind; or a `statistic`. With `?` it may be left out.
 */
export type Input = "activation" | "parameter" | "parameter?" | "value" | "statistic"

/** Training uses the statistics of the batch and drops units; inference does neither. */
export type Mode = "training" | "inference"

/** Where an instruction finds an operand: a buffer, `lag` time steps back. */
export interface Ref {
  readonly buffer: number
  readonly lag?: number
  /** For gradients: add to what is there rather than set it. */
  readonly accumulate?: true
}

/** Emits one instruction. Operands that are `undefined` are absent. */
export type Emit = <S extends Signature, A>(
  kernel: Kernel<S, A>,
  operands: { readonly [K in keyof S]?: Ref | undefined },
  ...attributes: object extends A ? [attributes?: A] : [attributes: A]
) => void

/** What both directions of an op can reach. */
export interface Context<A> {
  readonly attributes: A
  readonly mode: Mode
  readonly timeSteps: number
  readonly emit: Emit
  /** The number of inputs. */
  readonly arity: number
  /** The type of the i-th input. */
  readonly inputType: (i: number) => ValueType
  /** The i-th input at this time step. */
  readonly input: (i: number) => Ref
  readonly output: Ref
  /** A value that the forward direction leaves for the backward one, besides inputs and output. */
  readonly residual: (name: string, shape: Shape, elements?: Elements) => Ref
  /** A value of the graph, and the state of a node at this time step. */
  readonly valueAt: (value: string) => Ref
  readonly stateOf: (node: Node) => Ref
  /** The state at this time step and the one before it. */
  readonly state: () => { readonly now: Ref; readonly before: Ref }
}

export interface Forward<A> extends Context<A> {
  /**
   * How many time steps this run stands for, for what moves with each of them: all of a node that runs once a batch, none of a
   * step that runs again.
   */
  readonly steps: number
  /** The random key of this node and batch. */
  readonly key: () => Ref
}

export interface Backward<A> extends Context<A> {
  /** The first input as the gradient of weights sees it: itself, or a trace of it, if the policy keeps one. */
  readonly presynaptic: () => Ref
  /** The gradient of the output, where any flows at this time step. */
  readonly outputGradient: Ref | undefined
  /** The gradient of the output of another node, of those behind this one. */
  readonly gradientOf: (node: string) => Ref | undefined
  /** Where the gradient of the i-th input goes, if it is wanted. To be called once for each instruction that adds to it. */
  readonly gradient: (i: number) => Ref | undefined
  /** Where the gradient of the i-th input goes that a kernel computes along with others, though it is not wanted. */
  readonly unwanted: (i: number) => Ref
  /**
   * Gradients of the states whose edges the policy leaves, a plane each, that arrive from the next time step and leave for the one
   * before; absent where gradient crosses no time step.
   */
  readonly carry: Ref | undefined
  /** Whether the policy cuts a temporal edge. */
  readonly isCut: (edge: string) => boolean
}

/** What one time step of a node leaves for the next. */
export interface State {
  /** Values stored for each element of the output, the planes of one buffer. */
  readonly planes: number
  /** The shape of a plane that is not the output's. */
  readonly shape?: Shape
  /** What they are before the first step. */
  readonly rest: ReadonlyArray<number>
  /** Names of the states: the temporal edges that lead from one step to the next. */
  readonly edges: ReadonlyArray<string>
  /** Whether the backward direction needs what this step stored, and what the step before it did. */
  readonly kept: boolean
  readonly keptBefore: boolean
  /** The factor by which the membrane leaks: a number, or the number of the input that holds it; `undefined` where it is neither. */
  readonly decay: number | { readonly input: number } | undefined
  /**
   * The state of an edge behind a step, of what the step stored (`before.k`), the output (`x0`) and parameters (`p0` is the input of this
   * number).
   */
  readonly read: (edge: number) => { readonly code: Code; readonly y: number; readonly firstParameter: number }
}

export interface Op<A = unknown> {
  readonly name: string
  readonly attributes: Schema.Codec<A>
  /** Its inputs in order; those that may be left out come last. */
  readonly inputs: ReadonlyArray<Input> | ((attributes: A) => ReadonlyArray<Input>)
  /** The output's type, for inputs that are as `inputs` says, of any shape. `fail` ends the building of the graph with a reason that names the shapes. */
  readonly infer: (inputs: ReadonlyArray<ValueType>, attributes: A, fail: (reason: string) => never) => ValueType
  /** The state that one time step leaves for the next, where there is any. */
  readonly state?: (attributes: A) => State | undefined
  /** The op as expressions of one element, if it is elementwise. */
  readonly cell?: (attributes: A) => Cell
  /** It gives its input as it was some time steps ago, by a temporal edge of this name; nothing runs. */
  readonly lag?: (attributes: A) => { readonly steps: number; readonly edge: string }
  /** Names of edges within a step that policies may cut, as a neuron's reset. */
  readonly routes?: (attributes: A) => ReadonlyArray<string>
  /** A weight layer: it maps its first input by its second. Policies may keep a trace of that input, see `presynaptic`. */
  readonly hasWeights?: true
  /** The output is the first input's memory under another shape; nothing runs. */
  readonly view?: (mode: Mode) => boolean
  /** In training, a sample's output depends on the others of its batch. */
  readonly mixesSamples?: true
  /**
   * The backward direction may recompute the output rather than have it stored. The forward direction writes nothing but its output.
   *
   * - `cheap`: always where steps lie between the two directions; and as `sum`.
   * - `sum`: where the policy recomputes and its inputs are stored, or a few weight layers away from what is.
   * - `weights`: the same, and it is a weight layer itself.
   */
  readonly recompute?: "cheap" | "sum" | "weights"
  readonly forward: (context: Forward<A>) => void
  readonly backward: (context: Backward<A>) => void
}

const made = new WeakSet<object>()

/** Declares an op. */
export const make = <A>(op: Op<A>): Op<A> => {
  made.add(op)
  return op
}

/** Whether an op was declared here: others are in no table, and could not be read from a file again. */
export const isOp = (op: object): boolean => made.has(op)

/** An op whose attributes are not known to the type system: what tables hold. */
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from op to op
export type AnyOp = Op<any>

/** The output type of an op that keeps its input's shape and gives real numbers. */
export const sameShape = ([x]: ReadonlyArray<ValueType>): ValueType => ({ ...(x as ValueType), elements: "float32" })
