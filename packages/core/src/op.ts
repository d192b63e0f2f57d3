/**
 * An op: the operation of a graph's node at one time step.
 *
 * An op infers the shape of its output, and emits instructions for its forward and backward directions. It does not know the
 * policy: a gradient that the policy cuts is simply absent.
 */
import type { Schema } from "effect"
import type { Cell } from "./expressions/cell.ts"
import type { Code } from "./expressions/code.ts"
import type { Node } from "./graph/graph.ts"
import type { Kernel, Signature } from "./kernel.ts"
import type { Shape } from "./shape.ts"
import type { Elements } from "./spikes.ts"

/** The type of a value in a graph. */
export interface ValueType {
  /** Without the batch axis. */
  readonly shape: Shape
  readonly elements: Elements
  /** Whether every sample of the batch has its own value (an activation) or all samples share one (a parameter). */
  readonly batched: boolean
  /** A statistic that the network updates itself. Only inputs declared as `statistic` accept it. */
  readonly statistic?: true
}

/**
 * What an op accepts as an input: an `activation` (one value per sample), a `parameter` (shared by all samples, or computed from
 * parameters alone), a `value` of either kind, or a `statistic`. `?` marks optional inputs.
 */
export type Input = "activation" | "parameter" | "parameter?" | "value" | "statistic"

/** In training, batch norm uses batch statistics and dropout drops units; in inference neither does. */
export type Mode = "training" | "inference"

/** The location of an operand: a buffer, and the number of time steps to look back. */
export interface Ref {
  /** Index of the buffer in the program. */
  readonly buffer: number
  /** Number of time steps to look back. Default 0. */
  readonly lag?: number
  /** For gradients: add to the buffer instead of setting it. */
  readonly accumulate?: true
}

/** Emits one instruction. `undefined` operands are absent. */
export type Emit = <S extends Signature, A>(
  kernel: Kernel<S, A>,
  operands: { readonly [K in keyof S]?: Ref | undefined },
  ...attributes: object extends A ? [attributes?: A] : [attributes: A]
) => void

/** What both directions of an op have access to. */
export interface Context<A> {
  readonly attributes: A
  readonly mode: Mode
  readonly timeSteps: number
  readonly emit: Emit
  /** Number of inputs. */
  readonly arity: number
  /** Type of the i-th input. */
  readonly inputType: (i: number) => ValueType
  /** The i-th input at this time step. */
  readonly input: (i: number) => Ref
  readonly output: Ref
  /** A value other than inputs and output that the forward direction stores for the backward direction. */
  readonly residual: (name: string, shape: Shape, elements?: Elements) => Ref
  /** A value of the graph, and the state of a node, both at this time step. */
  readonly valueAt: (value: string) => Ref
  readonly stateOf: (node: Node) => Ref
  /** The state at this time step and at the previous one. */
  readonly state: () => { readonly now: Ref; readonly before: Ref }
}

/** What the forward direction of an op has access to. */
export interface Forward<A> extends Context<A> {
  /**
   * Number of time steps that this execution counts for, for values updated once per step: all steps for a node that runs once per
   * batch, 0 for a step that is recomputed.
   */
  readonly steps: number
  /** The random key of this node and batch. */
  readonly key: () => Ref
}

/** What the backward direction of an op has access to. */
export interface Backward<A> extends Context<A> {
  /** The first input for the gradient of weights: the input itself, or its trace if the policy keeps one. */
  readonly presynaptic: () => Ref
  /** The gradient of the output; `undefined` if none arrives at this time step. */
  readonly outputGradient: Ref | undefined
  /** The gradient of the output of a later node. */
  readonly gradientOf: (node: string) => Ref | undefined
  /**
   * The buffer for the gradient of the i-th input; `undefined` if it is not wanted. Call it once per instruction that adds to the
   * gradient.
   */
  readonly gradient: (i: number) => Ref | undefined
  /** A buffer for an unwanted gradient of the i-th input, which a kernel computes together with others. */
  readonly unwanted: (i: number) => Ref
  /**
   * Gradients of the states whose edges are not cut, one plane each: they arrive from the next time step and leave for the previous
   * one. `undefined` if no gradient crosses time steps.
   */
  readonly carry: Ref | undefined
  /** Whether the policy cuts a temporal edge. */
  readonly isCut: (edge: string) => boolean
}

/** The state that a node passes from one time step to the next. */
export interface State {
  /** Number of values stored per element of the output; they are the planes of one buffer. */
  readonly planes: number
  /** The shape of a plane, if not that of the output. */
  readonly shape?: Shape
  /** Stored values before the first step. */
  readonly rest: ReadonlyArray<number>
  /** Names of the states, which are the temporal edges between steps. */
  readonly edges: ReadonlyArray<string>
  /** Whether the backward direction needs the values that this step stored, and those that the previous step stored. */
  readonly kept: boolean
  readonly keptBefore: boolean
  /** The decay of the membrane: a number, or the index of the input that holds it; `undefined` if it is neither. */
  readonly decay: number | { readonly input: number } | undefined
  /**
   * Code that computes the state of an edge after a step, from the stored values (`before.k`), the output (`x0`) and parameters
   * (`p0` is the input with index `firstParameter`).
   */
  readonly read: (edge: number) => { readonly code: Code; readonly y: number; readonly firstParameter: number }
}

/** An op's declaration. */
export interface Op<A = unknown> {
  readonly name: string
  readonly attributes: Schema.Codec<A>
  /** The inputs in order; optional ones come last. */
  readonly inputs: ReadonlyArray<Input> | ((attributes: A) => ReadonlyArray<Input>)
  /**
   * Infers the output's type from inputs of the declared kinds and any shapes. `fail` aborts the construction of the graph with a
   * reason that names the shapes.
   */
  readonly infer: (inputs: ReadonlyArray<ValueType>, attributes: A, fail: (reason: string) => never) => ValueType
  /** The state passed between time steps, if any. */
  readonly state?: (attributes: A) => State | undefined
  /** The op as expressions of one element, if it is elementwise. */
  readonly cell?: (attributes: A) => Cell
  /** For ops that return their input of some time steps ago, over a temporal edge of this name; no instruction runs. */
  readonly lag?: (attributes: A) => { readonly steps: number; readonly edge: string }
  /** Names of edges within a step that policies may cut, such as a neuron's reset. */
  readonly routes?: (attributes: A) => ReadonlyArray<string>
  /**
   * Marks a weight layer, which maps its first input with its second. Policies may keep a trace of the first input; see
   * `presynaptic`.
   */
  readonly hasWeights?: true
  /** Whether the output is the first input's memory with another shape; no instruction runs. */
  readonly view?: (mode: Mode) => boolean
  /** In training, a sample's output depends on the other samples of its batch. */
  readonly mixesSamples?: true
  /**
   * Whether the output may be recomputed in the backward direction instead of stored. Requires that the forward direction writes
   * nothing but its output.
   *
   * - `cheap`: recomputed whenever steps lie between the two directions; otherwise like `sum`.
   * - `sum`: recomputed if the policy recomputes and the inputs are stored, or a few weight layers away from stored values.
   * - `weights`: like `sum`, for a weight layer.
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

/**
 * Whether an op was declared with {@link make}. Other ops are in no table, so graphs that contain them could not be read from a
 * file.
 */
export const isOp = (op: object): boolean => made.has(op)

/** An op of unknown attributes, for tables. */
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from op to op
export type AnyOp = Op<any>

/** The output type of an op that preserves the shape of its input and returns real numbers. */
export const sameShape = ([x]: ReadonlyArray<ValueType>): ValueType => ({ ...(x as ValueType), elements: "float32" })
